"""The meaning of one label: edited like the label set, once, and taken back with the verdicts that it made outdated."""

from __future__ import annotations

from pathlib import Path

import pytest

from red_core.errors import CardChanged, StateError
from red_core.labels.edit_kinds import Merge, Rename, Retire
from red_core.labels.edits import apply_edit, undo_edit
from red_core.labels.meaning import Mean, edit_meaning, this_is_why, undo_examples, undo_meaning
from red_core.records import Answer, Label, Project
from red_core.review.decisions import Provenance, decide, undo
from red_core.store.guidelines import guideline_examples
from red_core.store.jobs import add_job
from red_core.store.label_undo import edits
from red_core.store.labels import list_labels, set_meanings
from red_core.store.overview import outdated_verdicts
from red_core.store.texts import pool
from red_core.store.verdicts import add_proposals, add_verdicts
from tests.helpers.small_projects import label_ids, question, reviewed_round, small_project, text_ids


@pytest.fixture
def project(workspace: Path) -> Project:
    """Four labels, and a judge's verdict about the first one that read its meaning."""
    project = small_project(workspace)
    one, other = sorted(label_ids(project).values())[:2]
    set_meanings(project, {one: "money back"}, "ann")
    text = int(pool(project)[0])
    number = reviewed_round(project, {text: (one, 0.8)})
    (proposal,) = add_proposals(project, number, [question(text, one, other)])
    add_verdicts(
        project, "chat", [(proposal, Answer("valid", 0.9, 1.0, "", "m", "v", meaning_id=first(project).meaning_id))]
    )
    return project


def first(project: Project) -> Label:
    return list_labels(project)[0]


def test_an_edit_is_a_version_with_outdated_verdicts_and_its_undo_brings_them_back(project: Project) -> None:
    before = first(project)
    edit = Mean(before.id, "  gets the\nmoney back ", before.meaning_id)
    edit_meaning(project, edit, "ann")
    assert first(project).meaning == "gets the money back"
    assert edits(project)[-1].told == f"gave {before.name!r} another meaning"
    assert outdated_verdicts(project) == {before.id: 1}
    undo_meaning(project, edit, "ann")
    assert first(project) == before
    assert outdated_verdicts(project) == {}
    undo_meaning(project, edit, "ann")  # it arrives twice
    assert len(edits(project)) == 3  # labels added, the edit, its undo


def test_an_edit_that_arrives_twice_is_made_once(project: Project) -> None:
    edit = Mean(first(project).id, "another", first(project).meaning_id)
    assert edit_meaning(project, edit, "ann") == edit_meaning(project, edit, "ann")
    assert len(edits(project)) == 2


def test_a_meaning_that_somebody_edited_meanwhile_stays(project: Project) -> None:
    seen = first(project)
    edit_meaning(project, Mean(seen.id, "by bob", seen.meaning_id), "bob")
    with pytest.raises(CardChanged, match="somebody edited the meaning of"):
        edit_meaning(project, Mean(seen.id, "by ann", seen.meaning_id), "ann")
    assert first(project).meaning == "by bob"
    undo_meaning(project, Mean(seen.id, "by ann"), "ann")  # not hers: nothing happens
    assert first(project).meaning == "by bob"


def test_only_the_newest_edit_is_undone_here(project: Project) -> None:
    edit = Mean(first(project).id, "another")
    edit_meaning(project, edit, "ann")
    apply_edit(project, Rename(list_labels(project)[1].id, "renamed"), "bob")
    with pytest.raises(StateError, match="Undo the newest edit on the label map"):
        undo_meaning(project, edit, "ann")


def test_no_meaning_is_edited_while_a_job_runs(project: Project) -> None:
    add_job(project, "prepare", "{}", "ann")
    with pytest.raises(StateError, match="a job is running"):
        edit_meaning(project, Mean(first(project).id, "another"), "ann")


def test_what_does_not_belong_is_a_version_of_the_meaning(project: Project) -> None:
    before = first(project)
    edit = Mean(before.id, before.meaning, before.meaning_id, " not a\nnew one ")
    edit_meaning(project, edit, "ann")
    assert (first(project).meaning, first(project).excludes) == ("money back", "not a new one")
    assert edits(project)[-1].told == f"said what {before.name!r} is not"
    assert outdated_verdicts(project) == {before.id: 1}
    set_meanings(project, {before.id: "written by a model"}, "model x")
    assert first(project).excludes == "not a new one"
    edit_meaning(project, Mean(before.id, "by a person"), "ann")
    assert first(project).excludes == "not a new one"


def decided_with(project: Project, text: int, kind: str, label: int | None) -> str:
    """Decide a text by a key press at the desk, and return the id of the press."""
    request = f"{text:032x}"
    decide(project, text, kind, label=label, who="ann", provenance=Provenance(request_id=request, reason="it says so"))
    return request


def test_a_decision_goes_into_the_guideline_with_its_reason_and_out_again(project: Project) -> None:
    one, other = sorted(label_ids(project).values())[:2]
    texts = pool(project).tolist()
    yes = decided_with(project, texts[1], "accept", one)
    no = decided_with(project, texts[2], "reject", one)
    shown = this_is_why(project, yes, "ann")
    this_is_why(project, yes, "ann")  # it arrives twice
    this_is_why(project, no, "ann", "it is new")
    guideline = guideline_examples(project)[one]
    assert [(each.text, each.kind, each.why) for each in guideline] == [
        (texts[1], "good", "it says so"), (texts[2], "bad", "it is new"),
    ]  # fmt: skip
    assert all(each.decision for each in guideline)
    assert (len(first(project).good), len(first(project).bad)) == (1, 1)
    assert outdated_verdicts(project) == {}  # an example outdates no verdict
    undo_examples(project, shown, "ann")
    assert [each.kind for each in guideline_examples(project)[one]] == ["bad"]
    undo_edit(project, "ann")
    undo_edit(project, "ann")
    assert [each.kind for each in guideline_examples(project)[one]] == ["good"]
    with pytest.raises(StateError, match="no decision about a label"):
        this_is_why(project, "0" * 32, "ann")
    assert other not in guideline_examples(project)
    undo(project, who="ann")
    undo(project, who="ann")
    assert guideline_examples(project) == {}  # the decision behind it is undone


def standing(project: Project, ids: dict[str, int]) -> list[tuple[str, str]]:
    """Return the label and the kind of each example."""
    names = {id_: name for name, id_ in ids.items()}
    examples = guideline_examples(project)
    return [(names[label], each.kind) for label, of_label in sorted(examples.items()) for each in of_label]


@pytest.mark.parametrize(
    ("kind", "label", "shown"),
    [
        ("accept", "one", [("one", "good")]),
        ("relabel", "other", []),
        ("none", None, []),
        ("reject", "one", []),
        ("reject", "other", [("one", "good")]),
        ("skip", None, [("one", "good")]),
    ],
)
def test_a_good_example_goes_when_a_colleague_decides_otherwise(project: Project, kind, label, shown) -> None:
    ids = dict(zip(("one", "other"), sorted(label_ids(project).values()), strict=False))
    text = pool(project).tolist()[1]
    this_is_why(project, decided_with(project, text, "accept", ids["one"]), "ann")
    decide(project, text, kind, label=ids.get(label), who="bob")
    assert standing(project, ids) == shown
    texts = [content for each in list_labels(project) for content in each.good]
    assert texts == [content for content, id_ in text_ids(project).items() if id_ == text and shown]
    undo(project, who="bob")
    assert standing(project, ids) == [("one", "good")]


@pytest.mark.parametrize(
    ("kind", "label", "shown"),
    [
        ("accept", "one", []),
        ("relabel", "one", []),
        ("accept", "other", [("one", "bad")]),
        ("none", None, [("one", "bad")]),
        ("reject", "one", [("one", "bad")]),
    ],
)
def test_a_bad_example_goes_when_a_colleague_gives_the_label(project: Project, kind, label, shown) -> None:
    ids = dict(zip(("one", "other"), sorted(label_ids(project).values()), strict=False))
    text = pool(project).tolist()[1]
    this_is_why(project, decided_with(project, text, "reject", ids["one"]), "ann")
    decide(project, text, kind, label=ids.get(label), who="bob")
    assert standing(project, ids) == shown


def test_the_newest_decision_about_an_example_counts_with_the_labels_as_they_are_now(project: Project) -> None:
    one, other, third = sorted(label_ids(project).values())[:3]
    ids = {"one": one, "other": other, "third": third}
    first_text, second_text = pool(project).tolist()[1:3]
    this_is_why(project, decided_with(project, first_text, "accept", one), "ann")
    this_is_why(project, decided_with(project, second_text, "accept", one), "ann")
    decide(project, first_text, "relabel", label=other, who="bob")
    decide(project, second_text, "relabel", label=third, who="bob")
    assert standing(project, ids) == []
    decide(project, second_text, "accept", label=one, who="cem")
    assert standing(project, ids) == [("one", "good")]
    apply_edit(project, Merge((other,), one), "ann")
    assert standing(project, ids) == [("one", "good")] * 2
    undo_edit(project, "ann")
    apply_edit(project, Retire(other), "ann")  # what it replaced does not come back
    assert standing(project, ids) == [("one", "good")]
