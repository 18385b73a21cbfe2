"""Time the preview of an import: ``python -m benchmarks.files``.

A CSV file of 100,000 rows and a workbook of 50,000 rows, each with five columns and 300 labels, are read as *Data*
reads them: in a process of its own, with progress, then sorted and counted. Processor seconds are those of the same
work in this process. *Cancel* is the time from the wish to the end of the reading process.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import openpyxl

from benchmarks.synthetic import WORDS
from red_core.data.importing import count_rows
from red_core.data.preparing import sort_rows
from red_core.data.tables import Table, read_table, write_table
from red_core.data.tables.child import read_table_apart, start_server
from red_core.errors import Cancelled

COLUMNS = ["id", "text", "label", "channel", "date"]


def write_file(path: Path, rows: int) -> None:
    draw = random.Random(0)  # noqa: S311  a benchmark
    words = [str(word) for word in WORDS]
    made = (
        {
            "id": str(number), "text": f"{' '.join(draw.choices(words, k=14))} {number}",
            "label": f"label {number % 300}", "channel": draw.choice(["mail", "chat"]), "date": "2024-05-01",
        }
        for number in range(rows)
    )  # fmt: skip
    if path.suffix == ".csv":
        write_table(path, made, COLUMNS)
        return
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("Tickets")
    sheet.append(COLUMNS)
    for row in made:
        sheet.append(list(row.values()))
    book.save(path)


def preview(read: Callable[[], Table]) -> int:
    """Return how many rows would be used."""
    prepared = sort_rows(read(), role="labelled")
    return count_rows(None, "labelled", prepared).used


def preview_apart(path: Path, rows: int) -> int:
    """Read in a process of its own; return how often progress was reported."""
    reports: list[int] = []
    assert preview(lambda: read_table_apart(path, progress=lambda done, _: reports.append(done))) == rows
    return len(reports)


def seconds_until_cancelled(path: Path) -> float:
    """Return the seconds from the wish to cancel, in the middle of reading, until reading has ended."""
    begun, wished = time.monotonic(), [0.0]

    def cancelled() -> bool:
        if time.monotonic() - begun > 0.3 and not wished[0]:
            wished[0] = time.monotonic()
        return bool(wished[0])

    try:
        read_table_apart(path, cancelled=cancelled)
    except Cancelled:
        return time.monotonic() - wished[0]
    return float("nan")  # it was read before


def measure(path: Path, rows: int, repeats: int) -> None:
    for _ in range(repeats):
        begun = time.process_time()
        assert preview(lambda: read_table(path)) == rows
        processor = time.process_time() - begun
        started = time.perf_counter()
        reports = preview_apart(path, rows)
        wall = time.perf_counter() - started
        stopped = seconds_until_cancelled(path)
        print(
            f"{path.name:10} {rows:>8,} rows {processor:>8.2f} processor s {wall:>8.2f} s "
            f"{reports:>4} reports of progress {stopped:>8.2f} s to cancel",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="of the CSV file; the workbook has half")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    start_server()
    with tempfile.TemporaryDirectory() as folder:
        for name, rows in (("rows.csv", options.rows), ("rows.xlsx", options.rows // 2)):
            write_file(path := Path(folder) / name, rows)
            measure(path, rows, options.repeats)


if __name__ == "__main__":
    main()
