"""Shapes over and under the labels of the map: lines between confused labels, rings, names of groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from red_core.store.views import Confusion
from widgets.shell.untrusted import for_hover

Spot = Sequence[float]
"""The x and y coordinates on the map."""
RING = 13
"""Radius in pixels."""
MOST_LINES = 25
"""Number of confused pairs that are shown; with more, the lines would hide the map."""
CONFUSED = "rgba(213,94,0,0.4)"


@dataclass(frozen=True)
class Focus:
    """The choice that the figure marks; all else fades.

    Attributes
    ----------
    label, subset : int or None
        A label's id, a subset's number.
    inside : tuple of int
        The labels in the lasso.
    nearest : tuple of int
        The labels most similar to ``label``: a dotted line leads to each.
    around : int or None
        The label that the map is zoomed to; None shows the whole map.
    """

    label: int | None = None
    subset: int | None = None
    inside: tuple[int, ...] = ()
    nearest: tuple[int, ...] = ()
    around: int | None = None


@dataclass(frozen=True)
class Overlay:
    """Confused pairs and groups of texts that are drawn with the labels.

    Attributes
    ----------
    confusions : sequence of Confusion
        The pairs of labels to draw a line between, most texts first. With a chosen label, only its pairs.
    groups : sequence of (str, (x, y))
        Groups of texts that fit no label: the suggested name and the spot.
    scope : tuple of str or None
        The group of labels whose groups are outlined; () for the outermost, None for no outlines.
    """

    confusions: Sequence[Confusion] = ()
    groups: Sequence[tuple[str, Spot]] = ()
    scope: tuple[str, ...] | None = None


def lines(spots: Mapping[int, Spot], focus: Focus, overlay: Overlay) -> list[dict[str, Any]]:
    """Return lines between confused labels, and from the chosen label to its nearest ones.

    They are shapes, because a shape cannot be selected. ``spots`` are the coordinates of the labels by id.
    """
    several = focus.label is None and (focus.inside or focus.subset is not None)
    pairs = [] if several else [pair for pair in overlay.confusions if set(pair.labels) <= spots.keys()]
    pairs = pairs[:MOST_LINES]
    most = max((pair.texts for pair in pairs), default=1.0)
    confused = [
        _line(spots[pair.labels[0]], spots[pair.labels[1]], CONFUSED, 1 + 3 * pair.texts / most, "solid")
        for pair in pairs
    ]
    if focus.label is None or focus.label not in spots:
        return confused
    near = [spots[other] for other in focus.nearest if other in spots]
    return confused + [_line(spots[focus.label], spot, "rgba(128,128,128,0.8)", 1.5, "dot") for spot in near]


def _line(start: Spot, end: Spot, colour: str, width: float, dash: str) -> dict[str, Any]:
    return {
        "type": "line",
        "x0": start[0],
        "y0": start[1],
        "x1": end[0],
        "y1": end[1],
        "layer": "below",
        "line": {"color": colour, "width": round(width, 1), "dash": dash},
    }


def rings(spots: Mapping[int, Spot], focus: Focus, overlay: Overlay, ink: str) -> list[dict[str, Any]]:
    """Return a dotted ring for each group of texts that fit no label, and a solid one around the chosen label."""
    dotted = [_ring(spot, ink, "dot") for _, spot in overlay.groups]
    if focus.label is None or focus.label not in spots:
        return dotted
    return [*dotted, _ring(spots[focus.label], ink, "solid")]


def _ring(spot: Spot, colour: str, dash: str) -> dict[str, Any]:
    return {
        "type": "circle",
        "xsizemode": "pixel",
        "ysizemode": "pixel",
        "xanchor": spot[0],
        "yanchor": spot[1],
        "x0": -RING,
        "x1": RING,
        "y0": -RING,
        "y1": RING,
        "line": {"color": colour, "width": 2.5 if dash == "solid" else 1.5, "dash": dash},
    }


def names_of_groups(overlay: Overlay, ink: str) -> list[dict[str, Any]]:
    """Return the suggested name of each group, to be written above its ring."""
    return [
        {
            "x": x,
            "y": y,
            "text": f"<i>{for_hover(name, 28)}?</i>",
            "showarrow": False,
            "yshift": RING + 8,
            "font": {"size": 11, "color": ink},
        }
        for name, (x, y) in overlay.groups
    ]
