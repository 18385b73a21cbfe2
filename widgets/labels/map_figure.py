"""The label map as a figure: the labels are its only points, the pool is a picture behind them."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from PIL import Image
from scipy.ndimage import gaussian_filter

from red_core.records import Floats, Ints
from widgets.labels.map_overlay import RING, Focus, Overlay, lines, names_of_groups, rings
from widgets.shell.marks import mark
from widgets.shell.untrusted import for_hover

HEIGHT = 620
WIDTH = 640
"""About as wide as the map is on a laptop; only the choice of the names that fit depends on it."""
FADED, UNSELECTED = 0.18, 0.35
CLOSE = 0.5
"""Of the whole map, how much is shown around a label that was searched for."""
GAP = "\u00a0\u00a0\u00a0"
"""Keeps the chosen label's name out of its ring."""
CONFIG = {
    "displaylogo": False,
    "scrollZoom": True,
    "displayModeBar": True,
    "modeBarButtonsToRemove": ["toImage", "autoScale2d"],
}
ALT = "Map of the labels, coloured by subset, before the density of the pool. The table holds the same labels."


def pool_picture(counts: Ints) -> str:
    """Return counts of texts, shape (x, y), as a PNG in a data address: clear where none, greyer where more."""
    blur = float(np.clip(90 / np.sqrt(max(counts.sum(), 1)), 1.3, 2.6))  # few texts: a cloud, not speckles
    smooth = gaussian_filter(counts.T[::-1].astype(np.float64), blur)
    peak = max(float(smooth.max()), 1e-9)
    lift = float(np.clip(20 * peak, 10, 150))  # thin places beside high peaks still show
    strength = np.log1p(lift * smooth / peak) / np.log1p(lift)
    alpha = np.asarray(115 * np.round(24 * strength) / 24, dtype=np.uint8)  # few shades: a small file
    file = io.BytesIO()
    Image.fromarray(np.stack([np.full_like(alpha, 128), alpha], axis=-1), "LA").save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def label_map_figure(
    rows: Sequence[dict[str, Any]], picture: str, bounds: Floats, focus: Focus, overlay: Overlay, ink: str
) -> go.Figure:
    """Return the map.

    Parameters
    ----------
    rows : sequence of dict
        Labels that have a place; a row per point, in this order. See ``views.label_table``.
    picture : str
        Of :func:`pool_picture`; '' draws none.
    bounds : ndarray of shape (2, 2)
        Lower left and upper right corner of the picture and of the whole map.
    focus : Focus
    overlay : Overlay
    ink : str
        Colour of the names.
    """
    places = np.round([(row["x"], row["y"]) for row in rows], 3)  # a thousandth is less than a pixel
    at = {row["id"]: place for row, place in zip(rows, places.tolist(), strict=True)}
    view = _view(at, bounds, focus)
    figure = go.Figure(_points(rows, places, view, focus, overlay, ink))
    figure.update_layout(
        height=HEIGHT,
        margin={"l": 0, "r": 0, "t": 28, "b": 0},
        showlegend=False,
        dragmode="pan",
        hoverlabel={"align": "left", "font": {"color": ink}},
        uirevision="map",  # a run of the page that changes nothing here leaves the zoom as it is
        xaxis={"visible": False, "range": view[:, 0].tolist()},
        yaxis={"visible": False, "range": view[:, 1].tolist()},
        images=[_behind(picture, bounds)] if picture else [],
        shapes=[*lines(at, focus, overlay), *rings(at, focus, overlay, ink)],
        annotations=names_of_groups(overlay, ink),
    )
    return figure


def _points(
    rows: Sequence[dict[str, Any]], places: Floats, view: Floats, focus: Focus, overlay: Overlay, ink: str
) -> go.Scatter:
    """Return the labels, with the names that fit into what is in view."""
    marks = [mark(row["subset"]) for row in rows]
    rivals = {label for one in overlay.confusions for label in one.labels} if focus.label is not None else set()
    clear = np.array([row["id"] in rivals or _in_focus(row, focus) for row in rows])
    sizes = _sizes(rows)
    order = sorted(range(len(rows)), key=lambda at: (rows[at]["id"] != focus.label, -rows[at]["seeds"]))
    room = np.where([row["id"] == focus.label for row in rows], 2 * RING, sizes)
    texts, sides = _names_that_fit(rows, places, view, room, [at for at in order if clear[at]])
    texts = [f"{GAP}{text}{GAP}" if row["id"] == focus.label else text for row, text in zip(rows, texts, strict=True)]
    return go.Scatter(
        x=places[:, 0],
        y=places[:, 1],
        mode="markers+text",
        text=texts,
        textposition=sides,
        textfont={"size": 11, "color": ink},
        customdata=[_told(row) for row in rows],
        hovertemplate=_HOVER,
        marker={
            "color": [colour for colour, _, _ in marks],
            "symbol": [symbol + _FILLING[row["state"]] for row, (_, symbol, _) in zip(rows, marks, strict=True)],
            "size": sizes,
            "opacity": 0.95 if clear.all() else np.where(clear, 0.95, FADED),
            "line": {"width": 1, "color": "rgba(128,128,128,0.55)"},
        },
        # What is clicked or in the lasso, the browser marks by itself: nothing is drawn anew, and the zoom stays.
        unselected={"marker": {"opacity": UNSELECTED}},
        selected={"marker": {"opacity": 1.0}},
    )


def _view(at: Mapping[int, list[float]], bounds: Floats, focus: Focus) -> Floats:
    """Return the corners of what is shown: all, or the surroundings of a label."""
    if focus.around not in at:
        return bounds
    half = (bounds[1] - bounds[0]) * CLOSE / 2
    middle = np.clip(at[focus.around], bounds[0] + half, bounds[1] - half)
    return np.stack([middle - half, middle + half])


_FILLING = {"": 0, "new": 100, "look": 200}
"""Plotly's number of a filled symbol, an open one, and one with a dot in it, is the symbol's plus this."""
STATES = {"new": "new since the last round", "look": "look at it: it drifted, or audits find it wrong too often"}


# What is the same for all stands here once: what a lasso sends holds all that is said of each of its labels.
_HOVER = (
    "<b>%{customdata[0]}</b><br>%{customdata[1]}Subset %{customdata[2]}<br>"
    "%{customdata[3]} seeds, %{customdata[4]} fed back%{customdata[5]}<extra></extra>"
)


def _told(row: dict[str, Any]) -> list[Any]:
    """Return what the hover says of a label: everything from outside is escaped."""
    labelled = f"<br>{row['labelled']:,} labelled, mean belief {row['belief']:.2f}" if row["labelled"] else ""
    meaning = f"{for_hover(row['meaning'], 60)}<br>" if row["meaning"] else ""
    state = f"<br>{STATES[row['state']]}" if row["state"] else ""
    return [for_hover(row["name"], 60), meaning, row["subset"] + 1, row["seeds"], row["fed_back"], labelled + state]


def _in_focus(row: dict[str, Any], focus: Focus) -> bool:
    if focus.label is not None:
        return row["id"] == focus.label or row["id"] in focus.nearest or row["subset"] == focus.subset
    if focus.inside:
        return row["id"] in focus.inside
    return focus.subset is None or row["subset"] == focus.subset


def _sizes(rows: Sequence[dict[str, Any]]) -> Floats:
    """Return the diameters of the marks: their area grows with the seeds, and all shrink where labels are many."""
    seeds = np.array([row["seeds"] for row in rows], dtype=np.float32)
    largest = float(np.clip(130 / np.sqrt(len(rows)), 8, 16))
    return np.round(largest * (0.45 + 0.55 * np.sqrt(seeds / max(float(seeds.max()), 1.0))), 1)


def _names_that_fit(
    rows: Sequence[dict[str, Any]], places: Floats, view: Floats, sizes: Floats, order: Sequence[int]
) -> tuple[list[str], list[str]]:
    """Return the name beside each point of ``order``, '' where it would cover one of them, and its side."""
    centres = (places - view[0]) / (view[1] - view[0]) * (WIDTH, HEIGHT)
    radius = sizes / 2
    around = radius[:, None] * (-1, 1)
    taken = np.hstack([centres[:, :1] + around, centres[:, 1:] + around])[order]
    texts, sides = [""] * len(rows), ["top left"] * len(rows)
    for at in order:
        name = for_hover(rows[at]["name"], 32)
        wide, (x, y), away = 5.7 * len(name) + 4, centres[at], radius[at] + 2
        for side, box in {
            "middle right": (x + away, x + away + wide, y - 7, y + 7),
            "middle left": (x - away - wide, x - away, y - 7, y + 7),
            "top center": (x - wide / 2, x + wide / 2, y + away, y + away + 14),
            "bottom center": (x - wide / 2, x + wide / 2, y - away - 14, y - away),
        }.items():
            left, right, low, high = box
            covered = (taken[:, 0] < right) & (taken[:, 1] > left) & (taken[:, 2] < high) & (taken[:, 3] > low)
            if not covered.any() and left > 0 and right < WIDTH:
                texts[at], sides[at] = name, side
                taken = np.vstack([taken, box])
                break
    return texts, sides


def _behind(picture: str, bounds: Floats) -> dict[str, Any]:
    (left, bottom), (right, top) = bounds.tolist()
    return {
        "source": picture,
        "xref": "x",
        "yref": "y",
        "x": left,
        "y": top,
        "sizex": right - left,
        "sizey": top - bottom,
        "sizing": "stretch",
        "layer": "below",
    }
