"""The legend of the label map: what its signs, lines and rings mean, of those that it shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from widgets.labels.map_overlay import CONFUSED, Overlay

GREY = "rgba(128,128,128,0.6)"


def legend(
    rows: Sequence[dict[str, Any]], overlay: Overlay, ink: str, drawn: Sequence[dict[str, Any]]
) -> list[go.Scatter]:
    """Return traces without points, which Plotly lists in its legend; the labels stay the only points of the map.

    ``drawn`` are the lines of the map.
    """
    states = {row["state"] for row in rows}
    point = " or ".join(dict.fromkeys("group" if "opens" in row else "label" for row in rows))
    entries = [_sign(f"{point}; larger: more labelled examples", {"symbol": "circle", "color": GREY, "size": 13})]
    if "new" in states:
        entries.append(_sign("new since the last round", {"symbol": "circle-open", "color": ink, "size": 11}))
    if "check" in states:
        entries.append(_sign("check this label", {"symbol": "circle-dot", "color": GREY, "size": 11}))
    entries.append(_sign("many unlabelled texts", {"symbol": "square", "color": "rgba(128,128,128,0.35)", "size": 15}))
    if any(line["line"]["color"] == CONFUSED for line in drawn):
        entries.append(_line("confused labels", {"color": CONFUSED, "width": 3}))
    if overlay.groups:
        ring = {"symbol": "circle-open-dot", "color": ink, "size": 13}
        entries.append(_sign("texts that fit no label", ring))
    return entries


def _sign(name: str, marker: dict[str, Any]) -> go.Scatter:
    return go.Scatter(x=[None], y=[None], mode="markers", name=name, marker=marker, hoverinfo="skip")


def _line(name: str, line: dict[str, Any]) -> go.Scatter:
    return go.Scatter(x=[None], y=[None], mode="lines", name=name, line=line, hoverinfo="skip")
