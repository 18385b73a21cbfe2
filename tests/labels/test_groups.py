"""Groups of labels: a forest after any edits and undos, without a lost decision, and with true paths in the export."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from red_core.errors import StateError
from red_core.labels.edit_kinds import Merge, Rename, Retire
from red_core.labels.edits import apply_edit, preview, undo_edit
from red_core.labels.groups import Group, MoveGroup, checked_path, groups_of, is_of_group, key_of
from red_core.records import Project
from red_core.review.decisions import decide
from red_core.store.database import connection
from red_core.store.labels import list_labels, path_in_words
from red_core.store.texts import pool
from tests.helpers.project_facts import export_rows
from tests.helpers.small_projects import LABELS, pool_rows, reviewed_round, seed_rows, small_project

NAMES = (*LABELS, "invoice", "praise", "advice")
"""Their ids are 1 to 7, in this order."""


@pytest.fixture(scope="module")
def decided(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Seven labels and a decision for each; tests must not change it."""
    folder = tmp_path_factory.mktemp("groups") / "workspace"
    project = small_project(folder, seeds=seed_rows(NAMES, 2), pool=pool_rows(NAMES, 2))
    reviewed_round(project, {int(text): (1, 0.5) for text in pool(project)})
    for label, text in enumerate(pool(project)[:7].tolist(), 1):
        decide(project, text, "accept", label=label, who="ann")
    return project


def copied(project: Project, folder: Path) -> Project:
    shutil.copytree(project.workspace, folder / "workspace")
    return Project(folder / "workspace", project.name)


@pytest.fixture
def project(decided: Project, tmp_path: Path) -> Project:
    return copied(decided, tmp_path)


def paths(project: Project) -> dict[str, str]:
    return {label.name: path_in_words(label.path) for label in list_labels(project) if label.path}


def test_labels_are_put_into_groups_and_taken_out(project):
    apply_edit(project, Group({1: ("Money", "Back"), 2: ("Parcels",), 5: ("money",)}), "ann")
    assert paths(project) == {"refund": "Money > Back", "delivery": "Parcels", "invoice": "Money"}
    assert groups_of(list_labels(project)) == {("Money",): 2, ("Money", "Back"): 1, ("Parcels",): 1}
    apply_edit(project, Group({1: ()}), "ann")
    assert paths(project) == {"delivery": "Parcels", "invoice": "Money"}
    out = preview(project, Group({2: (), 5: ()})).message
    assert out == "took 2 labels out of their groups"
    undo_edit(project, "bob")
    undo_edit(project, "bob")
    assert paths(project) == {}


def test_a_branch_moves_with_everything_in_it_and_back(project):
    apply_edit(project, Group({1: ("Money", "Back"), 5: ("Money",), 2: ("Parcels",)}), "ann")
    before = paths(project)
    apply_edit(project, MoveGroup(("Money",), ("Parcels", "Paid")), "ann")
    assert paths(project) == {"refund": "Parcels > Paid > Back", "delivery": "Parcels", "invoice": "Parcels > Paid"}
    undo_edit(project, "ann")
    assert paths(project) == before
    apply_edit(project, MoveGroup(("Money",), ()), "ann")
    assert paths(project) == {"refund": "Back", "delivery": "Parcels"}


def test_a_group_is_never_inside_itself(project):
    apply_edit(project, Group({1: ("Money", "Back")}), "ann")
    with pytest.raises(StateError, match="cannot be inside itself"):
        apply_edit(project, MoveGroup(("Money",), ("money", "Back", "Money")), "ann")
    with pytest.raises(StateError, match="there is no group 'Parcels' any more"):
        apply_edit(project, MoveGroup(("Parcels",), ("Money",)), "ann")


def test_a_label_that_is_a_group_too_goes_along(project):
    apply_edit(project, Group({1: ("invoice",), 2: ("invoice",)}), "ann")
    assert [label.name for label in list_labels(project) if is_of_group(label, ("Invoice",))] == ["invoice"]
    apply_edit(project, MoveGroup(("invoice",), ("Money", "Bills")), "ann")
    assert paths(project) == {"refund": "Money > Bills", "delivery": "Money > Bills", "Bills": "Money"}
    undo_edit(project, "ann")
    assert paths(project) == {"refund": "invoice", "delivery": "invoice"}


@pytest.mark.parametrize(("to", "left"), [((), {}), (("money",), {"refund": "Money", "delivery": "Money"})])
def test_a_nested_group_is_dissolved_beside_a_label_of_its_name(to, left, project):
    apply_edit(project, Group({1: ("Money", "invoice"), 2: ("Money", "invoice"), 5: ("Money",)}), "ann")
    apply_edit(project, MoveGroup(("Money", "invoice"), to), "ann")
    assert paths(project) == left | {"invoice": "Money"}
    undo_edit(project, "ann")
    assert paths(project) == {"refund": "Money > invoice", "delivery": "Money > invoice", "invoice": "Money"}


@pytest.mark.parametrize(
    ("typed", "path"), [("A>B > C", ("A", "B", "C")), ("", ()), (" > ", ()), (" one  two ", ("one two",))]
)
def test_a_path_is_typed_in_words(typed, path):
    assert checked_path(typed) == path
    assert checked_path(path_in_words(path)) == path


@pytest.mark.parametrize("wrong", ["A > > B", ("A > B",), ("",), ["x"] * 30, "A > " + "x" * 500])
def test_a_wrong_path_is_refused(wrong):
    with pytest.raises(StateError):
        checked_path(wrong)


NAME = st.sampled_from(["A", "a", "B", "C", "refund"])
PATH = st.lists(NAME, max_size=3).map(tuple)
ACT = st.one_of(
    st.tuples(st.just("group"), st.dictionaries(st.integers(1, 7), PATH, max_size=4), PATH),
    st.tuples(st.just("move"), PATH, PATH),
    st.tuples(st.sampled_from(["rename", "merge", "retire", "undo"]), st.integers(1, 7), st.integers(1, 7)),
)


def act(project: Project, kind: str, one: object, other: object) -> None:
    edits = {"group": Group, "move": MoveGroup, "merge": Merge, "retire": Retire, "rename": Rename}
    arguments = {"group": (one,), "merge": ((one,), other), "retire": (one,), "rename": (one, f"name {other}")}
    if kind == "undo":
        undo_edit(project, "bob")
    else:
        apply_edit(project, edits[kind](*arguments.get(kind, (one, other))), "ann")


@settings(max_examples=12)
@given(st.lists(ACT, min_size=1, max_size=8))
def test_any_edits_and_undos_leave_a_forest_and_lose_no_decision(decided, acts):
    with tempfile.TemporaryDirectory() as folder:
        project = copied(decided, Path(folder))
        made, before = decisions(project), list_labels(project)
        for kind, one, other in acts:
            try:
                act(project, kind, one, other)
            except StateError:
                continue
            assert made <= decisions(project)
            check_forest(project)
        check_export(project)
        while True:
            try:
                undo_edit(project, "bob")
            except StateError:
                break
        assert list_labels(project) == before
        assert made == decisions(project)


def decisions(project: Project) -> set[tuple[int, str, int]]:
    with connection(project) as db:
        return set(db.execute("SELECT text, kind, label FROM kept_decision").fetchall())


def check_forest(project: Project) -> None:
    """Every group is in at most one other, and is spelled in one way."""
    spelled: dict[tuple[str, ...], str] = {}
    for label in list_labels(project):
        for depth, name in enumerate(label.path):
            assert spelled.setdefault(key_of(label.path[: depth + 1]), name) == name


def check_export(project: Project) -> None:
    path_of = {label.name: path_in_words(label.path) for label in list_labels(project)}
    for row in export_rows(project, 1):
        assert (row["label_path"] or "") == path_of.get(row["label"], "")
