"""The label map as a figure: the labels are its only points, the pool is a picture behind them."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from PIL import Image
from scipy.ndimage import gaussian_filter

from red_core.records import Floats, Ints
from widgets.untrusted import for_hover

SIGNS = {0: "●", 1: "■", 2: "◆", 5: "▲", 17: "★", 6: "▼", 3: "✚", 4: "✖", 13: "⬟", 7: "◀", 8: "▶"}
"""Plotly's number of a symbol, and a sign that looks like it. With 10 colours, 110 subsets look different."""
SPARE_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7")
HEIGHT = 620
WIDTH = 640
"""About as wide as the map is on a laptop; only the choice of the names that fit depends on it."""
FADED = 0.18
RING = 13
GAP = "\u00a0\u00a0\u00a0"
"""Keeps the chosen label's name out of its ring."""
CONFIG = {
    "displaylogo": False,
    "scrollZoom": True,
    "displayModeBar": True,
    "modeBarButtonsToRemove": ["toImage", "autoScale2d"],
}
ALT = "Map of the labels, coloured by subset, before the density of the pool. The table holds the same labels."


@dataclass(frozen=True)
class Focus:
    """What is chosen on the map, as label ids and a subset number; the rest fades.

    Attributes
    ----------
    label, subset : int or None
    inside : tuple of int
        The labels in the lasso.
    nearest : tuple of int
        Labels most similar to ``label``: a line leads to each.
    """

    label: int | None = None
    subset: int | None = None
    inside: tuple[int, ...] = ()
    nearest: tuple[int, ...] = ()


def mark(subset: int) -> tuple[str, int, str]:
    """Return the colour, Plotly's symbol and the sign of a subset."""
    colours = st.get_option("theme.chartCategoricalColors") or SPARE_COLOURS
    symbol = list(SIGNS)[subset % len(SIGNS)]
    return str(colours[subset % len(colours)]), symbol, SIGNS[symbol]


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


def label_map_figure(rows: Sequence[dict[str, Any]], picture: str, edges: Floats, focus: Focus, ink: str) -> go.Figure:
    """Return the map.

    Parameters
    ----------
    rows : sequence of dict
        Labels that have a place; a row per point, in this order. See ``views.label_table``.
    picture : str
        Of :func:`pool_picture`; '' draws none.
    edges : ndarray of shape (2, 2)
        Lower left and upper right corner of the picture and of the map.
    focus : Focus
    ink : str
        Colour of the names.
    """
    places = np.array([(row["x"], row["y"]) for row in rows], dtype=np.float32)
    marks = [mark(row["subset"]) for row in rows]
    clear = np.array([_in_focus(row, focus) for row in rows])
    sizes = _sizes(rows)
    order = sorted(range(len(rows)), key=lambda at: (rows[at]["id"] != focus.label, -rows[at]["seeds"]))
    room = np.where([row["id"] == focus.label for row in rows], 2 * RING, sizes)
    texts, sides = _names_that_fit(rows, places, edges, room, [at for at in order if clear[at]])
    texts = [f"{GAP}{text}{GAP}" if row["id"] == focus.label else text for row, text in zip(rows, texts, strict=True)]
    points = go.Scatter(
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
            "symbol": [symbol for _, symbol, _ in marks],
            "size": sizes,
            "opacity": np.where(clear, 0.95, FADED).astype(np.float32),
            "line": {"width": 1, "color": "rgba(128,128,128,0.55)"},
        },
        # What the browser marks while the lasso is drawn; the page then draws its own focus.
        unselected={"marker": {"opacity": FADED}},
        selected={"marker": {"opacity": 1.0}},
    )
    figure = go.Figure(points)
    figure.update_layout(
        height=HEIGHT,
        margin={"l": 0, "r": 0, "t": 28, "b": 0},
        showlegend=False,
        dragmode="pan",
        hoverlabel={"align": "left", "font": {"color": ink}},
        uirevision="map",
        xaxis={"visible": False, "range": edges[:, 0].tolist()},
        yaxis={"visible": False, "range": edges[:, 1].tolist()},
        images=[_behind(picture, edges)] if picture else [],
        shapes=_lines_and_ring(rows, places, focus),
    )
    return figure


_HOVER = (
    "<b>%{customdata[0]}</b><br>%{customdata[1]}Subset %{customdata[2]}<br>"
    "%{customdata[3]} seeds, %{customdata[4]} fed back%{customdata[5]}<extra></extra>"
)


def _told(row: dict[str, Any]) -> list[Any]:
    """Return what the hover says of a label: everything from outside is escaped."""
    labelled = f"<br>{row['labelled']:,} labelled, mean belief {row['belief']:.2f}" if row["labelled"] else ""
    meaning = f"{for_hover(row['meaning'], 60)}<br>" if row["meaning"] else ""
    return [for_hover(row["name"], 60), meaning, row["subset"] + 1, row["seeds"], row["fed_back"], labelled]


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
    return np.asarray(largest * (0.45 + 0.55 * np.sqrt(seeds / max(float(seeds.max()), 1.0))), dtype=np.float32)


def _names_that_fit(
    rows: Sequence[dict[str, Any]], places: Floats, edges: Floats, sizes: Floats, order: Sequence[int]
) -> tuple[list[str], list[str]]:
    """Return the name beside each point of ``order``, '' where it would cover one of them, and its side."""
    centres = (places - edges[0]) / (edges[1] - edges[0]) * (WIDTH, HEIGHT)
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


def _behind(picture: str, edges: Floats) -> dict[str, Any]:
    (left, bottom), (right, top) = edges.tolist()
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


def _lines_and_ring(rows: Sequence[dict[str, Any]], places: Floats, focus: Focus) -> list[dict[str, Any]]:
    """Return a ring around the chosen label and a line from it to each of its nearest: shapes cannot be selected."""
    at = {row["id"]: place for row, place in zip(rows, places.tolist(), strict=True)}
    if focus.label not in at:
        return []
    x, y = at[focus.label]
    colour = next(mark(row["subset"])[0] for row in rows if row["id"] == focus.label)
    lines = [
        {
            "type": "line",
            "x0": x,
            "y0": y,
            "x1": at[other][0],
            "y1": at[other][1],
            "layer": "below",
            "line": {"color": "rgba(128,128,128,0.8)", "width": 1.5, "dash": "dot"},
        }
        for other in focus.nearest
        if other in at
    ]
    ring = {
        "type": "circle",
        "xsizemode": "pixel",
        "ysizemode": "pixel",
        "xanchor": x,
        "yanchor": y,
        "x0": -RING,
        "x1": RING,
        "y0": -RING,
        "y1": RING,
        "line": {"color": colour, "width": 2.5},
    }
    return [*lines, ring]


def similarity_figure(names: Sequence[str], similarity: Floats, colour: str) -> go.Figure:
    """Return the similarities between a few labels as a heat map with the numbers in its cells."""
    shown = [for_hover(name, 18) for name in names]
    below = np.tril(np.ones(similarity.shape, dtype=bool), k=-1)
    rgb = ",".join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5))
    figure = go.Figure(
        go.Heatmap(
            z=np.where(below, similarity, np.nan)[1:, :-1].astype(np.float32),
            x=list(range(len(shown) - 1)),
            y=list(range(1, len(shown))),
            zmin=0,
            zmax=1,
            colorscale=[[0, f"rgba({rgb},0.05)"], [1, f"rgba({rgb},1)"]],
            showscale=False,
            texttemplate="%{z:.2f}",
            textfont={"size": 10},
            hoverinfo="skip",
            xgap=2,
            ygap=2,
        )
    )
    ticks = {"tickmode": "array", "tickfont": {"size": 11}, "showgrid": False, "ticks": "", "zeroline": False}
    figure.update_layout(
        height=90 + 24 * len(shown),
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        dragmode=False,
        xaxis=ticks | {"tickvals": list(range(len(shown) - 1)), "ticktext": shown[:-1], "tickangle": -60},
        yaxis=ticks | {"tickvals": list(range(1, len(shown))), "ticktext": shown[1:], "autorange": "reversed"},
    )
    return figure
