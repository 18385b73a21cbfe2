"""The demo project: messages to the support desk of a shop for outdoor gear, written by hand for this repository."""

from __future__ import annotations

import csv
from importlib.resources import files
from pathlib import Path

from red_core.data.importing import import_files
from red_core.records import Project, Report
from red_core.store.database import open_project
from red_core.store.labels import list_labels, set_meanings

NAME = "demo"
_FOLDER = Path(str(files("red_core.data.demo")))
SEEDS, POOL = _FOLDER / "seeds.csv", _FOLDER / "pool.csv"
"""The files of the demo: seeds with columns text and label; pool with text only."""


def make_demo(workspace: str | Path, name: str = NAME, report: Report = lambda _stage, _done, _total: None) -> Project:
    """Return the demo project, created if it does not exist. The true labels of its pool are used for scoring only."""
    truth = {row["text"]: row["label"] for row in _rows(_FOLDER / "pool_truth.csv")}
    import_files(workspace, name, SEEDS, POOL, truth=truth, who="demo", report=report)
    project = open_project(Path(workspace), name)
    meaning = {row["label"]: row["meaning"] for row in _rows(_FOLDER / "labels.csv")}
    unwritten = {label.id: meaning[label.name] for label in list_labels(project) if not label.meaning}
    if unwritten:
        set_meanings(project, unwritten, "demo")
    return project


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
