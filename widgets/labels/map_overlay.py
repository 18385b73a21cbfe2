"""What is drawn over and under the labels of the map: lines of confusion, rings, names of groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from red_core.store.views import Confusion
from widgets.shell.untrusted import for_hover

Spot = Sequence[float]
"""x and y on the map."""
RING = 13
MOST_LINES = 25
"""Pairs of confused labels that are shown: more is a tangle."""
CONFUSED = "rgba(213,94,0,0.4)"


@dataclass(frozen=True)
class Focus:
    """What the figure shows of what is chosen; all else fades.

    Attributes
    ----------
    label, subset : int or None
        A label's id, a subset's number.
    inside : tuple of int
        The labels in the lasso.
    nearest : tuple of int
        Labels most similar to ``label``: a dotted line leads to each.
    around : int or None
        The label the map is drawn around; None shows all of it.
    """

    label: int | None = None
    subset: int | None = None
    inside: tuple[int, ...] = ()
    nearest: tuple[int, ...] = ()
    around: int | None = None


@dataclass(frozen=True)
class Overlay:
    """What is drawn over the labels.

    Attributes
    ----------
    confusions : sequence of Confusion
        The pairs of labels to draw a line between, most texts first: of the chosen label, if there is one.
    groups : sequence of (str, (x, y))
        Texts that fit no label: the name suggested for a group, and its place.
    """

    confusions: Sequence[Confusion] = ()
    groups: Sequence[tuple[str, Spot]] = ()


def lines(at: Mapping[int, Spot], focus: Focus, overlay: Overlay) -> list[dict[str, Any]]:
    """Return lines between labels that are confused, and from the chosen one to its nearest.

    They are shapes, since no shape can be selected. ``at`` tells where each label stands, by its id.
    """
    apart = focus.label is None and (focus.inside or focus.subset is not None)
    shown = [] if apart else [one for one in overlay.confusions if set(one.labels) <= at.keys()]
    shown = shown[:MOST_LINES]
    most = max((one.texts for one in shown), default=1.0)
    confused = [
        _line(at[one.labels[0]], at[one.labels[1]], CONFUSED, 1 + 3 * one.texts / most, "solid") for one in shown
    ]
    if focus.label not in at:
        return confused
    return confused + [
        _line(at[focus.label], at[other], "rgba(128,128,128,0.8)", 1.5, "dot") for other in focus.nearest if other in at
    ]


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


def rings(at: Mapping[int, Spot], focus: Focus, overlay: Overlay, ink: str) -> list[dict[str, Any]]:
    """Return a dotted ring for each group of texts that fit no label, and a full one around the chosen label."""
    found = [_ring(spot, ink, "dot") for _, spot in overlay.groups]
    return [*found, _ring(at[focus.label], ink, "solid")] if focus.label in at else found


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
    """Return the suggested name over each ring of a group."""
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
