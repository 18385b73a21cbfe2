"""The label map as a figure: the labels are its only points, the unlabelled texts are an image behind them."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

import numpy as np
import plotly.graph_objects as go
from PIL import Image
from scipy.ndimage import gaussian_filter

from red_core.records import Floats, Ints
from red_core.store.labels import path_in_words
from widgets.labels.map_groups import outlines
from widgets.labels.map_legend import legend
from widgets.labels.map_overlay import RING, Focus, Overlay, Spot, lines, names_of_groups, rings
from widgets.shell.marks import mark
from widgets.shell.untrusted import for_hover

HEIGHT = 540
WIDTH = 720
"""Approximate width of the map on a laptop, in pixels. It only decides which names fit."""
BESIDE = 490
"""The same where a group is open: the details of its labels stand beside the map."""
NAME_LINE, MOST_LINES_OF_NAME = 26, 3
"""Characters of a line of the name of a group, and its lines."""
FADED, UNSELECTED = 0.18, 0.35
CLOSE = 0.5
"""Share of the whole map, in each direction, that is shown around a label that was searched for."""
GAP = "\u00a0\u00a0\u00a0"
"""Spaces that keep the name of the chosen label out of its ring."""
CONFIG = {
    "displaylogo": False,
    "scrollZoom": True,
    "displayModeBar": True,
    "modeBarButtonsToRemove": ["toImage", "autoScale2d"],
}
ALT = "Map of the labels, coloured by subset. Darker grey shows more unlabelled texts. The table lists the same labels."


def pool_picture(counts: Ints) -> str:
    """Return counts of texts, shape (x, y), as a PNG in a data URL: transparent without texts, darker with more."""
    blur = float(
        np.clip(90 / np.sqrt(max(counts.sum(), 1)), 1.3, 2.6)
    )  # few texts look like a cloud, not like speckles
    smooth = gaussian_filter(counts.T[::-1].astype(np.float64), blur)
    peak = max(float(smooth.max()), 1e-9)
    lift = float(np.clip(20 * peak, 10, 150))  # sparse areas stay visible beside high peaks
    strength = np.log1p(lift * smooth / peak) / np.log1p(lift)
    alpha = np.asarray(115 * np.round(24 * strength) / 24, dtype=np.uint8)  # few shades make a small file
    file = io.BytesIO()
    Image.fromarray(np.stack([np.full_like(alpha, 128), alpha], axis=-1), "LA").save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def label_map_figure(
    rows: Sequence[dict[str, Any]], picture: str, bounds: Floats, focus: Focus, overlay: Overlay, ink: str
) -> go.Figure:
    """Return the label map.

    Parameters
    ----------
    rows : sequence of dict
        Labels with coordinates (see ``label_rows``); one point per row, in the same order.
    picture : str
        Result of :func:`pool_picture`; '' draws none.
    bounds : ndarray of shape (2, 2)
        Lower left and upper right corner of the picture and of the whole map.
    focus : Focus
        The choice to mark.
    overlay : Overlay
        Lines and rings.
    ink : str
        CSS colour of the names.
    """
    coordinates = np.round([(row["x"], row["y"]) for row in rows], 3)  # a thousandth is less than a pixel
    spots = {row["id"]: spot for row, spot in zip(rows, coordinates.tolist(), strict=True)}
    view = _around(coordinates, bounds) if overlay.scope else _view(spots, bounds, focus)
    outlined, group_names = ([], []) if overlay.scope is None else outlines(rows, overlay.scope, ink, view)
    taken = _boxes_of(group_names, view, BESIDE if overlay.scope else WIDTH)
    between = lines(spots, focus, overlay)
    points = _points(rows, coordinates, view, focus, taken, overlay, ink)
    figure = go.Figure([points, *legend(rows, overlay, ink, between)])
    figure.update_layout(
        height=HEIGHT,
        margin={"l": 0, "r": 0, "t": 28, "b": 0},
        legend={
            "orientation": "h",
            "x": 0,
            "y": 0,
            "yanchor": "top",
            "itemclick": False,
            "itemdoubleclick": False,
            "font": {"color": ink},
        },
        dragmode="pan",
        hoverlabel={"align": "left", "font": {"color": ink}},
        uirevision="map",  # a rerun that does not change the figure keeps the zoom
        xaxis={"visible": False, "range": view[:, 0].tolist()},
        yaxis={"visible": False, "range": view[:, 1].tolist()},
        images=[_behind(picture, bounds)] if picture else [],
        shapes=[*outlined, *between, *rings(spots, focus, overlay, ink)],
        annotations=[*group_names, *names_of_groups(overlay, ink)],
    )
    return figure


def _points(  # what a point may show, each prepared by the caller
    rows: Sequence[dict[str, Any]],
    coordinates: Floats,
    view: Floats,
    focus: Focus,
    taken: Floats,
    overlay: Overlay,
    ink: str,
) -> go.Scatter:
    """Return the labels as points, with the names that fit into the view beside the boxes that are ``taken``."""
    marks = [mark(row.get("mark", row["subset"])) for row in rows]
    rivals = {label for pair in overlay.confusions for label in pair.labels} if focus.label is not None else set()
    clear = np.array([row["id"] in rivals or _in_focus(row, focus) for row in rows])
    sizes = _sizes(rows)
    order = sorted(range(len(rows)), key=lambda index: (rows[index]["id"] != focus.label, -rows[index]["seeds"]))
    room = np.where([row["id"] == focus.label for row in rows], 2 * RING, sizes)
    named, width = [index for index in order if clear[index]], BESIDE if overlay.scope else WIDTH
    texts, sides = _names_that_fit(rows, coordinates, view, room, named, taken, width)
    texts = [f"{GAP}{text}{GAP}" if row["id"] == focus.label else text for row, text in zip(rows, texts, strict=True)]
    return go.Scatter(
        x=coordinates[:, 0],
        y=coordinates[:, 1],
        mode="markers+text",
        showlegend=False,
        text=texts,
        textposition=sides,
        textfont={"size": 11, "color": ink},
        customdata=[_hover_fields(row) for row in rows],
        hovertemplate=_HOVER,
        marker={
            "color": [colour for colour, _, _ in marks],
            "symbol": [symbol + _FILLING[row["state"]] for row, (_, symbol, _) in zip(rows, marks, strict=True)],
            "size": sizes,
            "opacity": 0.95 if clear.all() else np.where(clear, 0.95, FADED),
            "line": {"width": 1, "color": "rgba(128,128,128,0.55)"},
        },
        # The browser marks a click or a lasso by itself, so the figure stays the same and keeps its zoom.
        unselected={"marker": {"opacity": UNSELECTED}},
        selected={"marker": {"opacity": 1.0}},
    )


def _around(coordinates: Floats, bounds: Floats) -> Floats:
    """Return the corners of the part that shows all of these labels, shape (2, 2), and not less than CLOSE."""
    low, high = coordinates.min(axis=0), coordinates.max(axis=0)
    half = np.maximum(0.6 * (high - low), CLOSE * (bounds[1] - bounds[0]) / 4)
    return np.stack([(low + high) / 2 - half, (low + high) / 2 + half])


def _view(spots: Mapping[int, Spot], bounds: Floats, focus: Focus) -> Floats:
    """Return the corners of the visible part, shape (2, 2): the whole map, or the surroundings of a label."""
    if focus.around is None or focus.around not in spots:
        return bounds
    half = (bounds[1] - bounds[0]) * CLOSE / 2
    middle = np.clip(np.array(spots[focus.around]), bounds[0] + half, bounds[1] - half)
    return np.stack([middle - half, middle + half])


_FILLING = {"": 0, "new": 100, "check": 200}
"""What Plotly adds to the number of a symbol: 0 for filled, 100 for open, 200 for a dot in it."""
STATES = {
    "new": "new since the last round",
    "check": "check this label: its new texts differ, or audits find it wrong too often",
}


# The fixed words of the hover are here once. A lasso sends the fields of every label in it, so they stay short.
_HOVER = (
    "<b>%{customdata[0]}</b><br>%{customdata[1]}%{customdata[2]}<br>"
    "%{customdata[3]} labelled examples, %{customdata[4]} fed back%{customdata[5]}<extra></extra>"
)


def _hover_fields(row: dict[str, Any]) -> list[Any]:
    """Return the fields of the hover of a label; everything from outside is escaped."""
    labelled = f"<br>{row['labelled']:,} labelled, average confidence {row['belief']:.0%}" if row["labelled"] else ""
    meaning = f"{for_hover(row['meaning'], 60)}<br>" if row["meaning"] else ""
    state = f"<br>{STATES[row['state']]}" if row["state"] else ""
    groups = for_hover(path_in_words(row["path"][:-1] if "opens" in row else row["path"]), 60)
    subset = "" if "opens" in row else f"Subset {row['subset'] + 1}"
    place = "<br>".join(filter(None, (groups, subset)))
    return [for_hover(row["name"], 60), meaning, place, row["seeds"], row["fed_back"], labelled + state]


def _in_focus(row: dict[str, Any], focus: Focus) -> bool:
    if "members" in row:  # a group in place of its labels
        return any(_in_focus(label, focus) for label in row["members"])
    if focus.label is not None:
        return row["id"] == focus.label or row["id"] in focus.nearest or row["subset"] == focus.subset
    if focus.inside:
        return row["id"] in focus.inside
    return focus.subset is None or row["subset"] == focus.subset


def _sizes(rows: Sequence[dict[str, Any]]) -> Floats:
    """Return the diameters of the marks in pixels: more examples make them larger, more labels make all smaller."""
    seeds = np.array([row["seeds"] for row in rows], dtype=np.float32)
    largest = float(np.clip(130 / np.sqrt(len(rows)), 8, 16))
    sizes: Floats = np.round(largest * (0.45 + 0.55 * np.sqrt(seeds / max(float(seeds.max()), 1.0))), 1)
    return sizes


def _boxes_of(names: Sequence[dict[str, Any]], view: Floats, width: float) -> Floats:
    """Return left, right, low and high of the names of groups, in pixels, shape (n, 4)."""
    spots = np.array([(name["x"], name["y"]) for name in names]).reshape(-1, 2)
    middle = (spots - view[0]) / (view[1] - view[0]) * (width, HEIGHT) + (0, 8)  # their yshift
    half = np.array([3.1 * len(name["text"].removeprefix("<b>").removesuffix("</b>")) for name in names])
    return np.stack([middle[:, 0] - half, middle[:, 0] + half, middle[:, 1] - 8, middle[:, 1] + 8], axis=1)


def _names_that_fit(  # everything that limits the place of a name
    rows: Sequence[dict[str, Any]],
    coordinates: Floats,
    view: Floats,
    sizes: Floats,
    order: Sequence[int],
    taken: Floats,
    width: float,
) -> tuple[list[str], list[str]]:
    """Return the name and its side for every point: '' outside ``order``, and where the name would cover another.

    A group has its name in any case, in lines and where it covers least: it is all that is known of the group.
    """
    centres = (coordinates - view[0]) / (view[1] - view[0]) * (width, HEIGHT)
    radius = sizes / 2
    around = radius[:, None] * (-1, 1)
    boxes = np.hstack([centres[:, :1] + around, centres[:, 1:] + around])[order]  # left, right, low, high
    boxes = np.vstack([boxes, taken])
    texts, sides = [""] * len(rows), ["top left"] * len(rows)
    for index in order:
        is_group = "opens" in rows[index]
        name = _name_in_lines(rows[index]["name"]) if is_group else [for_hover(rows[index]["name"], 32)]
        places = _places(name, centres[index], radius[index] + 2)
        covers = {side: _covered(box, boxes) + _outside(box, width) for side, box in places.items()}
        side = min(covers, key=covers.__getitem__)
        if is_group or not covers[side]:
            texts[index], sides[index] = "<br>".join(name), side
            boxes = np.vstack([boxes, places[side]])
    return texts, sides


def _name_in_lines(name: str) -> list[str]:
    lines_of_name = wrap(name, NAME_LINE)
    last = " ".join(lines_of_name[MOST_LINES_OF_NAME - 1 :])
    return [for_hover(line, NAME_LINE) for line in (*lines_of_name[: MOST_LINES_OF_NAME - 1], last) if line]


def _places(name: Sequence[str], centre: Floats, away: float) -> dict[str, tuple[float, float, float, float]]:
    """Return the box of a name at each side of its point: left, right, low and high; the best side comes first."""
    (x, y), wide, high = centre, 5.7 * max(map(len, name)) + 4, 14 * len(name)
    return {
        "middle right": (x + away, x + away + wide, y - high / 2, y + high / 2),
        "middle left": (x - away - wide, x - away, y - high / 2, y + high / 2),
        "top center": (x - wide / 2, x + wide / 2, y + away, y + away + high),
        "bottom center": (x - wide / 2, x + wide / 2, y - away - high, y - away),
    }


def _covered(box: Sequence[float], boxes: Floats) -> float:
    """Return how many square pixels of other names and points a name would cover."""
    left, right, low, high = box
    wide = np.minimum(boxes[:, 1], right) - np.maximum(boxes[:, 0], left)
    tall = np.minimum(boxes[:, 3], high) - np.maximum(boxes[:, 2], low)
    return float((np.maximum(wide, 0.0) * np.maximum(tall, 0.0)).sum())


def _outside(box: Sequence[float], width: float) -> float:
    """Return how many square pixels of a name would be outside of the map, each as bad as ten covered ones."""
    left, right, low, high = box
    return 10.0 * (max(-left, 0.0) + max(right - width, 0.0)) * (high - low)


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
