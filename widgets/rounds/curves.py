"""The curves of a project's rounds, each with a sentence that says what it means."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go
import streamlit as st

from red_core.records import Round
from red_core.settings import Settings
from widgets.shell.words import counted, in_points

HEIGHT = 230
DASHES = ("solid", "dot", "dash")
MARKS = ("circle", "diamond", "square")


@dataclass(frozen=True)
class Curve:
    """One small chart.

    Attributes
    ----------
    title : str
    lines : dict of name to values
        One value for each round, oldest first; None where the round has none.
    number : str
        Format of a value, for Python and for d3.
    sentence : str
        What the newest value means.
    """

    title: str
    lines: dict[str, list[float | None]]
    number: str
    sentence: str


def curves_of(done: list[Round], confirmed: int) -> list[Curve]:
    """Return the curves of finished rounds, oldest first.

    ``confirmed``: how many questions of the last round asked to confirm a text with a high confidence.
    """
    metrics = [r.metrics for r in done]
    last = metrics[-1]
    outcomes = [m["outcomes"] for m in metrics]
    change = last["information_gain"]
    limit = Settings.model_validate_json(done[-1].settings).least_information
    accuracy: dict[str, list[float | None]] = {"estimated": [m["expected_agreement"] for m in metrics]}
    if last["true_agreement"] is not None:
        accuracy["true (trial)"] = [m["true_agreement"] for m in metrics]
    return [
        Curve(
            "Uncertain texts",
            {"uncertain": [m["uncertain"] for m in metrics]},
            ",d",
            f"{last['uncertain']:,} of {last['pool']:,} texts have no label with a high confidence yet.",
        ),
        Curve(
            "Verdicts",
            {name: [o.get(name, 0) for o in outcomes] for name in ("valid", "invalid", "unsure")},
            ",d",
            f"The last round asked the judge {counted(last['questions'], 'question')}. {last['failed']:,} failed."
            f"{_confirmed_in_words(confirmed)}",
        ),
        Curve(
            "Change since the last round",
            {"change per text": [m["information_gain"] for m in metrics]},
            ".4f",
            "From the second round on, this chart shows how much each round changed the confidences."
            if change is None
            else f"Average change per text: {change:.4f}. 0 means no change. Below {limit:g}, a round added nothing "
            "new.",
        ),
        Curve(
            "Accuracy",
            accuracy,
            ".1%",
            "Estimated accuracy is the average confidence in the labels of the round. It is not a measurement."
            + (" True accuracy is measured with the hidden labels of the trial." if len(accuracy) > 1 else "")
            + _drop(accuracy.get("true (trial)", [])),
        ),
    ]


def _drop(true: list[float | None]) -> str:
    """Return a warning if the true accuracy fell in the last round, '' otherwise."""
    known = [value for value in true if value is not None]
    if len(known) < 2 or known[-1] >= known[-2]:
        return ""
    drop = in_points(known[-2] - known[-1])
    return f" True accuracy fell by {drop}. Undo the last feed back, or decide more texts."


def _confirmed_in_words(confirmed: int) -> str:
    if not confirmed:
        return ""
    verb = "is a confirmation of a text" if confirmed == 1 else "are confirmations of texts"
    return f" {confirmed:,} of them {verb} with a high confidence: the limit of questions does not count them."


def show_curves(done: list[Round], confirmed: int) -> None:
    """Show all curves, two in a row; in the first round, numbers instead of curves."""
    numbers = [r.id for r in done]
    curves = curves_of(done, confirmed)
    rows = [st.columns(2) for _ in curves[::2]]  # one container per row, so that its two charts have one height
    for index, curve in enumerate(curves):
        with rows[index // 2][index % 2], st.container(border=True, height="stretch"):
            st.markdown(f"**{curve.title}**")
            if len(numbers) > 1:
                st.plotly_chart(_figure(numbers, curve), key=f"curve_{index}", config={"displayModeBar": False})
            else:  # one round makes no curve
                for column, (name, values) in zip(st.columns(len(curve.lines)), curve.lines.items(), strict=True):
                    column.metric(name, "-" if values[0] is None else format(values[0], curve.number))
            st.caption(curve.sentence)


def _figure(numbers: list[int], curve: Curve) -> go.Figure:
    figure = go.Figure()
    for index, (name, values) in enumerate(curve.lines.items()):
        figure.add_scatter(
            x=numbers,
            y=values,
            name=name,
            mode="lines+markers",
            line={"dash": DASHES[index]},
            marker={"symbol": MARKS[index], "size": 9},
            cliponaxis=False,
            hovertemplate=f"round %{{x}}: %{{y:{curve.number}}}<extra>{name}</extra>",
        )
    figure.update_layout(
        height=HEIGHT,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        showlegend=len(curve.lines) > 1,
        legend={"orientation": "h", "y": 1.12},
        xaxis={"title": "round", "dtick": max(1, len(numbers) // 10), "range": [numbers[0] - 0.2, numbers[-1] + 0.2]},
        yaxis={"tickformat": curve.number, "range": _axis_range(curve)},
    )
    return figure


def _axis_range(curve: Curve) -> list[float]:
    """Return the range of the value axis: close to the values for shares, from 0 for everything else."""
    known = [value for values in curve.lines.values() for value in values if value is not None]
    if not known:
        return [0.0, 1.0]
    if curve.number.endswith("%"):
        return [min(known) - 0.03, max(known) + 0.03]
    return [0.0, 1.15 * max(*known, 1e-6)] if len(known) > 1 else [0.0, 2.0 * max(known[0], 1e-6)]
