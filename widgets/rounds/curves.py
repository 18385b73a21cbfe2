"""The curves of a project's rounds, each with the sentence that says what it means."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go
import streamlit as st

from red_core.records import Round
from widgets.shell.words import counted

HEIGHT = 230
DASHES = ("solid", "dot", "dash")
MARKS = ("circle", "diamond", "square")


@dataclass(frozen=True)
class Curve:
    """One small picture: a title, its lines by name, how to write a value, and its sentence."""

    title: str
    lines: dict[str, list[float | None]]
    number: str
    sentence: str


def curves_of(done: list[Round]) -> list[Curve]:
    """Return the curves of finished rounds, oldest first."""
    metrics = [r.metrics for r in done]
    last = metrics[-1]
    outcomes = [m["outcomes"] for m in metrics]
    gain = last["information_gain"]
    agreement: dict[str, list[float | None]] = {"expected": [m["expected_agreement"] for m in metrics]}
    if last["true_agreement"] is not None:
        agreement["true"] = [m["true_agreement"] for m in metrics]
    return [
        Curve(
            "Uncertain texts",
            {"uncertain": [m["uncertain"] for m in metrics]},
            ",d",
            f"{last['uncertain']:,} of {last['pool']:,} texts have no label of high belief yet.",
        ),
        Curve(
            "Verdicts",
            {name: [o.get(name, 0) for o in outcomes] for name in ("valid", "invalid", "unsure")},
            ",d",
            f"The last round asked the judge {counted(last['questions'], 'question')}; {last['failed']:,} failed.",
        ),
        Curve(
            "Information gain",
            {"nats per text": [m["information_gain"] for m in metrics]},
            ".4f",
            "It is measured from the second round on: how far a round moved the beliefs."
            if gain is None
            else f"The last round moved the beliefs by {gain:.4f} nats per text.",
        ),
        Curve(
            "Agreement",
            agreement,
            ".1%",
            "Expected agreement is the mean belief in the chosen labels: a forecast, not a measurement."
            + (" True agreement is measured on the trial's hidden labels." if "true" in agreement else "")
            + _fell(agreement.get("true", [])),
        ),
    ]


def _fell(true: list[float | None]) -> str:
    """Say plainly that the last round made things worse, where it did."""
    known = [value for value in true if value is not None]
    if len(known) < 2 or known[-1] >= known[-2]:
        return ""
    return f" It fell by {100 * (known[-2] - known[-1]):.1f} points: take back what was fed back, or decide more."


def show_curves(done: list[Round]) -> None:
    """Show all curves, two in a row."""
    numbers = [r.id for r in done]
    curves = curves_of(done)
    rows = [st.columns(2) for _ in curves[::2]]  # a row each, so that two beside each other are as high
    for place, curve in enumerate(curves):
        with rows[place // 2][place % 2], st.container(border=True, height="stretch"):
            st.markdown(f"**{curve.title}**")
            if len(numbers) > 1:
                st.plotly_chart(_figure(numbers, curve), key=f"curve_{place}", config={"displayModeBar": False})
            else:  # one point is a number, not a curve
                for column, (name, values) in zip(st.columns(len(curve.lines)), curve.lines.items(), strict=True):
                    column.metric(name, "-" if values[0] is None else format(values[0], curve.number))
            st.caption(curve.sentence)


def _figure(numbers: list[int], curve: Curve) -> go.Figure:
    figure = go.Figure()
    for place, (name, values) in enumerate(curve.lines.items()):
        figure.add_scatter(
            x=numbers,
            y=values,
            name=name,
            mode="lines+markers",
            line={"dash": DASHES[place]},
            marker={"symbol": MARKS[place], "size": 9},
            cliponaxis=False,
            hovertemplate=f"round %{{x}}: %{{y:{curve.number}}}<extra>{name}</extra>",
        )
    figure.update_layout(
        height=HEIGHT,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        showlegend=len(curve.lines) > 1,
        legend={"orientation": "h", "y": 1.12},
        xaxis={"title": "round", "dtick": max(1, len(numbers) // 10), "range": [numbers[0] - 0.2, numbers[-1] + 0.2]},
        yaxis={"tickformat": curve.number, "range": _room(curve)},
    )
    return figure


def _room(curve: Curve) -> list[float]:
    """Return the range of the values with room above them: shares near their values, all else from 0."""
    known = [value for values in curve.lines.values() for value in values if value is not None]
    if not known:
        return [0.0, 1.0]
    if curve.number.endswith("%"):
        return [min(known) - 0.03, max(known) + 0.03]
    return [0.0, 1.15 * max(*known, 1e-6)] if len(known) > 1 else [0.0, 2.0 * max(known[0], 1e-6)]
