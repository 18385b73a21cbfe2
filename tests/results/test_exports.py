from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from red_core.data.importing import import_files
from red_core.data.tables import read_table
from red_core.errors import InputError, StateError
from red_core.labels.edit_kinds import Merge
from red_core.labels.edits import apply_edit
from red_core.records import NONE_OF_THESE, Answer, Attempt, Example, Project
from red_core.results.exports import export
from red_core.results.predictor import predict
from red_core.review.decisions import Provenance, decide, feed_back, plan_feed_back, undo
from red_core.rounds.run import run_round
from red_core.rounds.status import project_status
from red_core.settings import RECOMMENDED
from red_core.store import exports, final_labels
from red_core.store.attempts import Prices, add_attempts
from red_core.store.database import connection, open_project, transaction
from red_core.store.decisions import roll_back
from red_core.store.exports import PROVENANCE, opened_export
from red_core.store.final_labels import FINAL
from red_core.store.jobs import add_job, end_job
from red_core.store.rounds import close_round
from red_core.store.texts import pool, seeds
from red_core.store.verdicts import add_proposals, add_verdicts
from red_core.training import features
from tests.helpers.paths import ROOT
from tests.helpers.small_projects import (
    EMBEDDING,
    FAST,
    LABELS,
    fake_encode,
    label_ids,
    pool_rows,
    question,
    reviewed_round,
    seed_rows,
    small_project,
    text_ids,
    write_csv,
)  # fmt: skip


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture
def rows_of(tmp_path: Path) -> Callable[[Project], list[dict[str, Any]]]:
    def exported(project: Project) -> list[dict[str, Any]]:
        assert export(project, tmp_path / "out.jsonl") == len(read(tmp_path / "out.jsonl"))
        return read(tmp_path / "out.jsonl")

    return exported


def csv_rows(project: Project, tmp_path: Path) -> list[dict[str, str]]:
    export(project, tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00")


def text(project: Project, place: int = 0) -> int:
    return int(pool(project)[place])


def judge(project: Project, number: int, place: int, label: int, outcome: str = "valid") -> None:
    (proposal,) = add_proposals(project, number, [question(text(project, place), label, 4)])
    add_verdicts(project, "chat", [(proposal, Answer(outcome, 0.875, 1.0, "yes", "a model", "7"))])


# Status


def test_before_the_first_round_the_status_tells_what_is_there(project):
    facts = project_status(project)
    assert {name: facts[name] for name in ("project", "trial", "labels", "seeds", "pool", "fed_back", "decided")} == {
        "project": "small", "trial": True, "labels": 4, "seeds": 16, "pool": 40, "fed_back": 0, "decided": 0,
    }  # fmt: skip
    assert [facts[name] for name in ("round", "expected_agreement", "true_agreement", "stopping", "job")] == [None] * 5


def test_without_any_truth_a_project_is_no_trial(workspace, tmp_path):
    import_files(workspace, "p", write_csv(tmp_path / "a.csv", ["text", "label"], seed_rows()), embedding=EMBEDDING)
    assert project_status(open_project(workspace, "p"))["trial"] is False


def test_the_status_can_be_written_as_json(project):
    run_round(project, FAST)
    assert json.loads(json.dumps(project_status(project)))["round"]["number"] == 1


def test_after_a_round_the_status_tells_its_figures_and_what_next(project):
    last = run_round(project, FAST)
    facts = project_status(project)
    assert facts["round"]["state"] == "to review"
    assert facts["expected_agreement"] == pytest.approx(last.metrics["expected_agreement"], abs=1e-6)
    assert facts["true_agreement"] == last.metrics["true_agreement"]
    assert facts["stopping"]["reason"]


def test_decisions_count_in_the_agreement_at_once(project):
    ids, truth = label_ids(project), dict(pool_rows())
    wrong = {content: name for content, name in truth.items() if name != "refund"}
    reviewed_round(project, {text_ids(project)[content]: (ids["refund"], 0.9) for content in truth})
    assert project_status(project)["true_agreement"] == 0.25
    for content, name in list(wrong.items())[:10]:
        decide(project, text_ids(project)[content], "relabel", label=ids[name])
    assert project_status(project)["true_agreement"] == 0.5
    assert project_status(project)["expected_agreement"] == pytest.approx(0.75 * 0.9 + 0.25 * RECOMMENDED.analyst_right)
    assert project_status(project)["decided"] == 10


def test_the_status_counts_what_was_fed_back(project):
    number = reviewed_round(project, {})
    decide(project, text(project), "accept", label=1)
    feed_back(project, plan_feed_back(project))
    assert project_status(project)["fed_back"] == 1
    roll_back(project, number, "tester")
    assert project_status(project)["fed_back"] == 0


def test_a_round_that_is_open_leaves_the_figures_of_the_one_before(project):
    reviewed_round(project, {text(project): (1, 0.9)})
    close_round(project)
    add_job(project, "round", "{}", "tester")
    end_job(project, 1, "failed", "no luck")
    facts = project_status(project)
    assert (facts["expected_agreement"], facts["job"]["state"], facts["job"]["error"]) == (0.9, "failed", "no luck")


# Export: every source row with its label and its source


def test_every_source_row_is_exported_in_the_order_of_the_files(project, rows_of):
    rows = rows_of(project)
    assert [row["text"] for row in rows] == [content for content, _ in [*seed_rows(), *pool_rows()]]
    assert [row["row"] for row in rows] == [*range(2, 18), *range(2, 42)]


def test_before_the_first_round_the_pool_has_no_label(project, rows_of):
    assert {(row["source"], row["label"]) for row in rows_of(project)[16:]} == {("no round yet", None)}


def test_a_seed_keeps_its_label(project, rows_of):
    reviewed_round(project, {})
    row = rows_of(project)[0]
    assert (row["source"], row["label"], row["belief"], row["round"]) == ("seed", "refund", None, None)


def test_a_pool_text_has_the_label_of_the_classifiers(project, rows_of):
    reviewed_round(project, {text(project): (2, 0.75)})
    row = rows_of(project)[16]
    assert (row["source"], row["label"], row["belief"], row["runner_up"], row["runner_up_belief"]) == (
        "classifiers", LABELS[1], 0.75, LABELS[3], 0.25,
    )  # fmt: skip
    assert (row["round"], row["label_set_version"], row["verdict"], row["decision"]) == (1, 1, None, None)


def test_a_label_judged_valid_says_so_with_the_judge(project, rows_of):
    judge(project, reviewed_round(project, {text(project): (2, 0.75)}), 0, 2)
    row = rows_of(project)[16]
    assert (row["source"], row["label"], row["verdict"]) == ("verdict", LABELS[1], f"valid for {LABELS[1]}")
    assert (row["judge"], row["judge_model"], row["prompt_version"], row["p_valid"]) == ("chat", "a model", "7", 0.875)


@pytest.mark.parametrize(("label", "outcome"), [(2, "invalid"), (2, "unsure"), (3, "valid")])
def test_any_other_verdict_leaves_the_label_to_the_classifiers_and_is_shown(label, outcome, project, rows_of):
    judge(project, reviewed_round(project, {text(project): (2, 0.75)}), 0, label, outcome)
    row = rows_of(project)[16]
    assert (row["source"], row["label"]) == ("classifiers", LABELS[1])
    assert row["verdict"] == f"{outcome} for {LABELS[label - 1]}"


def test_of_two_verdicts_the_one_on_the_label_is_shown(project, rows_of):
    number = reviewed_round(project, {text(project): (2, 0.75)})
    judge(project, number, 0, 2)
    judge(project, number, 0, 3, "invalid")
    assert rows_of(project)[16]["verdict"] == f"valid for {LABELS[1]}"


# Evidence, tokens and cost of the verdict


def judge_with(project: Project, examples: tuple[list[int], list[int]], attempts: list[tuple[int | None, ...]]) -> None:
    """Judge the first pool text with these samples as evidence; an attempt is (tokens in, out, price in, out)."""
    sides = [tuple(Example(each, "", 0.5, "seed") for each in side) for side in examples]
    asked = replace(question(text(project), 2, 4), examples=sides[0], rival_examples=sides[1])
    (proposal,) = add_proposals(project, reviewed_round(project, {text(project): (2, 0.75)}), [asked])
    sent = []
    for tokens_in, tokens_out, *prices in attempts:
        (id_,) = add_attempts(project, "judge", "llm", [999], prices=Prices(*prices))
        sent.append(Attempt(id_, tokens_in, tokens_out))
    add_verdicts(project, "llm", [(proposal, Answer("valid", None, 1.0, "yes", "m", "7", attempts=tuple(sent)))])


def text_id_of(project: Project, row: int) -> str:
    with connection(project) as db:
        return str(db.execute("SELECT text_id FROM text WHERE id = ?", [row]).fetchone()[0])


def test_the_samples_shown_with_the_question_are_named_by_their_text_ids_in_their_order(project, rows_of, tmp_path):
    judge_with(project, ([7, 3], [9]), [])
    shown = [text_id_of(project, row) for row in (7, 3, 9)]
    rows = rows_of(project)
    assert rows[16]["evidence"] == shown
    assert {row["evidence"] for row in rows[17:]} == {None}
    assert csv_rows(project, tmp_path)[16]["evidence"] == " ".join(shown)


def test_a_verdict_without_a_sample_has_no_evidence(project, rows_of):
    judge_with(project, ([], []), [])
    assert rows_of(project)[16]["evidence"] is None


@pytest.mark.parametrize(
    ("attempts", "tokens", "cost"),
    [
        ([], None, None),
        ([(200, 10, 0.5, 2.0)], 210, 0.00012),
        ([(200, 10, 0.5, 2.0), (100, 0, 0.5, 2.0)], 310, 0.00017),
        ([(200, 10, None, None)], 210, None),
        ([(200, 10, 0.5, 2.0), (100, 5, None, 2.0)], 315, None),
        ([(None, None, 0.5, 2.0)], None, None),
        ([(200, 10, 0.5, 2.0), (None, None, 0.5, 2.0)], None, None),
    ],
)
def test_what_a_verdict_took_is_told_where_all_of_it_is_known(attempts, tokens, cost, project, rows_of):
    judge_with(project, ([], []), attempts)
    row = rows_of(project)[16]
    assert (row["tokens"], row["cost"]) == (tokens, cost if cost is None else pytest.approx(cost))
    assert [rows_of(project)[17][name] for name in ("tokens", "cost")] == [None, None]


# Decisions, one by one and in bulk


def test_a_decision_beats_the_classifiers_and_says_who_when_and_why(project, rows_of):
    judge(project, reviewed_round(project, {text(project): (2, 0.75)}), 0, 2)
    decide(project, text(project), "relabel", label=3, who="Zoë", provenance=Provenance(reason="it says so"))
    row = rows_of(project)[16]
    assert (row["source"], row["label"], row["belief"]) == ("decision", LABELS[2], None)
    assert (row["decision"], row["who"], row["reason"], row["decided_at"][:2]) == ("relabel", "Zoë", "it says so", "20")


def test_a_decision_beats_the_label_of_a_seed(project, rows_of):
    decide(project, text_ids(project)[seed_rows()[0][0]], "relabel", label=3)
    assert (rows_of(project)[0]["source"], rows_of(project)[0]["label"]) == ("decision", LABELS[2])


def test_none_of_these_by_the_classifiers_has_no_label(project, rows_of):
    reviewed_round(project, {text(project): (-1, 0.75)})
    row = rows_of(project)[16]
    assert (row["source"], row["label"], row["belief"]) == ("none of these", None, 0.75)


def test_none_of_these_by_decision_has_no_label(project, rows_of):
    reviewed_round(project, {text(project): (2, 0.75)})
    decide(project, text(project), "none")
    row = rows_of(project)[16]
    assert (row["source"], row["label"], row["decision"]) == ("decision: none of these", None, "none")


@pytest.mark.parametrize("kind", ["reject", "skip"])
def test_a_decision_that_fixes_nothing_leaves_the_label_to_the_classifiers(kind, project, rows_of):
    reviewed_round(project, {text(project): (2, 0.75)})
    decide(project, text(project), kind, label=1 if kind == "reject" else None)
    assert (rows_of(project)[16]["source"], rows_of(project)[16]["label"]) == ("classifiers", LABELS[1])


def in_bulk(project: Project, row: int, kind: str, label: int, belief: float = 0.9) -> None:
    """Store decisions as a batch does."""
    decide(project, row, kind, label=label, who="ann")
    with transaction(project) as db:
        db.execute("UPDATE decision SET belief = ?, queue = 'bulk' WHERE id = (SELECT max(id) FROM decision)", [belief])
        db.execute("DELETE FROM checksum WHERE facts = 'decision'")  # so that it is stored like this


def test_what_a_batch_accepted_is_bulk_with_the_belief_of_its_sample(project, rows_of):
    reviewed_round(project, {text(project): (2, 0.75)})
    in_bulk(project, text(project), "accept", 3, 0.875)
    row = rows_of(project)[16]
    assert (row["source"], row["label"], row["belief"]) == ("bulk", LABELS[2], 0.875)
    assert (row["decision"], row["who"]) == ("accept", "ann")
    assert final_labels.source_counts(project, 1)["bulk"] == 1
    assert final_labels.results_page(project, 1, source="bulk")[0][0]["belief"] == 0.875


def test_what_a_batch_rejected_leaves_the_label_to_the_classifiers(project, rows_of):
    reviewed_round(project, {text(project): (2, 0.75)})
    in_bulk(project, text(project), "reject", 3)
    row = rows_of(project)[16]
    assert (row["source"], row["label"], row["belief"], row["rejected"]) == (
        "classifiers", LABELS[1], 0.75, LABELS[2],
    )  # fmt: skip


def shown(project: Project, rows: list[dict[str, Any]], place: int) -> tuple[Any, ...]:
    """Return label, source and confidence of a row; the page Results and the counts must say the same."""
    page, total = final_labels.results_page(project, 1)
    assert Counter(row["source"] for row in rows) == final_labels.source_counts(project, 1)
    assert total == len(rows)
    found, row = page[place], rows[place]
    assert (found["label"], found["source"]) == (row["label"], row["source"])
    return row["label"], row["source"], row["belief"]


def test_a_label_that_a_person_ruled_out_gives_way_to_the_next_best(project, rows_of):
    reviewed_round(project, {text(project): (2, 0.75)})  # 4 is the runner-up
    decide(project, text(project), "reject", label=2, who="ann")
    assert shown(project, rows_of(project), 16) == (LABELS[3], "classifiers", 0.25)
    assert (rows_of(project)[16]["rejected"], rows_of(project)[16]["runner_up"]) == (LABELS[1], None)
    least, _ = final_labels.results_page(project, 1, lowest_first=True)
    assert (least[0]["label"], least[0]["belief"]) == (LABELS[3], 0.25)
    decide(project, text(project), "reject", label=4, who="ann")
    assert shown(project, rows_of(project), 16) == (None, "no round yet", None)
    undo(project, who="ann")
    undo(project, who="ann")
    assert shown(project, rows_of(project), 16) == (LABELS[1], "classifiers", 0.75)


def test_a_verdict_on_a_label_that_a_person_ruled_out_is_no_source(project, rows_of):
    reviewed_round(project, {text(project): (2, 0.75)})
    judge(project, 1, 0, 2)
    assert shown(project, rows_of(project), 16)[:2] == (LABELS[1], "verdict")
    decide(project, text(project), "reject", label=2, who="ann")
    assert shown(project, rows_of(project), 16)[:2] == (LABELS[3], "classifiers")


def test_a_labelled_example_whose_label_is_ruled_out_is_an_unlabelled_text(project, rows_of):
    example, label = (int(each[0]) for each in seeds(project))
    reviewed_round(project, {text(project): (2, 0.75)})
    decide(project, example, "reject", label=label, who="ann")
    assert shown(project, rows_of(project), 0) == (None, "no round yet", None)
    assert example in pool(project)
    assert example not in seeds(project)[0]
    close_round(project)
    other = label % 4 + 1
    reviewed_round(project, {example: (other, 0.75)})
    assert (rows_of(project)[0]["source"], rows_of(project)[0]["label"]) == ("classifiers", LABELS[other - 1])
    decide(project, example, "accept", label=label, who="ann")
    assert example not in pool(project)
    assert example in seeds(project)[0]


def test_a_labelled_example_of_a_merged_label_is_ruled_out_under_the_former_name(project):
    example, label = (int(each[0]) for each in seeds(project))
    decide(project, example, "reject", label=label, who="ann")
    apply_edit(project, Merge((label,), label % 4 + 1), "ann")
    assert example in pool(project)
    assert example not in seeds(project)[0]


def test_a_decision_after_the_batch_counts(project, rows_of):
    in_bulk(project, text(project), "accept", 3)
    decide(project, text(project), "relabel", label=1)
    row = rows_of(project)[16]
    assert (row["source"], row["label"], row["belief"]) == ("decision", LABELS[0], None)


# Blind audits


def audit(project: Project, row: int, kind: str, label: int | None = None, purpose: str = "certificate") -> int:
    """Answer a blind audit of a text; return the answer's id."""
    with transaction(project) as db:
        db.execute(
            "INSERT OR IGNORE INTO audit (text, purpose, round, options, who, at) "
            "VALUES (?, ?, 1, '[]', 'eve', 'then')",
            [row, purpose],
        )
        answer = db.execute(
            "INSERT INTO audit_answer (audit, kind, label, who, at) "
            "VALUES ((SELECT id FROM audit WHERE text = ?), ?, ?, 'eve', 'then')",
            [row, kind, label],
        ).lastrowid
    return int(answer or 0)


def take_back(project: Project, answer: int) -> None:
    with transaction(project) as db:
        db.execute(
            "INSERT INTO audit_answer (audit, kind, undoes, who, at) "
            "SELECT audit, 'undo', id, who, at FROM audit_answer WHERE id = ?",
            [answer],
        )


AUDITED = ("source", "label", "belief", "decision", "who", "decided_at", "reason")


def test_a_blind_answer_beats_the_classifiers_and_says_who_and_when(project, rows_of):
    judge(project, reviewed_round(project, {text(project): (2, 0.75)}), 0, 2)
    audit(project, text(project), "label", 3)
    assert [rows_of(project)[16][name] for name in AUDITED] == ["audit", LABELS[2], None, None, "eve", "then", None]
    assert final_labels.source_counts(project, 1)["audit"] == 1
    assert final_labels.results_page(project, 1, source="audit")[1] == 1


def test_none_of_these_by_a_blind_answer_has_no_label(project, rows_of):
    reviewed_round(project, {text(project): (2, 0.75)})
    audit(project, text(project), "none")
    row = rows_of(project)[16]
    assert (row["source"], row["label"], row["belief"]) == ("audit: none of these", None, None)
    assert final_labels.results_page(project, 1, label=NONE_OF_THESE)[1] == 1


@pytest.mark.parametrize(("kind", "purpose"), [("cannot tell", "certificate"), ("label", "planted")])
def test_a_blind_answer_that_says_nothing_new_labels_nothing(kind, purpose, project, rows_of):
    reviewed_round(project, {text(project): (2, 0.75)})
    audit(project, text(project), kind, 3 if kind == "label" else None, purpose)
    assert [rows_of(project)[16][name] for name in AUDITED[:3]] == ["classifiers", LABELS[1], 0.75]
    assert rows_of(project)[16]["who"] is None


def test_the_newest_blind_answer_counts_until_it_is_taken_back(project, rows_of):
    reviewed_round(project, {text(project): (2, 0.75)})
    first = audit(project, text(project), "label", 3, "label")
    second = audit(project, text(project), "label", 4)
    assert rows_of(project)[16]["label"] == LABELS[3]
    take_back(project, second)
    assert rows_of(project)[16]["label"] == LABELS[2]
    take_back(project, first)
    assert rows_of(project)[16]["source"] == "classifiers"


def test_a_decision_beats_a_blind_answer(project, rows_of):
    reviewed_round(project, {text(project): (2, 0.75)})
    decide(project, text(project), "accept", label=1, who="ann", provenance=Provenance(reason="so"))
    audit(project, text(project), "label", 3)
    row = rows_of(project)[16]
    assert (row["source"], row["label"], row["who"], row["reason"]) == ("decision", LABELS[0], "ann", "so")


def test_a_label_that_a_decision_rules_out_is_none_by_a_blind_answer_either(project, rows_of):
    reviewed_round(project, {text(project): (2, 0.75)})
    audit(project, text(project), "label", 3)
    decide(project, text(project), "reject", label=3, who="ann")
    assert [rows_of(project)[16][name] for name in ("source", "label", "who")] == ["classifiers", LABELS[1], "ann"]


def test_another_label_ruled_out_leaves_the_blind_answer(project, rows_of):
    reviewed_round(project, {text(project): (2, 0.75)})
    decide(project, text(project), "reject", label=1, who="ann", provenance=Provenance(reason="no"))
    audit(project, text(project), "label", 3)
    row = rows_of(project)[16]
    assert (row["source"], row["who"], row["reason"], row["rejected"]) == ("audit", "eve", None, LABELS[0])


def test_a_seed_beats_a_blind_answer(project, rows_of):
    reviewed_round(project, {})
    audit(project, text_ids(project)[seed_rows()[0][0]], "label", 3)
    assert (rows_of(project)[0]["source"], rows_of(project)[0]["label"]) == ("seed", "refund")


# JSONL is lossless


def test_jsonl_holds_every_decision_about_a_text_oldest_first(project, rows_of):
    first, second = text(project), text(project, 1)
    decide(project, first, "accept", label=1, who="ann", provenance=Provenance(reason='ünlikely, "but" so'))
    undo(project, who="ann")
    decide(project, second, "none", who="bob")
    decide(project, first, "skip", who="bob", provenance=Provenance(seconds=0.1 + 0.2, queue="to decide"))
    in_bulk(project, first, "reject", 2, 0.1 + 0.7)
    decisions = [row["decisions"] for row in rows_of(project)]
    assert all(MOMENT.fullmatch(one.pop("at")) for row in decisions for one in row)
    blank = {"reason": "", "queue": "", "seconds": None, "belief": None, "undone": False}
    assert decisions[16] == [
        blank | {"kind": "accept", "label": "refund", "who": "ann", "reason": 'ünlikely, "but" so', "undone": True},
        blank | {"kind": "skip", "label": None, "who": "bob", "seconds": 0.1 + 0.2, "queue": "to decide"},
        blank | {"kind": "reject", "label": LABELS[1], "who": "ann", "queue": "bulk", "belief": 0.1 + 0.7},
    ]
    assert decisions[17] == [blank | {"kind": "none", "label": None, "who": "bob"}]
    assert decisions[:16] + decisions[18:] == [[]] * 54


def test_folded_rows_all_hold_the_decisions_and_rows_left_out_hold_none(workspace, rows_of):
    twice = [("refund now", "refund"), (" refund  now ", "refund"), ("", "refund")]
    project = small_project(workspace, pool=twice)
    decide(project, text(project), "accept", label=1)
    assert [len(row["decisions"]) for row in rows_of(project)[16:]] == [1, 1, 0]


@pytest.mark.parametrize("name", ["out.csv", "out.tsv", "out.parquet"])
def test_no_other_format_holds_the_decisions(name, workspace, tmp_path):
    project = with_columns(workspace, tmp_path, ["decisions"])
    export(project, tmp_path / name)
    assert list(read_table(tmp_path / name).frame.columns) == [*PROVENANCE, "decisions"]
    assert read_table(tmp_path / name).frame["decisions"][3] == "decisions 3"


def test_a_files_own_decisions_stand_beside_ours(workspace, tmp_path, rows_of):
    row = rows_of(with_columns(workspace, tmp_path, ["decisions"]))[3]
    assert (row["decisions"], row["source.decisions"]) == ([], "decisions 3")


def test_rows_are_read_as_they_are_written(project):
    """A hundred thousand rows are never all in memory."""
    with opened_export(project, 0) as (columns, rows):
        assert columns == list(PROVENANCE)
        assert next(rows)["text"] == seed_rows()[0][0]
        assert not isinstance(rows, list)


def test_no_table_is_read_through_for_each_row(project):
    values = {"round": 1, "last_source": -1, "last_row": -1, "rows": 9} | exports.EVERY_ROW.values()
    with connection(project) as db:
        plan = {row[0]: (row[1], str(row[3])) for row in db.execute(f"EXPLAIN QUERY PLAN {exports._EXPORT}", values)}
    once = {number for number, (_, step) in plan.items() if step.startswith("LIST SUBQUERY")}  # not CORRELATED
    while inner := {number for number, (parent, _) in plan.items() if parent in once} - once:
        once |= inner
    scans = {step for parent, step in plan.values() if step.startswith("SCAN") and parent not in once}
    block = {"SCAN facts", "SCAN final"}  # the rows of one block, as they are computed
    lists = {f"SCAN {name} VIRTUAL TABLE INDEX 1:" for name in ("side", "sample", "b")}  # a JSON value of the row
    assert scans - block <= lists | {"SCAN other VIRTUAL TABLE INDEX 1: LEFT-JOIN"} | {
        step for step in scans if step.startswith("SCAN (subquery")
    }
    assert block <= scans
    assert "SEARCH source_row USING PRIMARY KEY ((source,row)>(?,?))" in {step for _, step in plan.values()}


def test_a_row_fed_back_says_in_which_round_until_it_is_rolled_back(project, rows_of):
    number = reviewed_round(project, {text(project): (2, 0.75)})
    decide(project, text(project), "accept", label=2)
    feed_back(project, plan_feed_back(project))
    assert rows_of(project)[16]["fed_back_in_round"] == number
    roll_back(project, number, "tester")
    assert rows_of(project)[16]["fed_back_in_round"] is None


def test_the_beliefs_of_the_last_finished_round_count(project, rows_of):
    reviewed_round(project, {text(project): (2, 0.75)})
    close_round(project)
    reviewed_round(project, {text(project): (3, 0.5)})
    assert (rows_of(project)[16]["label"], rows_of(project)[16]["round"]) == (LABELS[2], 2)


def test_a_text_under_two_labels_is_left_out_of_both_its_rows(workspace, rows_of):
    project = small_project(workspace, seeds=[*seed_rows(), ("torn", "refund"), ("torn", "repair")])
    reviewed_round(project, {})
    assert [(r["source"], r["label"]) for r in rows_of(project)[16:18]] == [("left out: under two labels", None)] * 2


def test_a_row_that_cannot_be_used_is_exported_with_the_reason(workspace, rows_of):
    project = small_project(workspace, seeds=[*seed_rows(), ("", "refund")])
    row = rows_of(project)[16]
    assert (row["row"], row["source"], row["text"], row["label"]) == (18, "left out: empty text", None, None)


def test_folded_rows_all_get_the_label(workspace, rows_of):
    project = small_project(workspace, pool=[("refund now", "refund"), (" refund  now ", "refund"), ("x y", "repair")])
    reviewed_round(project, {text(project): (2, 0.75)})
    assert [row["label"] for row in rows_of(project)[16:]] == [LABELS[1], LABELS[1], None]


def test_the_truth_of_a_trial_project_is_exported(project, rows_of):
    assert [row["truth"] for row in rows_of(project)[16:]] == [name for _, name in pool_rows()]


def with_columns(workspace: Path, tmp_path: Path, columns: list[str]) -> Project:
    rows = [[*row, *(f"{name} {number}" for name in columns)] for number, row in enumerate(seed_rows())]
    file = write_csv(tmp_path / "more.csv", ["text", "label", *columns], rows)
    import_files(workspace, "p", file, text_column="text", label_column="label", embedding=EMBEDDING)
    return open_project(workspace, "p")


def test_other_columns_are_kept_behind_ours(workspace, tmp_path):
    export(with_columns(workspace, tmp_path, ["ticket", "日付"]), tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [*PROVENANCE, "ticket", "日付"]
    assert (rows[3]["ticket"], rows[3]["日付"]) == ("ticket 3", "日付 3")


def test_other_columns_named_as_ours_are_prefixed(workspace, tmp_path, rows_of):
    row = rows_of(with_columns(workspace, tmp_path, ["source", "belief", "row"]))[0]
    assert (row["source"], row["belief"], row["row"]) == ("seed", None, 2)
    assert [row[f"source.{name}"] for name in ("source", "belief", "row")] == ["source 0", "belief 0", "row 0"]


def test_a_row_without_a_column_that_others_have_is_empty_there(workspace, tmp_path, rows_of):
    project = with_columns(workspace, tmp_path, ["ticket"])
    import_files(workspace, "p", pool=write_csv(tmp_path / "b.csv", ["text"], [["new"]]), embedding=EMBEDDING)
    assert [row["ticket"] for row in rows_of(project)[-2:]] == ["ticket 15", None]


def test_no_two_columns_are_exported_under_one_name(workspace, tmp_path, rows_of):
    row = rows_of(with_columns(workspace, tmp_path, ["source.row", "row"]))[0]
    assert {"source.row 0", "row 0"} <= set(map(str, row.values()))


def test_an_export_to_an_unknown_ending_is_refused(project, tmp_path):
    with pytest.raises(InputError, match="its ending is unknown"):
        export(project, tmp_path / "out.doc")
    assert not (tmp_path / "out.doc").exists()


def test_an_export_twice_gives_the_same_bytes(project, tmp_path):
    run_round(project, FAST)
    for name in ("one.csv", "two.csv"):
        export(project, tmp_path / name)
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()


@pytest.mark.parametrize("rows", [1, 3, 16])
def test_an_export_in_blocks_gives_the_same_bytes(rows, make_project, tmp_path, monkeypatch):
    project = make_project(pool=[*pool_rows(), *pool_rows()[:5]])  # five texts come twice
    run_round(project, FAST)
    names = ("whole.jsonl", "blocks.jsonl")
    filters = exports.EVERY_ROW, exports.ExportFilter(source="classifiers")
    for wanted in filters:
        for name, block in zip(names, (4_096, rows), strict=True):
            monkeypatch.setattr(exports, "ROWS_PER_BLOCK", block)
            assert export(project, tmp_path / name, wanted=wanted) == len(read(tmp_path / name)) > 3
        assert read(tmp_path / names[0]) == read(tmp_path / names[1])


def test_the_document_of_the_export_names_every_column_and_every_source():
    document = (ROOT / "docs/export.md").read_text("utf-8")
    columns, sources = (
        re.findall(r"^\| ([\w, :]+) \|", part, re.MULTILINE)
        for part in document.split("| column | content |")[1].split("## Sources")
    )
    named = [name for cell in columns for name in cell.split(", ")]
    assert [name for name in named if name in PROVENANCE] == list(PROVENANCE)
    assert set(named) - set(PROVENANCE) == {"exported_label", "original text"}  # of some exports only
    names = {name for cell in sources for name in cell.split(", ")}
    assert names >= set(re.findall(r"THEN '((?:decision|audit|none of|bulk|seed|verdict|no round)[\w :]*)'", FINAL))


# Predict


@pytest.fixture
def fitted(project, monkeypatch) -> Project:
    monkeypatch.setattr(features, "encode", fake_encode)
    run_round(project, FAST)
    return project


def predicted(project: Project, tmp_path: Path, columns: list[str], rows: list[list[str]]) -> list[dict[str, Any]]:
    source = write_csv(tmp_path / "in.csv", columns, rows)
    assert predict(project, source, tmp_path / "predicted.jsonl") == len(rows)
    return read(tmp_path / "predicted.jsonl")


def test_predict_labels_texts_that_are_not_in_the_project(fitted, tmp_path):
    texts = [f"{name} for a text nobody has seen {number}" for name in LABELS for number in range(10)]
    rows = predicted(fitted, tmp_path, ["text"], [[each] for each in texts])
    assert [row["text"] for row in rows] == texts
    assert sum(row["label"] == row["text"].split()[0] for row in rows) > 25
    assert all(0 <= row["runner_up_belief"] <= row["belief"] <= 1 for row in rows)


def test_predict_says_of_a_pool_text_what_the_classifiers_say(project, tmp_path, rows_of, monkeypatch):
    monkeypatch.setattr(features, "encode", fake_encode)
    run_round(project, FAST.model_copy(update={"most_questions": 0, "most_confirmations": 0}))
    rows = predicted(project, tmp_path, ["text"], [[content] for content, _ in pool_rows()])
    stored = rows_of(project)[16:]
    assert [row["label"] for row in rows] == [row["label"] or "" for row in stored]
    assert [row["belief"] for row in rows] == pytest.approx([row["belief"] for row in stored], abs=1e-4)


def test_predict_stores_nothing(fitted, tmp_path):
    before = project_status(fitted)
    predicted(fitted, tmp_path, ["text"], [["a new text"]])
    assert project_status(fitted) == before


def test_predict_writes_rows_it_cannot_use_with_the_reason(fitted, tmp_path):
    rows = predicted(fitted, tmp_path, ["text", "id"], [["refund please", "1"], ["", "2"], ["repair this", "3"]])
    assert [(row["row"], row["left_out"], row["id"]) for row in rows] == [
        (2, None, "1"), (3, "empty text", "2"), (4, None, "3"),
    ]  # fmt: skip
    assert rows[1]["label"] is None


def test_predict_keeps_other_columns(fitted, tmp_path):
    assert predicted(fitted, tmp_path, ["text", "ticket"], [["refund", "7"]])[0]["ticket"] == "7"


@pytest.mark.parametrize("name", ["belief", "runner_up", "row"])
def test_a_column_named_as_a_prediction_does_not_overwrite_it(name, fitted, tmp_path):
    assert predicted(fitted, tmp_path, ["text", name], [["refund", "theirs"]])[0][name] != "theirs"


def test_predict_keeps_a_column_that_is_named_like_a_label(fitted, tmp_path):
    assert predicted(fitted, tmp_path, ["text", "topic"], [["refund", "web"]])[0].get("topic") == "web"


def test_predict_reads_the_column_that_is_named(fitted, tmp_path):
    source = write_csv(tmp_path / "in.csv", ["note", "title"], [["refund this please", "x"]])
    predict(fitted, source, tmp_path / "out.jsonl", text_column="note")
    assert read(tmp_path / "out.jsonl")[0]["text"] == "refund this please"


def test_predict_does_not_overwrite_what_it_reads(fitted, tmp_path):
    source = Path(write_csv(tmp_path / "in.csv", ["text"], [["refund"]]))
    (tmp_path / "link.csv").symlink_to(source)
    (tmp_path / "hard.csv").hardlink_to(source)
    for name in ("in.csv", "link.csv", "hard.csv", f"../{tmp_path.name}/in.csv"):
        with pytest.raises(InputError, match=r"this is the file that is read\. Write into another file"):
            predict(fitted, source, tmp_path / name)
    assert source.read_text("utf-8").split() == ["text", "refund"]


def test_predict_before_the_first_round_is_refused(project, tmp_path):
    with pytest.raises(StateError, match=r"has no finished round\. Run one"):
        predict(project, write_csv(tmp_path / "in.csv", ["text"], [["a"]]), tmp_path / "out.csv")


def test_predict_of_a_file_that_cannot_be_read_writes_nothing(fitted, tmp_path):
    with pytest.raises(InputError, match="No such file"):
        predict(fitted, tmp_path / "gone.csv", tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_predict_of_many_blocks_keeps_the_order(fitted, tmp_path):
    texts = [f"refund {number}" for number in range(3000)]
    rows = predicted(fitted, tmp_path, ["text"], [[each] for each in texts])
    assert [row["text"] for row in rows] == texts
