"""Groups on the label map: colour by group, outlines with names, and the groups instead of too many labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.spatial import ConvexHull, QhullError

from red_core.labels.groups import is_in
from red_core.records import Floats
from widgets.labels.map_choice import Row
from widgets.shell.marks import mark
from widgets.shell.untrusted import for_hover

MOST_POINTS = 500
"""With more labels, the map shows their groups; a click on one opens it."""
MOST_OUTLINES = 30
CORE = 0.5
"""Share of the labels of a group that its outline holds, those nearest to its middle: stray labels would spread it."""
SIZE = np.array([720.0, 540.0])
"""Approximate size of the map in pixels: it decides which names of groups fit."""
NAME_SIZE = np.array([150.0, 16.0])
Path = tuple[str, ...]


def level_of(rows: Sequence[Row], scope: Path) -> dict[Path, list[Row]]:
    """Return the groups directly inside ``scope`` with their labels, the largest first."""
    found: dict[Path, list[Row]] = {}
    for row in rows:
        if len(row["path"]) > len(scope) and is_in(row["path"], scope):
            found.setdefault(row["path"][: len(scope) + 1], []).append(row)
    return dict(sorted(found.items(), key=lambda item: (-len(item[1]), item[0])))


def coloured_by_group(rows: Sequence[Row], scope: Path = ()) -> list[Row]:
    """Return the rows with the number of their group inside ``scope``, which gives colour and shape, as ``mark``."""
    number = {path: index for index, path in enumerate(level_of(rows, scope))}
    other = len(number)
    return [row | {"mark": number.get(row["path"][: len(scope) + 1], other)} for row in rows]


def overview(rows: Sequence[Row], scope: Path) -> list[Row]:
    """Return what the map shows of many labels: a row for each group inside ``scope``, and the labels beside them.

    The few labels of a small label set are returned as they are.
    """
    inside = [row for row in rows if is_in(row["path"], scope)]
    groups = level_of(inside, scope)
    if len(inside) <= MOST_POINTS or not groups:
        return inside
    beside = [row for row in inside if len(row["path"]) == len(scope)]
    return [_as_row(path, members, index) for index, (path, members) in enumerate(groups.items())] + beside


def _as_row(path: Path, members: Sequence[Row], index: int) -> Row:
    labelled = sum(row["labelled"] for row in members)
    belief = sum((row["belief"] or 0.0) * row["labelled"] for row in members) / max(labelled, 1)
    x, y = np.median([(row["x"], row["y"]) for row in members], axis=0).tolist()
    sums = {name: sum(row[name] for row in members) for name in ("seeds", "fed_back")}
    return {
        "id": -1 - index, "name": path[-1], "path": path, "meaning": f"{len(members):,} labels: click to open",
        "subset": index, "mark": index, "x": x, "y": y, "labelled": labelled, "belief": belief, "state": "",
        "opens": path, "members": members,
    } | sums  # fmt: skip


def outlines(
    rows: Sequence[Row], scope: Path, ink: str, view: Floats
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return a shape around each group inside ``scope``, and the names that fit, for the layout of the figure.

    Parameters
    ----------
    view : ndarray of shape (2, 2)
        Lower left and upper right corner of the visible part.
    """
    shapes, names, taken = [], [], list[Floats]()
    labels = [row for row in rows if "opens" not in row]  # the point of a group has its name already
    for number, (path, members) in enumerate(list(level_of(labels, scope).items())[:MOST_OUTLINES]):
        points = np.array([(row["x"], row["y"]) for row in members])
        middle = np.median(points, axis=0)
        corners = _hull(points, middle)
        if corners is not None:
            shapes.append(_shape(corners, mark(number)[0]))
        top = float(middle[1] if corners is None else corners[:, 1].max())
        place = (np.array([middle[0], top]) - view[0]) / (view[1] - view[0]) * SIZE
        if all((np.abs(place - other) > NAME_SIZE).any() for other in taken):
            taken.append(place)
            names.append(_name(path[-1], (float(middle[0]), top), ink))
    return shapes, names


def _hull(points: Floats, middle: Floats) -> Floats | None:
    distance = np.linalg.norm(points - middle, axis=1)
    core = points[np.argsort(distance, kind="stable")[: max(3, round(CORE * len(points)))]]
    try:
        return np.asarray(core[ConvexHull(core).vertices]) if len(core) >= 3 else None
    except QhullError:  # on a line
        return None


def _shape(corners: Floats, colour: str) -> dict[str, Any]:
    path = "M" + "L".join(f"{x:.3f},{y:.3f}" for x, y in corners.tolist()) + "Z"
    return {
        "type": "path", "path": path, "layer": "below", "line": {"color": colour, "width": 1}, "fillcolor": colour,
        "opacity": 0.08,
    }  # fmt: skip


def _name(name: str, spot: tuple[float, float], ink: str) -> dict[str, Any]:
    return {
        "x": spot[0], "y": spot[1], "text": f"<b>{for_hover(name, 28)}</b>", "showarrow": False, "yshift": 8,
        "font": {"size": 11, "color": ink}, "opacity": 0.8,
    }  # fmt: skip
