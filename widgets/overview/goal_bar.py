"""The bar of the goal: estimated accuracy with its band, measured and true accuracy, and the goal itself."""

from __future__ import annotations

import plotly.graph_objects as go
import streamlit as st

from red_core.records import Project
from red_core.rounds.plan import Plan, band
from red_core.rounds.status import doubts
from red_core.store.rounds import last_finished_round
from widgets.shell.facts_line import FEW_AUDITS
from widgets.shell.goal import show_goal_form
from widgets.shell.marks import ink
from widgets.shell.reads import audit_summary, facts
from widgets.shell.sign_in import may_write

HEIGHT = 120


def show_goal(project: Project, plan: Plan, true: float | None) -> None:
    """Show how far the project is, with the form that changes the goal.

    Parameters
    ----------
    true : float or None
        The true accuracy of a trial, in [0, 1].
    """
    low, high = band(plan.now)
    left, right = st.columns([5, 1], vertical_alignment="center")
    last = last_finished_round(project)
    state = "The goal is reached, by the estimate." if plan.reached else f"The goal is {plan.goal:.1%}."
    left.markdown(
        f"**About {plan.now:.1%} of the labels are right** (estimated; probably between {low:.0%} and "
        f"{high:.0%}). {state}"
    )
    if may_write():
        with right:
            show_goal_form(project, plan.goal)
    for doubt in doubts(facts(project)["labels"], last.metrics if last else {}):
        st.caption(doubt)
    st.plotly_chart(_figure(project, plan, true), key="goal_bar", config={"displayModeBar": False, "staticPlot": True})


def _figure(project: Project, plan: Plan, true: float | None) -> go.Figure:
    low, high = band(plan.now)
    figure = go.Figure()
    figure.add_bar(
        x=[plan.now], y=[""], orientation="h", name="estimated", width=0.5, marker={"opacity": 0.55},
        error_x={
            "type": "data", "symmetric": False, "array": [high - plan.now], "arrayminus": [plan.now - low],
            "color": ink(),
        },
    )  # fmt: skip
    audits = audit_summary(project).accuracy
    if audits.share is not None and audits.of >= FEW_AUDITS:
        spread = {"array": [audits.high - audits.share], "arrayminus": [audits.share - audits.low]}
        figure.add_scatter(
            x=[audits.share], y=[""], mode="markers", name="measured (audit)",
            marker={"symbol": "diamond", "size": 13}, error_x={"type": "data", "symmetric": False, **spread},
        )  # fmt: skip
    if true is not None:
        figure.add_scatter(x=[true], y=[""], mode="markers", name="true (trial)", marker={"symbol": "star", "size": 14})
    figure.add_vline(plan.goal, line={"dash": "dash", "width": 2, "color": ink()})
    figure.update_layout(
        height=HEIGHT, margin={"l": 8, "r": 8, "t": 4, "b": 4}, bargap=0.3,
        legend={"orientation": "h", "y": 1.3, "x": 0}, showlegend=True,
        xaxis={
            "range": [0, 1], "tickvals": [0, 0.25, 0.5, 0.75, plan.goal, 1],
            "ticktext": ["0%", "25%", "50%", "75%", f"goal {plan.goal:.0%}", ""],
        },
        yaxis={"visible": False},
    )  # fmt: skip
    return figure
