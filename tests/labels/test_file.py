"""Export and import of the label set as a file."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from red_core.errors import InputError, StateError
from red_core.labels.edit_kinds import Rename
from red_core.labels.edits import apply_edit, undo_edit
from red_core.labels.file import COLUMNS, export_label_set, read_label_set
from red_core.records import Project
from red_core.store.label_undo import edits
from red_core.store.labels import current_layout, label_set_version, list_labels, save_layout, set_meanings
from red_core.store.texts import pool, seeds
from red_core.text import LONGEST_MEANING
from tests.helpers.small_projects import LABELS, label_ids, small_project, text_ids, write_csv


@pytest.fixture
def project(workspace: Path) -> Project:
    """Four labels in two subsets, one with a meaning."""
    project = small_project(workspace)
    ids = np.array([label.id for label in list_labels(project)])
    save_layout(project, ids, np.array([0, 1, 0, 1]), np.random.default_rng(0).random((4, 2)), "tester")
    set_meanings(project, {1: "money goes back, =SUM(1)"}, "ann")
    return project


def written(project: Project, path: Path) -> list[dict[str, object]]:
    assert export_label_set(project, path) == len(list_labels(project))
    if path.suffix == ".json":
        return json.loads(path.read_text("utf-8"))
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def label_set(project: Project) -> list[object]:
    return [list_labels(project), *(part.tolist() for part in current_layout(project))]


@pytest.mark.parametrize("ending", ["csv", "json"])
def test_importing_an_export_changes_nothing(ending, project, tmp_path):
    apply_edit(project, Rename(2, "=1+1"), "ann")
    apply_edit(project, Rename(3, '\'quoted, "so"'), "ann")
    before = label_set(project)
    rows = written(project, tmp_path / f"labels.{ending}")
    assert [set(row) for row in rows] == [set(COLUMNS)] * 4
    apply_edit(project, read_label_set(project, tmp_path / f"labels.{ending}"), "bob")
    assert label_set(project) == before
    assert [edit.kind for edit in edits(project)][-2:] == ["rename", "rename"]  # an edit that changes nothing is none


def test_a_file_that_was_applied_already_adds_no_edit(project, tmp_path):
    """The command was killed after its edit was stored, and is run again."""
    path = write_csv(tmp_path / "labels.csv", ["id", "name", "meaning"], [["1", "money back", "all of it"]])
    apply_edit(project, read_label_set(project, path), "ann")
    before = label_set_version(project)
    for again in (path, write_csv(tmp_path / "same.csv", ["id", "name"], [["1", "money back"]])):
        assert apply_edit(project, read_label_set(project, again), "ann") == before
    assert len(edits(project)) == before
    assert label_set_version(project) == before


def test_no_name_is_a_formula_in_a_spreadsheet(project, tmp_path):
    apply_edit(project, Rename(2, "=1+1"), "ann")
    assert written(project, tmp_path / "labels.csv")[1]["name"] == "'=1+1"
    assert written(project, tmp_path / "labels.json")[1]["name"] == "=1+1"


def test_a_file_holds_names_meanings_subsets_and_seeds(project, tmp_path):
    (first, *_) = written(project, tmp_path / "labels.json")
    assert first == {
        "id": 1, "name": "refund", "path": None, "meaning": "money goes back, =SUM(1)", "does_not_belong": None,
        "subset": 1, "seeds": [f"refund please, case number {n}" for n in range(4)], "good_examples": [],
        "bad_examples": [],
    }  # fmt: skip


def test_a_file_renames_explains_moves_and_adds_as_one_edit(project, tmp_path):
    before, kept = label_set(project), seeds(project)[0].tolist()
    pool_text = next(content for content, t in text_ids(project).items() if t == int(pool(project)[0]))
    rows = [
        ["1", "delivery", "", "", ""],  # two labels swap their names
        ["2", "refund", "a parcel", "", ""],
        ["", " WARRANTY ", "", "2", ""],
        ["", "upgrade", "a better one", "1", json.dumps([pool_text, "the next size"])],
    ]
    apply_edit(
        project,
        read_label_set(project, write_csv(tmp_path / "n.csv", ["id", "name", "meaning", "subset", "seeds"], rows)),
        "bob",
    )
    assert {label.name: (label.id, label.meaning) for label in list_labels(project)} == {
        "delivery": (1, "money goes back, =SUM(1)"), "refund": (2, "a parcel"), "warranty": (3, ""), "repair": (4, ""),
        "upgrade": (5, "a better one"),
    }  # fmt: skip
    assert current_layout(project)[1].tolist() == [0, 1, 1, 1, 0]
    assert sorted(set(seeds(project)[0].tolist()) - set(kept)) == sorted(
        text_ids(project)[content] for content in (pool_text, "the next size")
    )
    undo_edit(project, "ann")
    assert label_set(project) == before
    assert seeds(project)[0].tolist() == kept


def test_a_label_without_a_row_stays_and_an_empty_cell_changes_nothing(project, tmp_path):
    before = label_set(project)
    apply_edit(
        project, read_label_set(project, write_csv(tmp_path / "n.csv", ["Name", "meaning"], [["refund", ""]])), "bob"
    )
    assert label_set(project) == before


@pytest.mark.parametrize(
    ("columns", "rows", "row", "rule"),
    [
        (["labels"], [["refund"]], None, "no column 'name'"),
        (["id", "name"], [["1", "refund"], ["9", "x"]], 3, "no label with id '9'"),
        (["id", "name"], [["one", "x"]], 2, "no label with id 'one'"),
        (["id", "name"], [["1", "x"], ["1", "y"]], 3, "row 2 is about id 1 too"),
        (["id", "name"], [["1", "x"], ["2", "X"]], 3, "row 2 is about name 'x' too"),
        (["id", "name"], [["1", "delivery"]], 2, "there is a label 'delivery' already"),
        (["id", "name"], [["1", "x" * 201]], 2, "1 to 200 characters"),
        (["name", "meaning"], [["", "what"]], 2, "1 to 200 characters"),
        (["name", "meaning"], [["refund", "x" * (LONGEST_MEANING + 1)]], 2, "at most 4,000 characters"),
        (["name", "subset"], [["refund", "3"]], 2, "no subset '3': they are numbered from 1 to 2"),
        (["name", "subset"], [["refund", "-1"]], 2, "no subset '-1'"),
        (["name", "subset"], [["refund", "²"]], 2, "no subset '²'"),
        (["name", "seeds"], [["refund", ""], ["new", "not json"]], 3, "not a JSON list"),
        (["name", "seeds"], [["new", "[1, 2]"]], 2, "not a JSON list"),
        (["name", "seeds"], [["7-B", ""]], 2, "at least 2 different examples"),  # its name has no word to learn from
        (["name", "path"], [["refund", "A > > B"]], 2, "a group in 'A > > B' has no name"),
        (["name", "path"], [["refund", " > ".join("abcdefghijklmnopqrstuvwxyz")]], 2, "in at most 20 groups"),
        (["name", "parent"], [["refund", "refund"]], None, "'refund' is inside itself"),
        (["name", "path"], [["refund", "A"], ["Refund", "B"]], 3, "row 2 is about id 1 too"),
        (["name", "seeds"], [["new", '["one", "one"]']], 2, "at least 2 different examples"),
        (["name", "seeds"], [["new", '["refund please, case number 1", "x"]']], 2, "not an unlabelled text"),
    ],
)
def test_a_bad_row_is_named_with_its_rule_and_nothing_changes(columns, rows, row, rule, project, tmp_path):
    before, version = label_set(project), label_set_version(project)
    path = write_csv(tmp_path / "n.csv", columns, rows)
    with pytest.raises(InputError) as error:
        apply_edit(project, read_label_set(project, path, name="labels of mine.csv"), "bob")
    assert error.value.row == row
    assert rule in str(error.value)
    assert str(error.value).startswith("labels of mine.csv")
    assert "\n" not in str(error.value)
    assert (label_set(project), label_set_version(project)) == (before, version)


def test_before_subsets_are_formed_a_file_names_and_adds_but_cannot_place(workspace, tmp_path):
    project = small_project(workspace, name="fresh")
    with pytest.raises(InputError, match="no subsets are formed yet"):
        apply_edit(
            project,
            read_label_set(project, write_csv(tmp_path / "n.csv", ["name", "subset"], [["refund", "1"]])),
            "bob",
        )
    rows = [["new", '["the one", "the other"]']]
    apply_edit(project, read_label_set(project, write_csv(tmp_path / "m.csv", ["name", "seeds"], rows)), "bob")
    assert label_ids(project)["new"] == len(LABELS) + 1
    undo_edit(project, "bob")
    with pytest.raises(StateError, match="no edit"):
        undo_edit(project, "bob")


def test_the_undo_of_a_meaning_alone_is_stored(project, tmp_path):
    path = write_csv(tmp_path / "labels.csv", ["name", "meaning"], [["refund", "all of it"]])
    before = {label.id: label.meaning for label in list_labels(project)}
    apply_edit(project, read_label_set(project, path), "ann")
    assert {label.id: label.meaning for label in list_labels(project)} != before
    undo_edit(project, "ann")
    assert {label.id: label.meaning for label in list_labels(project)} == before
    assert [edit.kind for edit in edits(project)][-1] == "undo"


def test_a_column_that_is_read_stands_once_in_the_file(project, tmp_path):
    twice = write_csv(tmp_path / "twice.csv", ["name", "Meaning", "meaning"], [["refund", "one", "another"]])
    with pytest.raises(InputError, match="two columns are named 'meaning'"):
        read_label_set(project, twice)
    unread = write_csv(tmp_path / "unread.csv", ["name", "meaning", "Note", "note"], [["refund", "one", "a", "b"]])
    apply_edit(project, read_label_set(project, unread), "ann")
    assert {label.name: label.meaning for label in list_labels(project)}["refund"] == "one"
