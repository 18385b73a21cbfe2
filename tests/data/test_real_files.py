"""Every file of tests/helpers/real_files.py comes in right: its notes, its labels, and what becomes of each row."""

from __future__ import annotations

import pytest

from red_core.data.choices import Choices
from red_core.data.importing import count_rows
from red_core.data.preparing import read_source
from tests.helpers.real_files import REAL_FILES


def test_there_are_sixty_files_of_fourteen_tools():
    assert len(REAL_FILES) >= 60
    assert len({file.tool for file in REAL_FILES.values()}) >= 14


@pytest.mark.parametrize("file", REAL_FILES.values(), ids=REAL_FILES)
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
