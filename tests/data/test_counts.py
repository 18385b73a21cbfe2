"""Rows in = used + folded + left out: the preview, the result, the project's counts and the export agree."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from red_core.data.choices import Choices
from red_core.data.importing import count_rows, existing, store_prepared
from red_core.data.preparing import read_source
from red_core.errors import InputError
from red_core.records import Project
from red_core.store.final_labels import source_counts
from red_core.store.texts import facts, left_out_rows, row_counts
from red_core.store.views import sources
from tests.helpers.project_facts import export_rows
from tests.helpers.small_projects import EMBEDDING, write_csv

TEXTS = st.sampled_from(
    [
        "",
        " ",
        "a b",
        "a  b",
        "c d",
        "e f",
        "g h",
        '{"a": 1}',
        "x" * 30_000,
        "text",
        "---",
        "#NAME?",
        "Total",
        '["a", "b"]',
    ]
)
LABELS = st.sampled_from(
    [
        "",
        "one",
        "ONE",
        "two",
        "three",
        "one, two",
        '["one"]',
        "[]",
        "y" * 300,
        "nan",
        "N/A",
        "one + two",
        "label",
        "one\u200b",
    ]
)
ANSWERS = st.sampled_from(["accept", "reject", "ignore", ""])
ROWS = st.lists(st.tuples(TEXTS, LABELS, ANSWERS), min_size=1, max_size=12)
ALWAYS = [("one thing", "one", "accept"), ("two things", "two", "accept")]


@given(ROWS, ROWS, st.sampled_from(["leave out", "first", "each"]), st.sampled_from(["labelled", "pool"]))
@settings(max_examples=15, deadline=None)
def test_every_screen_and_the_export_count_the_same_rows(first, second, several, role):
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder) / "w"
        for number, (rows, kind) in enumerate(((ALWAYS + first, "labelled"), (second, role))):
            file = write_csv(Path(folder) / f"{number}.csv", ["text", "label", "answer"], rows)
            choices = Choices("text", "label", "answer" if any(r[2] for r in rows) else None, several=several)
            project = existing(workspace, "p")
            try:
                prepared = read_source(file, role=kind, choices=choices)
                preview = count_rows(project, kind, prepared)
                (result,) = store_prepared(workspace, "p", [(kind, prepared)], embedding=EMBEDDING)
            except InputError:
                continue
            assert (result.rows, result.used, result.folded, result.left_out) == (
                preview.rows, preview.used, preview.folded, len(preview.left_out),
            )  # fmt: skip
            assert result.rows == result.used + result.folded + result.left_out
            listed = [row["row"] for row in left_out_rows(Project(workspace, "p")) if row["source"] == result.source_id]
            assert listed == sorted(row for row, _, _ in preview.left_out)
        if existing(workspace, "p") is not None:
            assert_all_agree(Project(workspace, "p"))


def assert_all_agree(project: Project) -> None:
    counts, exported = facts(project), list(export_rows(project, 0))
    assert counts["rows"] == counts["used"] + counts["folded"] + counts["left_out"] == len(exported)
    gone = [row for row in exported if row["source"].startswith("left out")]
    assert (
        counts["left_out"] == len(gone) == len(left_out_rows(project)) == source_counts(project, 0).get("left out", 0)
    )
    assert counts["used"] == len({row["text_id"] for row in exported if row not in gone})
    parts = [row_counts(project, source["id"]) for source in sources(project)]
    assert {key: sum(part[key] for part in parts) for key in parts[0]} == {key: counts[key] for key in parts[0]}
