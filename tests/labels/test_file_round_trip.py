"""Every file of labels that we write can be read again, and changes nothing: whatever the names and meanings are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from red_core.errors import StateError
from red_core.judges.meanings import Meaning
from red_core.labels.edit_kinds import checked_meaning, checked_name
from red_core.labels.edits import apply_edit
from red_core.labels.file import export_label_set, read_label_set
from red_core.records import Project
from red_core.store.database import transaction
from red_core.store.label_undo import edits
from red_core.store.labels import list_labels, name_key, set_meanings
from red_core.text import LONGEST_LABEL, LONGEST_MEANING, normalise_text
from tests.helpers.small_projects import LABELS, small_project

ENDINGS = ("csv", "tsv", "json", "jsonl", "parquet", "csv.gz")
GROWS = "\U0001d160"
"""Normalisation makes three characters of this one."""
HOSTILE = st.text(
    st.sampled_from("'=+-@ \t\r\n,;|\"\\[]{}\u200b\u202e\ufeff\u0344ıK\U0001f600aA")
    | st.characters(exclude_categories=["Cs"])
)
NAMES = st.lists(HOSTILE, min_size=len(LABELS), max_size=len(LABELS))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return small_project(tmp_path_factory.mktemp("w"))


def write_names(project: Project, names: Sequence[str]) -> None:
    with transaction(project) as db:
        rows = [(name, name_key(name), number) for number, name in enumerate(names, 1)]
        db.conn.executemany("UPDATE label SET name_key = ? WHERE id = ?", [(f"\n{n}", n) for _, _, n in rows])
        db.conn.executemany("UPDATE label SET name = ?, name_key = ? WHERE id = ?", rows)


def read_again(project: Project, path: Path) -> list[tuple[int | None, str, str]]:
    export_label_set(project, path)
    return [(row.label, row.name, row.meaning) for row in read_label_set(project, path).rows]


@settings(max_examples=150, deadline=None)
@given(ending=st.sampled_from(ENDINGS), names=NAMES, meaning=HOSTILE, times=st.integers(1, LONGEST_MEANING))
@example(ending="csv", names=["'=1", "=1", "''=1", "' =1"], meaning="'=1", times=1)
@example(ending="json", names=["'=1", "=1", "''=1", "' =1"], meaning="'=1", times=1)
@example(ending="csv", names=["a" * LONGEST_LABEL, GROWS * 66, "-", "@"], meaning="x", times=LONGEST_MEANING)
@example(ending="parquet", names=["nan", "None", "1", "null"], meaning="NA", times=1)
def test_a_label_set_comes_back_as_it_was_written(ending, names, meaning, times, project, tmp_path_factory):
    try:
        names = [checked_name(name) for name in names]
    except StateError:
        assume(False)
    assume(len({name_key(name) for name in names}) == len(names))
    meaning = normalise_text((meaning * times)[:LONGEST_MEANING])
    assume(len(meaning) <= LONGEST_MEANING and "\0" not in meaning)
    write_names(project, names)
    set_meanings(project, {2: meaning}, "ann")
    expected = [(label.id, label.name, label.meaning) for label in list_labels(project)]
    assert read_again(project, tmp_path_factory.mktemp("f") / f"labels.{ending}") == expected


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("stored", ["x" * 1_200, GROWS * 1_200, "two\nlines", "\u0344 " * 600])
def test_a_meaning_that_version_0_1_0_stored_is_read_and_is_no_edit(ending, stored, tmp_path):
    project = small_project(tmp_path / "w")
    set_meanings(project, {1: stored}, "ann")
    export_label_set(project, tmp_path / f"labels.{ending}")
    before = len(edits(project))
    apply_edit(project, read_label_set(project, tmp_path / f"labels.{ending}"), "bob")
    assert list_labels(project)[0].meaning == stored
    assert len(edits(project)) == before


@pytest.mark.parametrize("letter", ["x", GROWS])
def test_what_a_model_writes_is_not_longer_than_a_meaning_may_be(letter):
    written = Meaning(belongs=letter * 2 * LONGEST_MEANING, does_not_belong="", told_from=[]).text
    assert checked_meaning(written) == written
