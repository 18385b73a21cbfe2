"""Flags and the columns of the source files: what is stored, and what a card, an export and a history show of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from red_core.data.importing import import_files
from red_core.errors import StateError
from red_core.records import Project
from red_core.store.database import open_project
from red_core.store.desk import queue, queue_counts
from red_core.store.exports import opened_export
from red_core.store.flags import flag_text, flags
from red_core.store.history import text_history
from red_core.store.source_columns import column_names, column_values
from tests.helpers.small_projects import EMBEDDING, count, text_ids, write_csv


@pytest.fixture
def project(workspace: Path) -> Project:
    """Two labels, and three texts with columns; one of them came in two rows."""
    files = workspace.parent / "files"
    seeds = write_csv(
        files / "s.csv", ["text", "label"], [("a one", "x"), ("a two", "x"), ("b one", "y"), ("b 2", "y")]
    )
    rows = [("late", "T-1", "mail"), ("lost", "T-2", ""), ("late", "T-3", "mail"), ("odd", "", "phone")]
    pool = write_csv(files / "p.csv", ["text", "ticket id", "channel"], rows)
    import_files(workspace, "flagged", seeds, pool, embedding=EMBEDDING, who="ann")
    return open_project(workspace, "flagged")


def test_the_newest_flag_of_a_text_counts_and_one_that_arrives_twice_is_stored_once(project: Project) -> None:
    late, lost = (text_ids(project)[name] for name in ("late", "lost"))
    for _ in range(2):
        flag_text(project, late, "which team?", who="ann", act="1" * 32)
    flag_text(project, late, "which team, please?", who="bob", act="2" * 32)
    flag_text(project, lost, "", who="ann", act="3" * 32)
    found = flags(project, [late, lost])
    assert {text: (flag.who, flag.comment) for text, flag in found.items()} == {
        late: ("bob", "which team, please?"), lost: ("ann", ""),
    }  # fmt: skip
    assert [text for text, _ in queue(project, 0, "flagged")] == [lost, late]
    flag_text(project, lost, "", raised=False, who="bob", act="4" * 32)
    assert set(flags(project, [late, lost])) == {late}
    assert queue_counts(project, 0)["flagged"] == 1
    assert count(project, "SELECT count(*) FROM flag") == 4


def test_a_flag_is_in_the_export_and_in_the_history_of_its_text(project: Project) -> None:
    late = text_ids(project)["late"]
    flag_text(project, late, "which team?", who="ann", act=None)
    with opened_export(project, 0) as (_, rows):
        shown = [(row["text"], row["flagged_by"], row["flag_comment"], bool(row["flagged_at"])) for row in rows]
    assert [row for row in shown if row[1]] == [("late", "ann", "which team?", True)] * 2
    assert text_history(project, late)[-1].what == "flagged for a colleague: which team?"
    flag_text(project, late, "", raised=False, who="bob", act=None)
    assert text_history(project, late)[-1][1:] == ("bob", "took the flag away")


def test_no_text_no_flag(project: Project) -> None:
    with pytest.raises(StateError, match="there is no such text in project flagged"):
        flag_text(project, 999, "", who="ann", act=None)


def test_the_columns_of_the_files_are_read_by_name(project: Project) -> None:
    late, odd = (text_ids(project)[name] for name in ("late", "odd"))
    assert column_names(project) == ["channel", "ticket id"]
    assert column_values(project, [late, odd], ["ticket id", "channel"]) == {
        late: [("ticket id", "T-1"), ("ticket id", "T-3"), ("channel", "mail")], odd: [("channel", "phone")],
    }  # fmt: skip
    assert column_values(project, [late], []) == {}
