"""A large label set in groups: ``python -m benchmarks.label_set --labels 10000``; processor seconds of each step.

Every label has two examples and is in four groups, one in the other. Nothing is embedded, and the map is random.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from red_core.data.importing import import_files
from red_core.labels.edits import apply_edit, preview, undo_edit
from red_core.labels.group_sources import from_columns, group_columns
from red_core.labels.groups import MoveGroup
from red_core.store import views
from red_core.store.database import open_project
from red_core.store.labels import list_labels, save_layout
from widgets.labels.map_figure import label_map_figure
from widgets.labels.map_groups import coloured_by_group, overview
from widgets.labels.map_overlay import Focus, Overlay

Result = TypeVar("Result")
BOUNDS = np.array([[0.0, 0.0], [1.0, 1.0]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=int, default=10_000)
    count = parser.parse_args().labels
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), count)


def timed(what: str, step: Callable[[], Result]) -> Result:
    began = time.process_time()
    result = step()
    print(f"{what:44}{time.process_time() - began:8.2f}", flush=True)
    return result


def measure(folder: Path, count: int) -> None:
    rows = [
        (
            f"text {label} {k}",
            f"label {label}",
            f"A {label % 10} > B {label % 100} > C {label % 1000} > D {label % 2000}",
        )
        for label in range(count)
        for k in range(2)
    ]
    pd.DataFrame(rows, columns=["text", "label", "path"]).to_csv(folder / "seeds.csv", index=False)
    timed("import", lambda: import_files(folder / "w", "large", folder / "seeds.csv"))
    project = open_project(folder / "w", "large")
    timed("find columns that hold groups", lambda: group_columns(project))
    edit, _ = timed("take the groups from a column", lambda: from_columns(project, ["path"]))
    timed("put all labels into groups", lambda: apply_edit(project, edit, "benchmark"))
    timed("read all labels", lambda: list_labels(project))
    move = MoveGroup(("A 1",), ("A 2", "inside"))
    timed("preview the move of a tenth", lambda: preview(project, move))
    timed("move it", lambda: apply_edit(project, move, "benchmark"))
    timed("undo", lambda: undo_edit(project, "benchmark"))
    ids = np.array([label.id for label in list_labels(project)])
    points = np.random.default_rng(0).random((len(ids), 2))
    save_layout(project, ids, np.arange(len(ids)) % max(1, count // 10), points, "benchmark")
    table = timed("read the table of labels", lambda: views.label_table(project, 0))
    labels = [row | {"state": ""} for row in table]
    for words, scope in (("draw the map of the groups", ()), ("draw the map of one group", ("A 3",))):
        timed(words, lambda scope=scope: draw(labels, scope))


def draw(labels: list[dict[str, object]], scope: tuple[str, ...]) -> object:
    shown = coloured_by_group(overview(labels, scope), scope)
    return label_map_figure(shown, "", BOUNDS, Focus(), Overlay(scope=scope), "#000").to_plotly_json()


if __name__ == "__main__":
    sys.exit(main())
