"""Edits of the label set: what each changes, what it does not, and that an undo restores the state before."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from red_core.data.importing import import_files
from red_core.errors import CardChanged, RedError, StateError
from red_core.labels import edits as label_edits
from red_core.labels.edit_kinds import EDITS, Add, Edit, Merge, Move, Rename, Retire, Split
from red_core.labels.edits import apply_edit, preview, propose_split, undo_edit
from red_core.labels.file import read_label_set
from red_core.labels.many import MergePairs, RetireList
from red_core.labels.subsets import adopt_subsets, form_subsets
from red_core.records import Answer, Project
from red_core.results.exports import export
from red_core.review.audits import answer, deal
from red_core.review.decisions import decide, feed_back, plan_feed_back, undo
from red_core.rounds.metrics import true_labels
from red_core.rounds.run import run_round
from red_core.store import views
from red_core.store.database import connection
from red_core.store.decisions import decided, rejected
from red_core.store.desk import QUEUES, cards, queue
from red_core.store.history import label_history, text_history
from red_core.store.jobs import add_job
from red_core.store.label_undo import edits
from red_core.store.labels import current_layout, label_set_version, list_labels, save_layout, set_meanings
from red_core.store.rounds import close_round, current_training_rows, open_round, predicted_labels
from red_core.store.texts import pool, seeds
from red_core.store.verdicts import add_proposals, add_verdicts, verdicts
from red_core.training.samples import samples, seed_label_vectors, valid_samples
from tests.helpers.project_facts import export_rows
from tests.helpers.small_projects import (
    EMBEDDING,
    FAST,
    LABELS,
    count,
    embed,
    label_ids,
    pool_rows,
    question,
    reviewed_round,
    seed_rows,
    small_project,
    text_ids,
    write_csv,
)

NAMES = (*LABELS, "invoice", "praise", "advice")
"""Their ids are 1 to 7, in this order."""
REFUND, DELIVERY, WARRANTY, REPAIR, INVOICE, PRAISE, ADVICE = range(1, 8)
SUBSETS = [0, 1, 2, 0, 1, 2, 0]
TORN = "torn between the two"
SURE = 0.97


def text(project: Project, place: int = 0) -> int:
    return int(pool(project)[place])


def placed(project: Project) -> Project:
    """Store a layout of the labels without running UMAP."""
    ids = np.array([label.id for label in list_labels(project)])
    coordinates = np.random.default_rng(0).random((len(ids), 2))
    save_layout(project, ids, np.array(SUBSETS[: len(ids)]), coordinates, "tester")
    return project


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Seven labels in three subsets, a text with two labels, 70 pool texts; tests must not change it."""
    torn = [(TORN, "refund"), (TORN, "repair")]
    folder = tmp_path_factory.mktemp("labels") / "workspace"
    return placed(small_project(folder, seeds=[*seed_rows(NAMES), *torn], pool=pool_rows(NAMES)))


@pytest.fixture(scope="module")
def worked(prepared: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same after a round: predictions, verdicts, decisions of all kinds, texts fed back, audits."""
    project = copied(prepared, tmp_path_factory.mktemp("worked"))
    texts, rng = pool(project).tolist(), np.random.default_rng(1)
    for _ in range(2):
        believed = {t: (int(rng.integers(1, 8)), float(rng.choice([0.3, SURE]))) for t in texts}
        number = reviewed_round(project, believed)
        pairs = [(t, label, 1 + label % 7) for t, (label, _) in believed.items() if t % 3]
        asked = add_proposals(project, number, [question(*pair) for pair in pairs])
        replies = [Answer(str(rng.choice(["valid", "invalid", "unsure"])), None, 1.0, "", "", "") for _ in asked]
        add_verdicts(project, "chat", list(zip(asked, replies, strict=True)))
        for t in rng.choice([*texts, *seeds(project)[0].tolist()], 40).tolist():
            kind = str(rng.choice(["accept", "relabel", "reject", "reject", "none", "skip"]))
            decide(project, t, kind, label=None if kind in {"none", "skip"} else int(rng.integers(1, 8)), who="ann")
        for _ in range(4):
            undo(project, who="ann")
        feed_back(project, plan_feed_back(project))
    for card in deal(project, who="eve", count=6, rng=rng):
        answer(project, card.audit, "label", label=int(rng.integers(1, 8)), who="eve")
    return project


def copied(project: Project, folder: Path) -> Project:
    shutil.copytree(project.workspace, folder / "workspace", dirs_exist_ok=True)
    return Project(folder / "workspace", project.name)


@pytest.fixture
def small(prepared: Project, tmp_path: Path) -> Project:
    return copied(prepared, tmp_path)


@pytest.fixture
def busy(worked: Project, tmp_path: Path) -> Project:
    return copied(worked, tmp_path)


# The whole state


VIEWS = (
    "seed", "decided", "ruled_out", "contradiction", "without_label", "own_label", "proposed", "stale_verdict",
    "audited", "given_seed", "standing_meaning",
)  # fmt: skip


def rows(project: Project, query: str) -> list[tuple[Any, ...]]:
    with connection(project) as db:
        return sorted(db.execute(query).fetchall(), key=repr)


def what_stands(project: Project) -> dict[str, Any]:
    """Return everything that is read from a project, except its history and typed examples."""
    last = count(project, "SELECT coalesce(max(round), 0) FROM prediction")
    found: dict[str, Any] = {view: rows(project, f"SELECT * FROM {view}") for view in VIEWS}
    found["standing"] = rows(project, "SELECT id, text, kind, label, said FROM standing_decision")
    found["prediction"] = rows(project, "SELECT * FROM prediction")
    found["training"] = current_training_rows(project)
    found["labels"] = list_labels(project)
    found["places"] = [part.tolist() for part in current_layout(project)]
    found["queues"] = {name: queue(project, last, name) for name in QUEUES}
    found["verdicts"] = verdicts(project)
    found["table"] = views.label_table(project, last)
    out = [row for row in export_rows(project, last, lossless=True) if not row["file"].startswith("typed by")]
    for row in out:
        row["decisions"] = [one for one in row["decisions"] if one["queue"] != "label set"]
    found["export"] = out
    return found


def check_partition(project: Project) -> None:
    ids, subset_of, coordinates = current_layout(project)
    assert ids.tolist() == [label.id for label in list_labels(project)]
    sizes = np.bincount(subset_of)
    assert (sizes > 0).all()
    assert len(sizes) == 1 or (sizes > 1).all()
    assert np.isfinite(coordinates).all()
    names = [label.name.casefold() for label in list_labels(project)]
    assert len(set(names)) == len(names) >= 2


def decisions_made(project: Project) -> list[tuple[Any, ...]]:
    return rows(project, "SELECT id, text, kind, label, undoes, who, at, reason, queue FROM decision")


# Random edits and undos


def any_edit(project: Project, kind: str, a: int, b: int) -> None:
    """Make an edit of some kind; StateError if a rule refuses it."""
    ids = [label.id for label in list_labels(project)]
    one, other = ids[a % len(ids)], ids[b % len(ids)]
    texts = [t for t, label in zip(*(column.tolist() for column in seeds(project)), strict=True) if label == one]
    name = f"label {a} {b}"
    if kind == "rename":
        apply_edit(project, Rename(one, name), "ann")
    elif kind == "merge":
        apply_edit(project, Merge((one,), other), "ann")
    elif kind == "retire":
        apply_edit(project, Retire(one), "ann")
    elif kind == "move":
        apply_edit(project, Move(one, b % 4), "ann")
    elif kind == "add":
        examples = [text(project, a % 20), text(project, 20 + b % 20), *([f"typed {a}"] if a % 2 else [])]
        apply_edit(project, Add(name, "a meaning" if b % 2 else "", None, tuple(examples)), "ann")
    elif kind == "split":
        half = len(texts) // 2
        parts = {name: texts[:half], f"{name} too": texts[half:]} if a % 2 else {name: texts[:2]}
        apply_edit(project, Split(one, parts, retire=bool(b % 2)), "ann")
    elif kind == "subsets":
        adopt_subsets(project, current_layout(project)[1][::-1].copy(), "ann")
    else:
        undo_edit(project, "bob")


KINDS = ("rename", "merge", "retire", "move", "add", "split", "subsets", "undo")
ANY = st.tuples(st.sampled_from(KINDS), st.integers(0, 50), st.integers(0, 50))


@settings(max_examples=12)
@given(st.lists(ANY, min_size=1, max_size=8))
def test_random_edits_keep_partition_and_decisions_and_undoing_all_restores_the_state(worked, acts):
    with tempfile.TemporaryDirectory() as folder:
        project = copied(worked, Path(folder))
        before, made = what_stands(project), decisions_made(project)
        for kind, a, b in acts:
            untouched = {label.id: spot for label, spot in zip(list_labels(project), coordinates(project), strict=True)}
            try:
                any_edit(project, kind, a, b)
            except StateError:
                continue
            check_partition(project)
            assert set(made) <= set(decisions_made(project))
            now = {label.id: spot for label, spot in zip(list_labels(project), coordinates(project), strict=True)}
            if kind != "undo":
                assert all(now[label] == spot for label, spot in untouched.items() if label in now)
            last = count(project, "SELECT max(round) FROM prediction")
            active = {label.id for label in list_labels(project)}
            assert set(decided(project).values()) <= active | {-1}
            assert {label for _, label in rejected(project)} <= active
            assert set(predicted_labels(project, last)[1].tolist()) <= active | {-1}
            assert {label for _, label, _ in current_training_rows(project)} <= active
            for items in (queue(project, last, name) for name in QUEUES):
                cards(project, items, lambda _text, _label: ())  # each can be shown
        undo_all(project)
        assert what_stands(project) == before
        assert set(made) <= set(decisions_made(project))


def coordinates(project: Project) -> list[list[float]]:
    return current_layout(project)[2].tolist()


def undo_all(project: Project) -> None:
    while True:
        try:
            undo_edit(project, "bob")
        except StateError as error:
            if "no edit of the label set to undo" in str(error):
                return
            raise


DECIDE = st.tuples(st.sampled_from(["accept", "relabel", "reject", "none"]), st.integers(0, 5), st.integers(1, 4))


@settings(max_examples=25)
@given(st.lists(DECIDE, max_size=8), st.lists(DECIDE, max_size=4))
def test_decisions_before_and_after_a_merge_count_as_in_a_slow_computation(prepared, earlier, later):
    with tempfile.TemporaryDirectory() as folder:
        project = copied(prepared, Path(folder))
        texts = pool(project).tolist()
        log: list[tuple[int, str, int, bool]] = []
        for kind, place, label in earlier:
            decide(project, texts[place], kind, label=None if kind == "none" else label)
            log.append((texts[place], kind, label, False))
        apply_edit(project, Merge((1, 2), 3), "ann")
        for kind, place, label in later:
            decide(project, texts[place], kind, label=None if kind == "none" else max(label, 3))
            log.append((texts[place], kind, max(label, 3), True))
        fixed, masked = slow_reading(log)
        assert decided(project) == fixed
        assert rejected(project) == masked


def slow_reading(log: list[tuple[int, str, int, bool]]) -> tuple[dict[int, int], set[tuple[int, int]]]:
    """Return what is decided and ruled out after 1 and 2 became 3, computed text by text."""
    fixed: dict[int, int] = {}
    masked: set[tuple[int, int]] = set()
    for text_ in {entry[0] for entry in log}:
        refused: set[int] = set()
        holds, said, of_whole = None, None, False
        for _, kind, label, after in (entry for entry in log if entry[0] == text_):
            whole = 3 if label in {1, 2, 3} else label
            if kind == "reject":
                refused.add(label)
                of_whole = of_whole or (after and label == 3)
                if said == label or (after and holds == whole):
                    holds = None
            else:
                holds, said = (-1, None) if kind == "none" else (whole, label)
                if kind != "none":
                    refused.discard(label)
                    of_whole = of_whole and whole != 3
        if holds is not None:
            fixed[text_] = holds
        if {1, 2, 3} <= refused or of_whole:
            masked.add((text_, 3))
        masked |= {(text_, label) for label in refused if label > 3}
    return fixed, masked


# Rename


def test_a_renamed_label_is_the_same_label_under_another_name(busy):
    before = what_stands(busy)
    apply_edit(busy, Rename(REFUND, "  Money   back "), "ann")
    assert list_labels(busy)[0].name == "Money back"
    after = what_stands(busy)
    assert {key for key in before if before[key] != after[key]} == {"labels", "table", "export"}


def test_a_file_that_calls_a_renamed_label_by_its_old_name_means_that_label(small, tmp_path):
    apply_edit(small, Rename(REFUND, "money back"), "ann")
    file = write_csv(tmp_path / "more.csv", ["text", "label"], [("please repay me", "Refund")])
    import_files(small.workspace, small.name, file)
    assert len(list_labels(small)) == 7
    assert (text_ids(small)["please repay me"], REFUND) in set(zip(*(p.tolist() for p in seeds(small)), strict=True))


def test_a_name_whose_rename_was_undone_means_nothing(small, tmp_path):
    apply_edit(small, Rename(REFUND, "money back"), "ann")
    undo_edit(small, "ann")
    file = write_csv(tmp_path / "more.csv", ["text", "label"], seed_rows(["money back"]))
    import_files(small.workspace, small.name, file)
    assert [label.name for label in list_labels(small)] == [*NAMES, "money back"]


def test_the_hidden_truth_of_a_trial_follows_its_label_through_names_and_mergers(small):
    before = true_labels(small)
    apply_edit(small, Rename(REFUND, "money back"), "ann")
    assert true_labels(small) == before
    apply_edit(small, Merge((REFUND,), REPAIR), "ann")
    assert true_labels(small) == {t: REPAIR if n == REFUND else n for t, n in before.items()}


@pytest.mark.parametrize("name", ["delivery", " DELIVERY ", "Delivery"])
def test_a_name_that_another_label_has_is_refused(name, small):
    with pytest.raises(StateError, match="there is already a label 'delivery'"):
        apply_edit(small, Rename(REFUND, name), "ann")


def test_names_that_differ_only_in_how_they_are_composed_are_one_name(small):
    apply_edit(small, Rename(REFUND, "Cafe\u0301"), "ann")
    with pytest.raises(StateError, match="already"):
        apply_edit(small, Rename(DELIVERY, "CAF\u00c9"), "ann")


@pytest.mark.parametrize("name", ["", " \n ", "x" * 201, "a\0b"])
def test_an_invalid_name_is_refused(name, small):
    version = label_set_version(small)
    with pytest.raises(StateError, match="1 to 200 characters"):
        apply_edit(small, Rename(REFUND, name), "ann")
    assert label_set_version(small) == version


@pytest.mark.parametrize("name", ["none of these", " None  of THESE", "(none of these)"])
@pytest.mark.parametrize("kind", ["rename", "add", "split", "file"])
def test_no_label_can_be_called_none_of_these(kind, name, small, tmp_path):
    version = label_set_version(small)
    made: Edit | None = {
        "rename": Rename(REFUND, name),
        "add": Add(name, examples=("one example", "another one")),
        "split": Split(REFUND, {name: [1, 2], "other": [3, 4]}),
    }.get(kind)
    if made is None:
        file = write_csv(tmp_path / "labels.csv", ["id", "name"], [[str(REFUND), name]])
        with pytest.raises(RedError, match="says that no label fits"):
            read_label_set(small, file)
    else:
        with pytest.raises(StateError, match="says that no label fits"):
            apply_edit(small, made, "ann")
    assert label_set_version(small) == version


@pytest.mark.parametrize(
    "name", ["'; DROP TABLE label; --", "<script>alert(1)</script>", "\u202egnp.exe", '{"a": 1}', "=1+1", "🜁 %s {0}"]
)
def test_a_hostile_name_is_stored_as_it_is(name, busy):
    apply_edit(busy, Rename(REFUND, name), "ann")
    apply_edit(busy, Retire(REFUND), "ann")
    assert all(edit.told.splitlines() == [edit.told] for edit in edits(busy))
    undo_edit(busy, "ann")
    assert list_labels(busy)[0].name == name
    assert any(name in event.what or repr(name) in event.what for event in label_history(busy, REFUND))


# Merge


def test_facts_about_a_merged_label_count_for_the_other(busy):
    before = what_stands(busy)
    apply_edit(busy, Merge((REFUND, REPAIR), PRAISE), "ann")
    is_now = {REFUND: PRAISE, REPAIR: PRAISE}
    for view in ("decided",):
        fixed = {row[0]: is_now.get(row[3], row[3]) for row in before[view]}
        assert decided(busy) == fixed
    expected = {t: is_now.get(n, n) for t, n in before["seed"]}
    label_of = dict(zip(*(column.tolist() for column in seeds(busy)), strict=True))
    assert expected.items() <= label_of.items()
    learned = {t: is_now.get(n, n) for t, n, _ in before["training"]}
    assert {t: n for t, n, _ in current_training_rows(busy)} == learned | label_of


def test_a_text_under_two_labels_that_become_one_is_a_seed_of_it(small):
    torn = text_ids(small)[TORN]
    assert torn not in seeds(small)[0]
    apply_edit(small, Merge((REFUND,), REPAIR), "ann")
    assert count(small, "SELECT count(*) FROM contradiction") == 0
    assert dict(zip(*(column.tolist() for column in seeds(small)), strict=True))[torn] == REPAIR


@pytest.mark.parametrize(
    ("said", "fixed", "masked"),
    [
        ([("reject", REFUND)], None, False),
        ([("reject", REPAIR)], None, False),
        ([("reject", REFUND), ("reject", REPAIR)], None, True),
        ([("reject", REPAIR), ("accept", REFUND)], REPAIR, False),
        ([("accept", REFUND), ("reject", REPAIR)], REPAIR, False),
        ([("accept", REFUND), ("reject", REFUND)], None, False),
        ([("accept", REFUND), ("reject", REFUND), ("reject", REPAIR)], None, True),
        ([("reject", REFUND), ("reject", REPAIR), ("accept", REFUND)], REPAIR, False),
    ],
)
def test_a_text_is_ruled_out_of_a_whole_only_if_it_was_rejected_for_every_part(said, fixed, masked, small):
    for kind, label in said:
        decide(small, text(small), kind, label=label)
    apply_edit(small, Merge((REFUND,), REPAIR), "ann")
    assert decided(small).get(text(small)) == fixed
    assert ((text(small), REPAIR) in rejected(small)) == masked


def test_a_rejection_after_the_merge_is_of_the_whole(small):
    decide(small, text(small), "accept", label=REFUND)
    apply_edit(small, Merge((REFUND,), REPAIR), "ann")
    decide(small, text(small), "reject", label=REPAIR)
    assert (decided(small), rejected(small)) == ({}, {(text(small), REPAIR)})


def test_a_seed_whose_own_label_was_rejected_does_not_come_back_by_a_merge(small):
    (seed, *_), _ = (column.tolist() for column in seeds(small))
    decide(small, seed, "reject", label=REFUND)
    apply_edit(small, Merge((REFUND,), REPAIR), "ann")
    assert seed not in seeds(small)[0]


def test_what_was_fed_back_and_then_rejected_does_not_come_back_by_a_merge(small):
    number = reviewed_round(small, {text(small): (REFUND, SURE), text(small, 1): (REFUND, SURE)})
    asked = add_proposals(small, number, [question(text(small, place), REFUND, PRAISE) for place in (0, 1)])
    add_verdicts(small, "chat", [(each, Answer("valid", None, 1.0, "", "", "")) for each in asked])
    feed_back(small, plan_feed_back(small))
    decide(small, text(small), "reject", label=REFUND)
    apply_edit(small, Merge((REFUND,), REPAIR), "ann")
    trained = {t: n for t, n, _ in current_training_rows(small)}
    assert (trained.get(text(small)), trained.get(text(small, 1))) == (None, REPAIR)


def test_beliefs_in_merged_labels_add_up_and_may_change_which_is_the_best(small):
    first, second = text(small), text(small, 1)
    reviewed_round(small, {first: (DELIVERY, 0.4), second: (DELIVERY, 0.8)})
    with connection(small) as db, db.conn:
        tops = {first: "[[2, 0.4], [1, 0.3], [4, 0.25], [-1, 0.05]]", second: "[[2, 0.8], [1, 0.1], [4, 0.05]]"}
        for t, top in tops.items():
            db.execute("UPDATE prediction SET top = ?, runner_up = 1, runner_up_belief = ? WHERE text = ?",
                       [top, 0.3 if t == first else 0.1, t])  # fmt: skip
    before = rows(small, "SELECT * FROM prediction")
    apply_edit(small, Merge((REFUND,), REPAIR), "ann")
    stored = rows(small, "SELECT text, label, round(belief, 6), runner_up, round(runner_up_belief, 6) FROM prediction")
    assert stored == sorted([(first, REPAIR, 0.55, DELIVERY, 0.4), (second, DELIVERY, 0.8, REPAIR, 0.15)], key=repr)
    undo_edit(small, "ann")
    assert rows(small, "SELECT * FROM prediction") == before


def test_verdicts_about_merged_labels_are_stale_and_others_are_not(busy):
    before = {v.id for v in verdicts(busy) if v.stale}
    about = {v.id: v.label for v in verdicts(busy)}
    apply_edit(busy, Merge((REFUND,), REPAIR), "ann")
    stale = {v.id for v in verdicts(busy) if v.stale} - before
    assert stale == {v.id for v in verdicts(busy) if about[v.id] in {REFUND, REPAIR}}
    assert {v.label for v in verdicts(busy)} == {v.label for v in verdicts(busy)} - {REFUND}


def test_verdicts_given_while_labels_were_one_are_stale_once_they_are_two_again(small):
    def ask(label: int) -> int:
        number = reviewed_round(small, {text(small): (label, SURE)})
        asked = add_proposals(small, number, [question(text(small), label, PRAISE)])
        add_verdicts(small, "chat", [(asked[0], Answer("valid", None, 1.0, "", "", ""))])
        close_round(small)
        return number

    rounds_of = [ask(REPAIR)]
    apply_edit(small, Merge((REFUND,), REPAIR), "ann")
    rounds_of.append(ask(REPAIR))
    stale = {v.round_id: v.stale for v in verdicts(small)}
    assert stale == {rounds_of[1]: False}  # the newest of the pair replaces the older
    undo_edit(small, "ann")
    assert [v.stale for v in verdicts(small)] == [True]
    assert count(small, "SELECT count(*) FROM stale_verdict") == 1  # the first verdict is about the label as it is now


def test_the_target_keeps_its_meaning_and_its_place(small):
    set_meanings(small, {REFUND: "money goes back", REPAIR: "it is mended"}, "ann")
    before = dict(zip(current_layout(small)[0].tolist(), coordinates(small), strict=True))
    apply_edit(small, Merge((REFUND,), REPAIR), "ann")
    assert {label.name: label.meaning for label in list_labels(small)}["repair"] == "it is mended"
    assert dict(zip(current_layout(small)[0].tolist(), coordinates(small), strict=True)) == {
        label: spot for label, spot in before.items() if label != REFUND
    }


def test_what_was_merged_into_a_merged_label_goes_along(small):
    apply_edit(small, Merge((REFUND,), REPAIR), "ann")
    apply_edit(small, Merge((REPAIR,), PRAISE), "ann")
    assert len([n for n in seeds(small)[1].tolist() if n == PRAISE]) == 13  # four of each, and the torn one
    undo_edit(small, "ann")
    assert set(seeds(small)[1].tolist()) == {2, 3, 4, 5, 6, 7}


def test_a_file_that_names_a_merged_label_adds_to_what_it_became(small, tmp_path):
    apply_edit(small, Merge((REFUND,), REPAIR), "ann")
    file = write_csv(tmp_path / "more.csv", ["text", "label"], [("please repay me", "refund")])
    import_files(small.workspace, small.name, file)
    given = dict(zip(*(column.tolist() for column in seeds(small)), strict=True))
    assert given[text_ids(small)["please repay me"]] == REPAIR
    undo_edit(small, "ann")
    given = dict(zip(*(column.tolist() for column in seeds(small)), strict=True))
    assert given[text_ids(small)["please repay me"]] == REFUND


@pytest.mark.parametrize("chosen", [[], [REPAIR], [REFUND, REFUND], [99]])
def test_an_invalid_merge_is_refused(chosen, small):
    with pytest.raises(StateError):
        apply_edit(small, Merge(tuple(chosen), REPAIR), "ann")


# Retire


def test_seeds_of_a_retired_label_become_pool_and_decisions_for_it_do_not_stand(small):
    texts = [t for t, n in zip(*(column.tolist() for column in seeds(small)), strict=True) if n == REFUND]
    decide(small, text(small, 1), "accept", label=REFUND)
    decide(small, text(small, 2), "reject", label=REFUND)
    apply_edit(small, Retire(REFUND), "ann")
    assert set(texts) <= set(pool(small).tolist())
    assert (decided(small), rejected(small)) == ({}, set())
    undo_edit(small, "ann")
    assert decided(small) == {text(small, 1): REFUND}


def test_what_a_decision_for_a_retired_label_replaced_does_not_come_back(small):
    decide(small, text(small), "accept", label=DELIVERY)
    decide(small, text(small), "relabel", label=REFUND)
    apply_edit(small, Retire(REFUND), "ann")
    assert decided(small) == {}
    decide(small, text(small), "accept", label=DELIVERY)
    assert decided(small) == {text(small): DELIVERY}


def test_nothing_about_a_retired_label_is_in_a_queue_or_predicted(busy):
    last = 2
    apply_edit(busy, Retire(REFUND), "ann")
    shown = [card for name in QUEUES for card in cards(busy, queue(busy, last, name), lambda _t, _l: ())]
    assert shown
    assert REFUND not in {n for card in shown for n in (card.label.id, card.runner_up.id, *dict(card.best))}
    assert REFUND not in {v.label for v in verdicts(busy)}
    assert REFUND not in predicted_labels(busy, last)[1]
    assert "refund" not in {row["label"] for row in export_rows(busy, last)}


def test_a_blind_answer_that_names_a_retired_label_is_asked_for_again(small):
    reviewed_round(small, {int(t): (DELIVERY, SURE) for t in pool(small)[:5]})
    (card,) = deal(small, who="eve", count=1, rng=np.random.default_rng(2))
    answer(small, card.audit, "label", label=REFUND, who="eve")
    apply_edit(small, Retire(REFUND), "ann")
    (again,) = deal(small, who="eve", count=1)
    assert again.audit == card.audit
    assert REFUND not in again.options
    with pytest.raises(StateError, match="retired"):
        answer(small, card.audit, "label", label=REFUND, who="eve")
    answer(small, card.audit, "label", label=DELIVERY, who="eve")


def test_one_of_the_last_two_labels_stays(make_project):
    project = make_project(seeds=seed_rows(LABELS[:3]), pool=pool_rows(LABELS[:3]))
    apply_edit(project, Retire(1), "ann")
    for edit in (Retire(2), Merge((2,), 3), RetireList((2,)), MergePairs({2: 3})):
        with pytest.raises(StateError, match="at least two labels must be left"):
            apply_edit(project, edit, "ann")


def test_hundreds_of_labels_are_retired_and_added_at_once_and_undone(make_project):
    names = [f"label {n:03d}" for n in range(400)]
    project = make_project(seeds=[(f"about {name}, {n}", name) for name in names for n in range(2)], pool=pool_rows())
    texts = pool(project).tolist()
    reviewed_round(project, {text: (place + 1, 0.9) for place, text in enumerate(texts)})
    before = predicted_labels(project, 1)
    apply_edit(project, RetireList(tuple(range(2, 342))), "ann")
    assert predicted_labels(project, 1)[0].tolist() == texts[:1]  # the best label of all others is gone
    undo_edit(project, "ann")
    assert [column.tolist() for column in predicted_labels(project, 1)] == [column.tolist() for column in before]


def test_a_decision_about_a_label_that_is_gone_is_refused_with_what_became_of_it(small):
    apply_edit(small, Merge((REFUND,), REPAIR), "ann")
    apply_edit(small, Retire(PRAISE), "ann")
    with pytest.raises(CardChanged, match="'refund' was merged into 'repair'"):
        decide(small, text(small), "accept", label=REFUND)
    with pytest.raises(CardChanged, match="'praise' was retired"):
        decide(small, text(small), "accept", label=PRAISE)


def test_a_plan_to_feed_back_a_label_that_is_gone_is_refused(small):
    reviewed_round(small, {text(small): (REFUND, SURE)})
    decide(small, text(small), "accept", label=REFUND)
    plan = plan_feed_back(small)
    apply_edit(small, Retire(REFUND), "ann")
    with pytest.raises(StateError, match="retired"):
        feed_back(small, plan)


# Move, and subsets


def test_a_moved_label_keeps_its_place_and_only_subsets_change(small):
    before = coordinates(small)
    apply_edit(small, Move(REFUND, 1), "ann")
    assert current_layout(small)[1].tolist() == [1, 1, 2, 0, 1, 2, 0]
    assert coordinates(small) == before
    undo_edit(small, "bob")
    assert current_layout(small)[1].tolist() == SUBSETS


def test_a_label_left_alone_joins_another_subset_and_an_empty_one_disappears(small):
    shown = preview(small, Move(DELIVERY, 0))
    assert "left alone, 'invoice' joins subset" in shown.message
    apply_edit(small, Move(DELIVERY, 0), "ann")
    check_partition(small)
    assert len(shown.subset_sizes) == int(current_layout(small)[1].max()) + 1 == 2


@pytest.mark.parametrize(("label", "subset"), [(REFUND, 0), (REFUND, 3), (REFUND, -1), (99, 0)])
def test_a_move_that_makes_no_sense_is_refused(label, subset, small):
    with pytest.raises(StateError):
        apply_edit(small, Move(label, subset), "ann")


def test_labels_of_a_later_file_join_the_subsets_there_are(small, tmp_path):
    apply_edit(small, Move(REFUND, 1), "ann")
    before = current_layout(small)
    import_files(small.workspace, small.name, write_csv(tmp_path / "n.csv", ["text", "label"], seed_rows(["upgrade"])))
    form_subsets(embed(small), FAST, EMBEDDING, "ann")
    ids, subset_of, after = current_layout(small)
    assert (ids.tolist(), subset_of[:7].tolist()) == ([*range(1, 9)], before[1].tolist())
    assert after[:7].tolist() == before[2].tolist()
    undo_edit(small, "bob")  # undoes the move; the new label stays in its subset
    assert current_layout(small)[1][:7].tolist() == SUBSETS
    check_partition(small)


def test_subsets_that_were_adopted_are_undone_in_their_turn(small):
    adopt_subsets(small, np.array([0, 0, 0, 1, 1, 1, 1]), "ann")
    apply_edit(small, Rename(REFUND, "money back"), "ann")
    assert undo_edit(small, "bob") == "renamed 'refund' to 'money back'"
    assert undo_edit(small, "bob") == "2 subsets formed"
    assert current_layout(small)[1].tolist() == SUBSETS
    with pytest.raises(StateError, match="no edit"):
        undo_edit(small, "bob")


# Add


def test_examples_of_a_new_label_are_its_seeds_and_leave_the_pool(small):
    chosen = [text(small, 3), text(small, 9)]
    apply_edit(small, Add("upgrade", "wants a better one", 1, tuple(chosen)), "ann")
    (new,) = [label for label in list_labels(small) if label.name == "upgrade"]
    given = dict(zip(*(column.tolist() for column in seeds(small)), strict=True))
    assert {t: given[t] for t in chosen} == dict.fromkeys(chosen, new.id)
    assert not set(chosen) & set(pool(small).tolist())
    assert {t: n for t, n, _ in current_training_rows(small)}.items() >= dict.fromkeys(chosen, new.id).items()
    assert new.meaning == "wants a better one"
    assert [event.what for event in text_history(small, chosen[0])][-1].startswith("relabelled as upgrade")
    evidence = valid_samples(small, EMBEDDING, current_layout(small)[0])
    assert len(set(evidence.texts.tolist())) == len(evidence.texts)
    ids, subset_of, _ = current_layout(small)
    assert dict(zip(ids.tolist(), subset_of.tolist(), strict=True))[new.id] == 1
    undo_edit(small, "bob")
    assert set(chosen) <= set(pool(small).tolist())


def test_typed_examples_become_seeds_and_never_pool(small):
    before = pool(small).tolist()
    apply_edit(
        small, Add("upgrade", "", None, ("a better one please", "  a better   one please", "the next size")), "ann"
    )
    typed = [text_ids(small)[content] for content in ("a better one please", "the next size")]
    assert set(typed) <= set(seeds(small)[0].tolist())
    assert views.sources(small)[-1]["file"] == "typed by ann"
    assert pool(small).tolist() == before
    apply_edit(small, Retire(8), "ann")
    assert pool(small).tolist() == before
    undo_edit(small, "ann")
    undo_edit(small, "ann")
    assert pool(small).tolist() == before
    apply_edit(small, Add("upgrade", "", None, ("a better one please", "the next size")), "ann")
    assert set(typed) <= set(seeds(small)[0].tolist())


def test_a_typed_text_that_is_in_the_pool_is_that_text(small):
    (content,) = [c for c, t in text_ids(small).items() if t == text(small)]
    apply_edit(small, Add("upgrade", "", None, (content, "another")), "ann")
    assert decided(small) == {text_ids(small)[content]: 8}


def test_an_invalid_example_is_refused(busy):
    (audited, *_) = rows(busy, "SELECT text FROM audit WHERE purpose <> 'planted'")[0]
    seed, free = int(seeds(busy)[0][0]), [t for t in pool(busy).tolist() if t != audited][:2]
    for examples, rule in [
        ((seed, *free), "is not an unlabelled text"),
        ((10_000, *free), "is not an unlabelled text"),
        ((audited, *free), "blind audit"),
        (free[:1], "at least 2 different"),
        ((free[0], free[0]), "at least 2 different"),
        (("x", " x "), "at least 2 different"),
        (("x", ""), "1 to 20,000 characters"),
    ]:
        with pytest.raises(StateError, match=rule):
            apply_edit(busy, Add("upgrade", "", 0, tuple(examples)), "ann")
    with pytest.raises(StateError, match="no subset 9"):
        apply_edit(busy, Add("upgrade", "", 8, tuple(free)), "ann")


def test_a_label_without_seeds_is_the_mean_of_what_decisions_gave_it(small):
    chosen = [text(small, 3), text(small, 9)]
    apply_edit(small, Add("upgrade", "", 1, tuple(chosen)), "ann")
    others = [text(small, 20), text(small, 21)]
    for t in chosen:
        decide(small, t, "none")
    for t in others:
        decide(small, t, "accept", label=8)
    assert texts_of(small, 8) == others
    assert 8 not in seeds(small)[1]
    assert seed_label_vectors(small, EMBEDDING).shape[0] == 8


def test_a_new_label_that_was_used_since_cannot_be_undone_but_retired(small):
    apply_edit(small, Add("upgrade", "", 1, (text(small, 3), text(small, 9))), "ann")
    decide(small, text(small), "accept", label=8)
    with pytest.raises(StateError, match="1 decisions use it now"):
        undo_edit(small, "ann")
    apply_edit(small, Retire(8), "ann")
    assert decided(small) == {}
    undo_edit(small, "ann")
    assert decided(small)[text(small)] == 8


# Split


def texts_of(project: Project, label: int) -> list[int]:
    return [t for t, n in zip(*(part.tolist() for part in samples(project)), strict=True) if n == label]


def test_a_split_label_gives_its_seeds_and_decided_texts_away_and_is_retired(small):
    decide(small, text(small, 5), "accept", label=REFUND)
    decide(small, text(small, 6), "reject", label=REFUND)
    own, more, refused = texts_of(small, REFUND), text(small, 5), text(small, 6)
    apply_edit(small, Split(REFUND, {"fees": own[:2], "goods": [*own[2:], more]}), "ann")
    named = {label.name: label.id for label in list_labels(small)}
    assert "refund" not in named
    given = dict(zip(*(column.tolist() for column in seeds(small)), strict=True))
    assert {given[t] for t in own[:2]} == {named["fees"]}
    assert {given[t] for t in [*own[2:], more]} == {named["goods"]}
    assert rejected(small) == {(refused, named["fees"]), (refused, named["goods"])}
    check_partition(small)
    ids, subset_of, _ = current_layout(small)
    of = dict(zip(ids.tolist(), subset_of.tolist(), strict=True))
    assert of[named["fees"]] != of[named["goods"]]


def test_a_split_label_may_keep_what_is_not_assigned(small):
    texts = texts_of(small, REFUND)
    apply_edit(small, Split(REFUND, {"fees": texts[:2]}), "ann")
    assert texts_of(small, REFUND) == texts[2:]
    with pytest.raises(StateError, match="would keep fewer than 2"):
        apply_edit(small, Split(DELIVERY, {"parcels": texts_of(small, DELIVERY)[:3]}), "ann")
    apply_edit(small, Split(DELIVERY, {"parcels": texts_of(small, DELIVERY)[:3]}, retire=True), "ann")
    assert "delivery" not in label_ids(small)


def test_a_part_may_have_the_name_of_the_label_that_is_retired(small):
    texts = texts_of(small, REFUND)
    apply_edit(small, Split(REFUND, {"Refund": texts[:2], "goods": texts[2:]}), "ann")
    assert label_ids(small)["Refund"] != REFUND
    undo_edit(small, "ann")
    assert label_ids(small)["refund"] == REFUND


def test_a_label_without_a_subset_is_split_and_its_parts_get_theirs_with_the_next_round(small, tmp_path):
    import_files(small.workspace, small.name, write_csv(tmp_path / "n.csv", ["text", "label"], seed_rows(["upgrade"])))
    texts = texts_of(embed(small), 8)
    apply_edit(small, Split(8, {"better": texts[:2], "larger": texts[2:]}), "ann")
    assert current_layout(small)[0].tolist() == [*range(1, 8)]
    form_subsets(small, FAST, EMBEDDING, "ann")
    check_partition(small)


def test_an_invalid_split_is_refused(small):
    texts = texts_of(small, REFUND)
    for parts, rule in [
        ({}, "name each part"),
        ({"a": texts[:2], " a ": texts[2:]}, "name each part"),
        ({"a": texts[:2], "b": texts[1:3]}, "one part only"),
        ({"a": texts[:1]}, "at least 2"),
        ({"a": [texts[0], text(small)]}, "only labelled examples and decided texts"),
        ({"delivery": texts[:2]}, "already"),
    ]:
        with pytest.raises(StateError, match=rule):
            apply_edit(small, Split(REFUND, parts), "ann")


def test_a_proposed_split_has_the_same_clusters_every_time(make_project):
    fruit = [(f"{word} number {n}", "both") for word in ("apple", "pear") for n in range(6)]
    project = make_project(seeds=[*fruit, *seed_rows(["other"])])
    clusters = propose_split(project, 1, 2)
    assert clusters == propose_split(project, 1, 2)
    assert sorted(t for cluster in clusters for t in cluster) == texts_of(project, 1)
    content = {t: c for c, t in text_ids(project).items()}
    assert {frozenset(content[t].split()[0] for t in cluster) for cluster in clusters} == {
        frozenset({"apple"}), frozenset({"pear"}),
    }  # fmt: skip
    with pytest.raises(StateError, match="too few for 7 parts"):
        propose_split(project, 1, 7)


# Preview, versions, refusals


EXAMPLES: dict[str, Callable[[Project], Edit]] = {
    "rename": lambda _: Rename(REFUND, "money back"),
    "merge": lambda _: Merge((REFUND,), REPAIR),
    "retire": lambda _: Retire(REFUND),
    "move": lambda _: Move(REFUND, 1),
    "add": lambda p: Add("upgrade", "", 1, (text(p, 3), text(p, 9), "a typed one")),
    "split": lambda p: Split(REFUND, {"a": texts_of(p, REFUND)[:2]}, retire=True),
}


def test_every_kind_of_edit_has_an_example_here():
    assert EXAMPLES.keys() == EDITS.keys()


@pytest.mark.parametrize("kind", EDITS)
def test_a_preview_says_what_happens_and_changes_nothing(kind, busy):
    before, version = what_stands(busy), label_set_version(busy)
    edit = EXAMPLES[kind](busy)
    shown = preview(busy, edit)
    assert what_stands(busy) == before
    assert label_set_version(busy) == version
    assert apply_edit(busy, edit, "ann") == version + 1
    after = what_stands(busy)
    assert shown.message == edits(busy)[-1].told
    assert shown.labels == len(after["labels"])
    assert shown.seeds == differing(before["seed"], after["seed"])
    assert shown.decisions == differing(fixed(before), fixed(after))
    assert shown.stale == len(fresh(before) - fresh(after))
    assert shown.predictions == differing(predicted(before), predicted(after))
    assert list(shown.subset_sizes) == np.bincount(current_layout(busy)[1]).tolist()


def differing(before: Iterable[tuple[Any, ...]], after: Iterable[tuple[Any, ...]]) -> int:
    return len({row[0] for row in set(before) ^ set(after)})


def fixed(stands: dict[str, Any]) -> list[tuple[int, int]]:
    return [(row[0], row[3]) for row in stands["decided"]]


def predicted(stands: dict[str, Any]) -> list[tuple[int, int]]:
    return [row[1:3] for row in stands["prediction"] if row[0] == 2]


def fresh(stands: dict[str, Any]) -> set[int]:
    return {v.id for v in stands["verdicts"] if not v.stale}


@pytest.mark.parametrize(
    ("kind", "refitted"), [("rename", (0,)), ("merge", (0,)), ("retire", (0,)), ("move", (0, 1)), ("add", (1,))]
)
def test_only_the_classifiers_of_touched_subsets_are_to_be_fitted(kind, refitted, small):
    assert preview(small, EXAMPLES[kind](small)).refitted == (refitted,)


@pytest.mark.parametrize("kind", EDITS)
def test_an_edit_is_a_version_and_its_undoing_another(kind, busy):
    before, version = what_stands(busy), label_set_version(busy)
    apply_edit(busy, EXAMPLES[kind](busy), "ann")
    last = edits(busy)[-1]
    assert (last.version, last.kind, last.who, last.undone) == (version + 1, kind, "ann", False)
    assert undo_edit(busy, "bob") == last.told
    assert [(e.version, e.kind, e.undone) for e in edits(busy)][-2:] == [
        (version + 1, kind, True), (version + 2, "undo", False),
    ]  # fmt: skip
    assert what_stands(busy) == before


@pytest.mark.parametrize("kind", EDITS)
def test_no_edit_while_a_job_runs_or_in_mid_round_and_any_while_a_round_is_to_review(kind, small):
    edit = EXAMPLES[kind](small)
    open_round(small, FAST.model_dump_json(), "evidence", "ann")
    with pytest.raises(StateError, match="round 1 of project small is not finished"):
        apply_edit(small, edit, "ann")
    close_round(small)
    reviewed_round(small, {text(small): (REFUND, SURE)})
    add_job(small, "round", "{}", "ann")
    for refused in (
        lambda: apply_edit(small, edit, "ann"),
        lambda: preview(small, edit),
        lambda: undo_edit(small, "a"),
    ):
        with pytest.raises(StateError, match=r"a job is running|no edit"):
            refused()
    with connection(small) as db, db.conn:
        db.execute("UPDATE job SET state = 'done'")
    apply_edit(small, edit, "ann")
    feed_back(small, plan_feed_back(small))


def test_a_name_that_was_taken_since_must_be_given_up_before_the_undo(small, tmp_path):
    apply_edit(small, Retire(REFUND), "ann")
    import_files(
        small.workspace, small.name, write_csv(tmp_path / "n.csv", ["text", "label"], seed_rows(["refund"])[2:])
    )
    with pytest.raises(StateError, match="there is already a label 'refund'"):
        undo_edit(small, "ann")
    assert len(list_labels(small)) == 7


def test_the_desk_does_not_undo_what_an_edit_decided(small):
    decide(small, text(small), "accept", label=REFUND, who="ann")
    apply_edit(small, Add("upgrade", "", 1, (text(small, 3), text(small, 9))), "ann")
    undo(small, who="ann")
    assert sorted(decided(small).values()) == [8, 8]


def test_a_labels_history_lists_its_edits(small):
    apply_edit(small, Merge((REFUND,), REPAIR), "ann")
    apply_edit(small, Rename(REPAIR, "mend"), "bob")
    events = [event.what for event in label_history(small, REPAIR)]
    assert "merged 'refund' into 'repair', version 3" in events
    assert "renamed 'repair' to 'mend', version 4" in events
    assert "added to the label set, version 1" in events


def test_an_edit_prepared_before_another_edit_is_refused(small, monkeypatch):
    class Late(label_edits.LabelSetSnapshot):
        def __init__(self, project: Project) -> None:
            super().__init__(project)
            with connection(project) as db, db.conn:
                db.execute("INSERT INTO label_edit (kind, detail, who, at) VALUES ('labels added', '[]', 'bob', '')")

    monkeypatch.setattr(label_edits, "LabelSetSnapshot", Late)
    with pytest.raises(StateError, match="somebody edited the label set"):
        apply_edit(small, Rename(REFUND, "money back"), "ann")


# Rounds


QUICK = FAST.model_copy(update={"regularisation": (10.0,), "neighbour_weights": ()})


@pytest.fixture(scope="module")
def rounded(prepared: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = copied(prepared, tmp_path_factory.mktemp("rounded"))
    run_round(project, QUICK)
    close_round(project)
    return project


@pytest.mark.parametrize("kind", EDITS)
def test_a_round_runs_after_an_edit_and_its_labels_are_the_active_ones(kind, rounded, tmp_path):
    project = copied(rounded, tmp_path)
    before = current_layout(project)
    apply_edit(project, EXAMPLES[kind](project), "ann")
    placed_now = [part.tolist() for part in current_layout(project)]
    embed(project)
    last = run_round(project, QUICK)
    assert [part.tolist() for part in current_layout(project)] == placed_now
    assert last.state == "to review"
    active = {label.id for label in list_labels(project)}
    assert set(predicted_labels(project, last.id)[1].tolist()) <= active | {-1}
    assert {p[3] for p in rows(project, f"SELECT * FROM proposal WHERE round = {last.id}")} <= active
    export(project, tmp_path / "out.csv")
    assert len(before[0]) == 7
