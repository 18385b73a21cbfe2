"""A matrix of the similarities between a few labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from red_core.records import Floats
from widgets.shell.untrusted import for_hover


def similarity_figure(names: Sequence[str], similarity: Floats, colour: str) -> go.Figure:
    """Return a heat map of the similarities, shape (n, n), between n labels, with the numbers in its cells."""
    headings = [for_hover(name, 18) for name in names]
    below = np.tril(np.ones(similarity.shape, dtype=bool), k=-1)
    rgb = ",".join(str(int(colour[start : start + 2], 16)) for start in (1, 3, 5))  # of #rrggbb
    figure = go.Figure(
        go.Heatmap(
            z=np.where(below, similarity, np.nan)[1:, :-1].astype(np.float32),
            x=list(range(len(headings) - 1)),
            y=list(range(1, len(headings))),
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
        height=90 + 24 * len(headings),
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        dragmode=False,
        xaxis=ticks | {"tickvals": list(range(len(headings) - 1)), "ticktext": headings[:-1], "tickangle": -60},
        yaxis=ticks | {"tickvals": list(range(1, len(headings))), "ticktext": headings[1:], "autorange": "reversed"},
    )
    return figure
