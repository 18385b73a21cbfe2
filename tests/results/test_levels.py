"""Accuracy at each level of the groups."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from red_core.labels.edits import apply_edit
from red_core.labels.groups import Group
from red_core.records import Project
from red_core.results.levels import Level, accuracy_by_level, by_level, counts_by_group
from red_core.review.audit_report import summary
from red_core.review.audits import answer, deal
from red_core.review.decisions import decide
from red_core.rounds.accuracy import accuracy_now
from red_core.store import views
from red_core.store.database import transaction
from red_core.store.desk import Filters, queue
from red_core.store.texts import pool, truths
from tests.helpers.small_projects import label_ids, reviewed_round, small_project

PATHS = {1: ("A", "x"), 2: ("A", "x"), 3: ("A",), 4: ("B",), 5: ()}


def test_a_wrong_label_in_the_right_group_is_a_smaller_mistake() -> None:
    pairs = [(1, 1), (2, 1), (3, 1), (4, 1), (-1, 3), (3, 3), (5, 5), (1, 5), (5, -1)]
    levels, near = by_level([(*pair, 1.0) for pair in pairs], PATHS)
    assert figures(levels) == [(1, 4 / 6, 6, 4), (2, 2 / 4, 4, 2), (0, 3 / 9, 9, 3)]
    assert levels[0].low < 0.5 < 4 / 6 < levels[0].high
    assert near == 1 / 6
    weighted, near = by_level([(1, 1, 1.0), (2, 1, 3.0)], PATHS)
    assert figures(weighted)[-1] == (0, 0.25, 2, 1)
    assert near == 1


def figures(levels: Sequence[Level]) -> list[tuple[int, float, int, int]]:
    return [(level.depth, level.share, level.of, level.right) for level in levels]


def grouped_round(workspace: Path) -> Project:
    """Return a project with one group, and a round that gives every unlabelled text the label *warranty*."""
    project = small_project(workspace)
    ids = label_ids(project)
    apply_edit(project, Group({ids["refund"]: ("Money",), ids["warranty"]: ("Money",)}), "ann")
    reviewed_round(project, {int(text): (ids["warranty"], 0.5) for text in pool(project)})
    return project


def test_a_label_has_the_same_true_accuracy_everywhere(workspace: Path) -> None:
    project = grouped_round(workspace)
    names = truths(project)
    text = next(text for text, name in names.items() if name == "delivery")
    decide(project, text, "relabel", label=label_ids(project)["delivery"])
    found = accuracy_by_level(project, 1)
    assert found is not None
    assert found.levels[-1].share == accuracy_now(project)[1] == 11 / 40


def test_a_label_has_the_same_measured_accuracy_everywhere(workspace: Path) -> None:
    project = grouped_round(workspace)
    with transaction(project) as db:
        db.execute("UPDATE source_row SET truth = NULL")
    for number, card in enumerate(deal(project, who="ann", count=25)):
        name = "refund" if number % 3 else "warranty"
        answer(project, card.audit, "label", label=label_ids(project)[name], who="ann")
    measured = summary(project).accuracy
    found = accuracy_by_level(project, 1, measured)
    assert found is not None
    assert found.measured
    label = found.levels[-1]
    assert (label.share, label.low, label.high) == (measured.share, measured.low, measured.high)


def test_the_levels_of_a_trial_and_the_queue_of_a_group(workspace: Path) -> None:
    project = small_project(workspace)
    ids = label_ids(project)
    assert accuracy_by_level(project, 1) is None
    apply_edit(project, Group({ids["refund"]: ("Mo\u00fcey", "Back"), ids["warranty"]: ("Mo\u00fcey",)}), "ann")
    apply_edit(project, Group({ids["delivery"]: ("Mo\u00fceys",)}), "ann")
    number = reviewed_round(project, {int(text): (ids["warranty"], 0.5) for text in pool(project)})
    found = accuracy_by_level(project, number)
    assert found is not None
    assert [(level.depth, level.share, level.of) for level in found.levels] == [
        (1, 2 / 3, 30),
        (2, 0, 10),
        (0, 1 / 4, 40),
    ]
    assert (found.measured, found.near) == (False, 0)
    counts = {
        each.path: (each.labels, each.seeds, each.labelled) for each in counts_by_group(views.label_table(project, 1))
    }
    assert counts == {
        ("Mo\u00fcey",): (2, 8, 40), ("Mo\u00fcey", "Back"): (1, 4, 0), ("Mo\u00fceys",): (1, 4, 0)
    }  # fmt: skip
    assert len(queue(project, number, "random", Filters(group=("Mo\u00fcey",)))) == 40
    assert queue(project, number, "random", Filters(group=("Mo\u00fcey", "Back"))) == []
    assert queue(project, number, "random", Filters(group=("Mo\u00fceys",))) == []


def test_a_label_beside_the_group_of_its_name_is_in_this_group(workspace: Path) -> None:
    project = small_project(workspace)
    ids = label_ids(project)
    apply_edit(project, Group({ids["delivery"]: ("Warranty",), ids["repair"]: ("Warranty",)}), "ann")
    number = reviewed_round(project, {int(text): (ids["warranty"], 0.5) for text in pool(project)})
    found = accuracy_by_level(project, number)
    assert found is not None
    assert [(level.depth, level.share, level.of) for level in found.levels] == [(1, 1, 30), (0, 1 / 4, 40)]
    assert found.near == 2 / 3
    (group,) = counts_by_group(views.label_table(project, number))
    assert (group.path, group.labels, group.labelled) == (("Warranty",), 3, 40)
