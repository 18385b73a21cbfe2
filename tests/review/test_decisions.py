"""What is fed back, what is withheld and why, and refused decisions; store/test_decisions.py tests the stored rows."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from red_core.data.importing import import_files
from red_core.errors import StateError
from red_core.labels.edit_kinds import Split
from red_core.labels.edits import apply_edit
from red_core.labels.meaning import Mean
from red_core.records import Answer, Project
from red_core.review.decisions import DECIDED_NONE, FeedBackPlan, Provenance, decide, feed_back, plan_feed_back, undo
from red_core.settings import Settings
from red_core.store.database import connection
from red_core.store.decisions import decided, rejected, roll_back
from red_core.store.jobs import add_job
from red_core.store.rounds import close_round, current_training_rows, list_rounds
from red_core.store.texts import pool, seeds
from red_core.store.verdicts import add_proposals, add_verdicts
from tests.helpers.small_projects import (
    FAST,
    label_ids,
    question,
    reviewed_round,
    seed_rows,
    small_project,
    write_csv,
)

SURE, DOUBTFUL = 0.97, 0.6
CHAT, CHECK = "chat", "evidence"


def text(project: Project, place: int = 0) -> int:
    return int(pool(project)[place])


def judged(
    project: Project,
    *verdicts: tuple[int, int, str],
    belief: Mapping[int, tuple[int, float]] | None = None,
    judge: str = CHAT,
    settings: Settings = FAST,
    meaning: int | None = None,
) -> int:
    """Put a round to review with verdicts (position in the pool, label, outcome); by default each label is certain."""
    believed = {place: (label, SURE) for place, label, _ in verdicts} if belief is None else belief
    number = reviewed_round(project, {text(project, p): b for p, b in believed.items()}, settings, judge)
    ids = add_proposals(project, number, [question(text(project, place), label, 4) for place, label, _ in verdicts])
    answers = [Answer(outcome, None, 1.0, "", "", "", meaning_id=meaning) for _, _, outcome in verdicts]
    add_verdicts(project, judge, list(zip(ids, answers, strict=True)))
    return number


def chosen(plan: FeedBackPlan) -> list[tuple[int, int, float, str]]:
    return [(item.text, item.label, item.weight, item.source) for item in plan.items]


def trained(project: Project) -> dict[int, int]:
    seed_texts = set(seeds(project)[0].tolist())
    return {t: label for t, label, _ in current_training_rows(project) if t not in seed_texts}


# Eligible


def test_a_valid_verdict_on_a_believed_label_is_eligible_with_its_belief_as_weight(project):
    judged(project, (0, 1, "valid"))
    plan = plan_feed_back(project)
    assert (chosen(plan), plan.withheld) == ([(text(project), 1, SURE, "verdict")], {})


def test_a_decision_is_eligible_with_full_weight_whatever_the_belief(project):
    judged(project)
    decide(project, text(project), "accept", label=2)
    assert chosen(plan_feed_back(project)) == [(text(project), 2, 1.0, "decision")]


def test_a_decision_about_a_text_nobody_proposed_is_eligible(project):
    judged(project, (0, 1, "valid"))
    decide(project, text(project, 5), "relabel", label=3)
    assert (text(project, 5), 3, 1.0, "decision") in chosen(plan_feed_back(project))


def test_a_decision_made_in_an_earlier_round_is_eligible(project):
    judged(project)
    decide(project, text(project), "accept", label=1)
    close_round(project)
    judged(project)
    assert chosen(plan_feed_back(project)) == [(text(project), 1, 1.0, "decision")]


def test_a_decision_settles_a_text_under_two_labels(workspace):
    torn = "torn between the two"
    project = small_project(workspace, seeds=[*seed_rows(), (torn, "refund"), (torn, "repair")])
    judged(project)
    with connection(project) as db:
        (contradictory,) = db.execute("SELECT text FROM contradiction").fetchone()
    decide(project, contradictory, "relabel", label=label_ids(project)["repair"])
    feed_back(project, plan_feed_back(project))
    assert trained(project) == {contradictory: label_ids(project)["repair"]}


def test_items_come_in_the_order_of_the_texts(project):
    judged(project, (7, 1, "valid"), (2, 2, "valid"), (5, 3, "valid"))
    assert [item.text for item in plan_feed_back(project).items] == [text(project, p) for p in (2, 5, 7)]


def test_of_two_valid_labels_the_likelier_one_is_eligible(project):
    low = FAST.model_copy(update={"feed_back_belief": 0.2})
    judged(project, (0, 1, "valid"), (0, 4, "valid"), belief={0: (1, 0.7)}, settings=low)
    plan = plan_feed_back(project)
    assert chosen(plan) == [(text(project), 1, 0.7, "verdict")]
    assert plan.withheld == {"judged valid for a likelier label too": 1}


def test_a_verdict_of_an_earlier_round_is_eligible_when_the_belief_has_grown(project):
    judged(project, (0, 1, "valid"), belief={0: (1, DOUBTFUL)})
    close_round(project)
    judged(project, belief={0: (1, SURE)})
    assert chosen(plan_feed_back(project)) == [(text(project), 1, SURE, "verdict")]


@pytest.mark.parametrize(("least", "eligible"), [(0.5, 1), (0.7, 1), (0.71, 0)])
def test_the_least_belief_is_a_setting_of_the_round(least, eligible, project):
    settings = FAST.model_copy(update={"feed_back_belief": least})
    judged(project, (0, 1, "valid"), belief={0: (1, 0.7)}, settings=settings)
    assert len(plan_feed_back(project).items) == eligible


# Withheld


def test_a_valid_verdict_on_a_doubtful_label_is_withheld(project):
    judged(project, (0, 1, "valid"), belief={0: (1, DOUBTFUL)})
    plan = plan_feed_back(project)
    assert (chosen(plan), plan.withheld) == ([], {"confidence under 70%": 1})


def test_a_valid_verdict_on_a_label_the_round_does_not_believe_at_all_is_withheld(project):
    judged(project, (0, 1, "valid"), belief={0: (2, SURE)})
    assert plan_feed_back(project).withheld == {"confidence under 70%": 1}


@pytest.mark.parametrize("changed", ["meaning", "extent"])
def test_a_verdict_on_a_label_that_changed_since_is_withheld(changed, project):
    judged(project, (0, 1, "valid"), (1, 2, "valid"), meaning=0)
    others = [number for number, label in zip(*seeds(project), strict=True) if label == 1][:2]
    edit = Mean(1, "Only money.") if changed == "meaning" else Split(1, {"new": [int(number) for number in others]})
    apply_edit(project, edit, who="ann")
    plan = plan_feed_back(project)
    assert [item.label for item in plan.items] == [2]
    assert plan.withheld == {"outdated: the label changed after the verdict": 1}


@pytest.mark.parametrize("outcome", ["invalid", "unsure", "refused", "unparseable"])
def test_any_other_verdict_is_neither_eligible_nor_counted(outcome, project):
    judged(project, (0, 1, outcome))
    plan = plan_feed_back(project)
    assert (chosen(plan), plan.withheld) == ([], {})


def test_a_verdict_of_the_evidence_check_needs_a_decision(project):
    judged(project, (0, 1, "valid"), judge=CHECK)
    plan = plan_feed_back(project)
    assert (chosen(plan), plan.withheld) == ([], {"the similarity check needs a decision": 1})


def test_a_verdict_of_the_evidence_check_is_eligible_where_that_is_accepted(project):
    judged(project, (0, 1, "valid"), judge=CHECK)
    plan = plan_feed_back(project, accept_evidence_check=True)
    assert (chosen(plan), plan.withheld) == ([(text(project), 1, SURE, "verdict")], {})


@pytest.mark.parametrize(("judge", "withheld"), [(CHAT, {}), (CHECK, {"confidence under 95%": 1})])
def test_a_verdict_of_the_evidence_check_must_be_surer_than_that_of_an_llm(judge, withheld, project):
    judged(project, (0, 1, "valid"), belief={0: (1, 0.9)}, judge=judge)
    plan = plan_feed_back(project, accept_evidence_check=True)
    assert (len(plan.items), plan.withheld) == (0 if withheld else 1, withheld)


def test_that_the_evidence_check_was_accepted_is_recorded(project):
    judged(project, (0, 1, "valid"), judge=CHECK)
    feed_back(project, plan_feed_back(project, accept_evidence_check=True), who="ann")
    with connection(project) as db:
        assert db.execute("SELECT round, accept_evidence_check, who FROM feed_back").fetchall() == [(1, 1, "ann")]


def test_what_was_fed_back_already_is_withheld(project):
    judged(project, (0, 1, "valid"))
    feed_back(project, plan_feed_back(project))
    judged(project, (1, 2, "valid"), belief={0: (1, SURE), 1: (2, SURE)})
    plan = plan_feed_back(project)
    assert [item.text for item in plan.items] == [text(project, 1)]
    assert plan.withheld == {"already fed back": 1}


def test_what_was_rolled_back_is_eligible_again(project):
    number = judged(project, (0, 1, "valid"))
    feed_back(project, plan_feed_back(project))
    roll_back(project, number, "tester")
    assert list_rounds(project)[-1].state == "to review"  # the review continues
    assert [(i.text, i.label) for i in plan_feed_back(project).items] == [(text(project), 1)]
    close_round(project)
    judged(project, belief={0: (1, SURE)})
    assert chosen(plan_feed_back(project)) == [(text(project), 1, SURE, "verdict")]


def test_a_seed_is_never_fed_back(project):
    judged(project)
    (seed, *_), (own, *_) = (column.tolist() for column in seeds(project))
    decide(project, seed, "accept", label=own)
    assert plan_feed_back(project).items == ()


# A decision beats a verdict


@pytest.mark.parametrize(("kind", "label"), [("accept", 1), ("relabel", 2)])
def test_a_decision_takes_the_place_of_the_verdict(kind, label, project):
    judged(project, (0, 1, "valid"))
    decide(project, text(project), kind, label=label)
    plan = plan_feed_back(project)
    assert chosen(plan) == [(text(project), label, 1.0, "decision")]
    assert plan.withheld == {"a decision counts instead": 1}


def test_none_of_these_keeps_a_text_out_whatever_the_verdict(project):
    judged(project, (0, 1, "valid"))
    decide(project, text(project), "none")
    plan = plan_feed_back(project)
    assert (chosen(plan), plan.withheld) == ([], {"a decision counts instead": 1, DECIDED_NONE: 1})


def test_a_rejection_keeps_out_the_verdict_on_that_label(project):
    judged(project, (0, 1, "valid"))
    decide(project, text(project), "reject", label=1)
    plan = plan_feed_back(project)
    assert (chosen(plan), plan.withheld) == ([], {"rejected by an analyst": 1})


def test_a_rejection_of_another_label_does_not(project):
    judged(project, (0, 1, "valid"))
    decide(project, text(project), "reject", label=2)
    assert len(plan_feed_back(project).items) == 1


def test_a_skipped_text_is_left_to_the_verdict(project):
    judged(project, (0, 1, "valid"))
    decide(project, text(project), "skip")
    assert chosen(plan_feed_back(project)) == [(text(project), 1, SURE, "verdict")]


def test_an_undone_decision_leaves_the_text_to_the_verdict_again(project):
    judged(project, (0, 1, "valid"))
    decide(project, text(project), "none")
    undo(project)
    assert chosen(plan_feed_back(project)) == [(text(project), 1, SURE, "verdict")]


def test_what_a_decision_fed_back_leaves_the_training_set_when_it_is_undone(project):
    judged(project)
    decide(project, text(project), "accept", label=1)
    feed_back(project, plan_feed_back(project))
    assert trained(project) == {text(project): 1}
    undo(project)
    assert trained(project) == {}


def test_a_relabelled_text_that_was_fed_back_is_fed_back_under_its_new_label(project):
    judged(project, (0, 1, "valid"))
    feed_back(project, plan_feed_back(project))
    judged(project)
    decide(project, text(project), "relabel", label=2)
    feed_back(project, plan_feed_back(project))
    assert trained(project) == {text(project): 2}


def test_a_label_accepted_after_it_was_rejected_trains(project):
    judged(project)
    decide(project, text(project), "reject", label=1)
    decide(project, text(project), "accept", label=1)
    feed_back(project, plan_feed_back(project))
    assert trained(project) == {text(project): 1}


def test_a_label_rejected_after_it_was_accepted_is_not_fed_back(project):
    judged(project)
    decide(project, text(project), "accept", label=1)
    decide(project, text(project), "reject", label=1)
    assert plan_feed_back(project).items == ()


def test_a_decision_against_the_label_of_a_seed_takes_it_out_of_the_training_set(project):
    (seed, *_), (own, *_) = (column.tolist() for column in seeds(project))
    decide(project, seed, "relabel", label=own % 4 + 1)
    assert (seed, own, 1.0) not in current_training_rows(project)


# Feeding back


def test_exactly_what_the_plan_shows_is_fed_back(project):
    judged(project, (0, 1, "valid"), (1, 2, "valid"), (2, 3, "invalid"))
    decide(project, text(project, 3), "accept", label=4)
    plan = plan_feed_back(project)
    feed_back(project, plan)
    assert trained(project) == {item.text: item.label for item in plan.items}
    assert len(plan.items) == 3


def test_a_plan_changes_nothing(project):
    judged(project, (0, 1, "valid"))
    plan_feed_back(project)
    assert (list_rounds(project)[-1].state, trained(project)) == ("to review", {})


def test_an_empty_plan_still_ends_the_round(project):
    judged(project)
    feed_back(project, plan_feed_back(project))
    assert list_rounds(project)[-1].state == "fed back"


def test_a_plan_is_fed_back_whatever_is_decided_about_other_texts_meanwhile(project):
    judged(project, (0, 1, "valid"))
    plan = plan_feed_back(project)
    decide(project, text(project), "skip")
    decide(project, text(project, 1), "accept", label=2, who="bob")
    feed_back(project, plan)
    assert (list_rounds(project)[-1].state, trained(project)) == ("fed back", {text(project): 1})
    judged(project)
    assert chosen(plan_feed_back(project)) == [(text(project, 1), 2, 1.0, "decision")]  # it waited


@pytest.mark.parametrize("kind", ["accept", "none", "reject", "undo"])
def test_a_plan_made_before_a_decision_about_its_texts_is_refused(kind, project):
    judged(project, (0, 1, "valid"))
    decide(project, text(project, 1), "accept", label=2)
    plan = plan_feed_back(project)
    if kind == "undo":
        undo(project)
    else:
        decide(project, text(project), kind, label=2 if kind in ("accept", "reject") else None)
    with pytest.raises(StateError, match=r"since this was shown\. Check again what would be fed back"):
        feed_back(project, plan)
    assert (list_rounds(project)[-1].state, trained(project)) == ("to review", {})


def test_a_plan_is_fed_back_once(project):
    judged(project, (0, 1, "valid"))
    plan = plan_feed_back(project)
    feed_back(project, plan)
    with pytest.raises(StateError, match="no round is to review"):
        feed_back(project, plan)


def test_a_plan_of_an_earlier_round_is_refused(project):
    judged(project, (0, 1, "valid"))
    plan = plan_feed_back(project)
    close_round(project)
    judged(project)
    with pytest.raises(StateError, match="Check again what would be fed back"):
        feed_back(project, plan)
    assert trained(project) == {}


def test_a_plan_is_refused_while_a_job_runs(project):
    judged(project, (0, 1, "valid"))
    plan = plan_feed_back(project)
    add_job(project, "round", "{}", "tester")
    with pytest.raises(StateError, match="a job is running"):
        feed_back(project, plan)
    assert trained(project) == {}


def test_without_a_round_to_review_there_is_no_plan(project):
    with pytest.raises(StateError, match=r"no round is to review\. Run one: `red round small`"):
        plan_feed_back(project)


# Refused decisions


@pytest.mark.parametrize("kind", ["accept", "relabel", "reject"])
def test_a_decision_for_or_against_a_label_needs_one(kind, project):
    with pytest.raises(StateError, match=f"to {kind} a text takes a label"):
        decide(project, text(project), kind)


@pytest.mark.parametrize("kind", ["none", "skip"])
def test_another_decision_takes_no_label(kind, project):
    with pytest.raises(StateError, match=f"to {kind} a text takes no label"):
        decide(project, text(project), kind, label=1)


def test_a_decision_about_a_text_that_is_not_there_is_refused(project):
    with pytest.raises(StateError, match="there is no text 10000 in project small"):
        decide(project, 10_000, "none")
    assert decided(project) == {}


@pytest.mark.parametrize(("label", "proposal"), [(99, None), (1, 99)])
def test_a_decision_about_a_label_or_proposal_that_is_not_there_is_refused(label, proposal, project):
    with pytest.raises(StateError):
        decide(project, text(project), "accept", label=label, provenance=Provenance(proposal))


def test_undo_is_not_a_kind_of_decision(project):
    with pytest.raises(StateError):
        decide(project, text(project), "undo")


def test_undo_leaves_alone_what_came_with_a_file(project, tmp_path):
    name = next(name for name, number in label_ids(project).items() if number == 1)
    with connection(project) as db:
        (content,) = db.execute("SELECT content FROM text WHERE id = ?", [text(project)]).fetchone()
    rows = [(content, name, "rejected"), ("another text", name, "accepted")]
    file = write_csv(tmp_path / "no.csv", ["text", "label", "answer"], rows)
    import_files(project.workspace, project.name, file, who="ann")
    assert len(rejected(project)) == 1
    with pytest.raises(StateError):
        undo(project, who="ann")
    assert len(rejected(project)) == 1
