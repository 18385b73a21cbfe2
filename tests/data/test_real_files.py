"""Every file of real_files.py and odd_files.py comes in right: its notes, its labels, and what becomes of each row."""

from __future__ import annotations

import pytest

from red_core.data.choices import Choices
from red_core.data.importing import count_rows
from red_core.data.preparing import read_source
from red_core.errors import InputError
from tests.data.odd_files import ODD_FILES
from tests.helpers.real_files import LABELLED, REAL_FILES, book

ALL = {**REAL_FILES, **ODD_FILES}


def test_there_are_sixty_files_of_fourteen_tools():
    assert len(REAL_FILES) >= 60
    assert len({file.tool for file in REAL_FILES.values()}) >= 14


@pytest.mark.parametrize("file", ALL.values(), ids=ALL)
def test_a_real_file_comes_in_right(file, tmp_path):
    (path := tmp_path / file.file).write_bytes(file.bytes())
    prepared = read_source(path, role=file.role, choices=Choices(**file.choices))
    counts = count_rows(None, file.role, prepared)
    assert file.says in "\n".join(prepared.notes)
    left_out = [(row, reason) for row, reason, _ in counts.left_out]
    gone = {row for row, _ in left_out}
    used = [row for row in prepared.rows if row.row not in gone]
    assert {row.text: row.label for row in used if row.label} == file.seeds
    assert {row.text: row.rejected for row in used if row.rejected} == file.rejected
    assert (counts.rows, counts.used, counts.folded, len(left_out)) == file.counts
    assert counts.rows == counts.used + counts.folded + len(left_out)
    assert len(left_out) == len(file.reasons)
    assert all(part in reason for part, (_, reason) in zip(file.reasons, left_out, strict=True))
    assert not any(character in row.text + (row.label or "") for row in used for character in "{}[]")


def test_a_workbook_of_formulas_without_results_is_refused(tmp_path):
    rows = [[text, f'="{label}"'] for text, label in LABELLED]
    (tmp_path / "a.xlsx").write_bytes(book({"A": [["text", "label"], *rows]}))
    with pytest.raises(InputError, match=r"4 formulas have no result in the file\. Open it in Excel and save it"):
        read_source(tmp_path / "a.xlsx", role="labelled")
