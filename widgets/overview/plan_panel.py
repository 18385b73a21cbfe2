"""The plan: what it takes to reach the goal in three ways, in answers, money and hours, and as a curve."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go
import streamlit as st

from red_core.access.who import who_acts
from red_core.judges.cost import QuestionCost
from red_core.records import Project
from red_core.rounds.plan import Plan, Way, band
from red_core.store.overview import seconds_per_decision
from widgets.review.audit_panel import work_in_words
from widgets.rounds.judge_cost import question_cost
from widgets.rounds.judge_panel import connected_server
from widgets.shell.marks import ink, mark
from widgets.shell.reads import audit_summary, part_to_certify, work_to_certify
from widgets.shell.words import answers_in_words, counted

SECONDS_A_DECISION, FEWEST_TIMED = 6.0, 10
"""Assumed seconds of a decision, until so many decisions of this person were timed."""
WAYS = {"you": "You alone", "judge": "The judge alone", "both": "The judge, then you"}
AXES = {"hours": "Hours", "decisions": "Your decisions", "questions": "Questions to the judge", "money": "Money"}
DASHES = {"you": "solid", "judge": "dot", "both": "dash"}


@dataclass(frozen=True)
class Prices:
    """What an answer costs.

    Attributes
    ----------
    seconds : float
        Of one decision.
    timed : int
        Decisions of this person from which it was measured; 0 if it is assumed.
    question : QuestionCost
        One question to the judge.
    """

    seconds: float
    timed: int
    question: QuestionCost

    def hours(self, questions: float, decisions: float) -> float:
        """Return the hours of so many answers, one kind after the other."""
        return (questions * self.question.seconds + decisions * self.seconds) / 3600


def prices(project: Project) -> Prices:
    """Return what an answer of the current person and of the connected judge costs."""
    seconds, timed = seconds_per_decision(project, who_acts())
    if timed < FEWEST_TIMED:
        seconds, timed = SECONDS_A_DECISION, 0
    return Prices(seconds, timed, question_cost(project, connected_server()))


def show_plan(project: Project, plan: Plan) -> None:
    """Show the three ways to the goal as a table and as curves; once it is reached, what is left to do."""
    if plan.reached:
        if audit_summary(project).certificate is None:
            st.header(f"What it takes to certify {plan.goal:.1%}")
            st.text(work_in_words(work_to_certify(project), part_to_certify(project)))
        return
    costs = prices(project)
    st.header(f"What it takes to reach {plan.goal:.1%}")
    for column, (name, title) in zip(st.columns(len(WAYS)), WAYS.items(), strict=True):
        with column, st.container(border=True, height="stretch"):
            show_way(title, getattr(plan, name), costs)
    st.caption(_explanation(plan, costs))
    if not plan.in_reach:
        st.warning(_out_of_reach(plan, part_to_certify(project)), icon=":material/flag:")
    show_curve(plan, costs)


def show_way(title: str, way: Way, costs: Prices) -> None:
    """Show what one way to the goal costs; where it does not reach the goal, how far it goes."""
    st.markdown(f"**{title}**")
    needed, fewest, most = way.needed, way.fewest, way.most
    if needed is None or fewest is None:
        st.text(f"Does not reach the goal. It ends at about {way.reaches:.1%}.")
        return
    if needed.questions >= 1:
        asked = _banded(needed.questions, fewest.questions, most.questions if most else None)
        st.text(f"{asked} questions to the judge")
        each = costs.question
        money = "" if each.money is None else f", cost {needed.questions * each.money:,.2f}"
        st.caption(f"about {_round(needed.questions * each.tokens)} tokens{money}")
    if needed.decisions >= 1 or needed.questions < 1:
        decided = _banded(needed.decisions, fewest.decisions, most.decisions if most else None)
        st.text(f"{decided} decisions by you")
    without = "the time of the rounds and of the batches" if costs.question.batch else "the time of the rounds"
    st.caption(f"{_duration(costs.hours(*needed))}, without {without}")


def _duration(hours: float) -> str:
    minutes = round(60 * hours)
    if not minutes:
        return "less than a minute"
    return f"about {counted(minutes, 'minute')}" if hours < 1.5 else f"about {hours:.1f} hours"


def _banded(count: float, fewest: float, most: float | None) -> str:
    """Return a forecast with its band: ``About 120 (70 to 190)``; *or more* where its end is out of reach."""
    if count < 1:
        return "No"
    ends = [_round(end) for end in (fewest, most) if end is not None]
    band = " to ".join(ends) if most is not None else f"{ends[0]} or more"
    return f"About {_round(count)}" + (f" ({band})" if {*ends} != {_round(count)} or most is None else "")


def _round(count: float) -> str:
    step = 1 if count < 20 else 5 if count < 100 else 10 if count < 1_000 else 100
    return f"{round(count / step) * step:,}"


def _explanation(plan: Plan, costs: Prices) -> str:
    seconds = f"{costs.seconds:.1f}" if costs.seconds < 10 else f"{costs.seconds:.0f}"
    pace = (
        f"Your pace: {seconds} seconds for a decision, measured on {counted(costs.timed, 'decision')}."
        if costs.timed
        else f"Assumed pace: {costs.seconds:.0f} seconds for a decision, until yours is measured."
    )
    judge = (
        " No LLM judge was tested here. The plan assumes one that is right in 90% of its answers."
        if plan.assumed
        else ""
    )
    assumed = f" Of the questions, {costs.question.assumed}." if costs.question.assumed else ""
    money = "" if costs.question.money is not None else " No cost is shown: you have set no price."
    return (
        "An estimate from the confidences of the last round, with its range in brackets. Every round computes it anew. "
        f"{pace}{judge}{assumed}{money}"
    )


def _out_of_reach(plan: Plan, part: tuple[float, int] | None) -> str:
    best = max(plan.you.reaches, plan.judge.reaches, plan.both.reaches)
    return (
        f"With the labels and examples as they are, the plan ends at {best:.1%}. More examples for the labels "
        "below, merging labels that mean the same, or a more accurate judge would raise it."
        + (f" The surest {part[0]:.0%} or more can be certified: about {answers_in_words(part[1])}." if part else "")
    )


def show_curve(plan: Plan, costs: Prices) -> None:
    """Show the forecast accuracy against hours, answers or money, each way with the band of its forecast."""
    axes = [axis for axis in AXES if axis != "money" or costs.question.money is not None]
    axis = st.radio("Show the accuracy after", axes, format_func=AXES.__getitem__, key="plan_axis", horizontal=True)
    figure = go.Figure()
    for number, (name, title) in enumerate(WAYS.items()):
        points, colour = getattr(plan, name).curve, mark(number)[0]
        along = [_along(axis, questions, decisions, costs) for questions, decisions, _ in points]
        reached = [accuracy for *_, accuracy in points]
        figure.add_scatter(
            x=along + along[::-1], y=[band(y)[0] for y in reached] + [band(y)[1] for y in reversed(reached)],
            fill="toself", fillcolor=colour, opacity=0.15, mode="lines", line={"width": 0}, legendgroup=name,
            showlegend=False, hoverinfo="skip",
        )  # fmt: skip
        figure.add_scatter(
            x=along, y=reached, name=title, mode="lines", legendgroup=name,
            line={"dash": DASHES[name], "width": 2.5, "color": colour},
            hovertemplate="%{y:.1%} after %{x:,.1f}<extra>" + title + "</extra>",
        )  # fmt: skip
    figure.add_hline(
        plan.goal, line={"dash": "dash", "width": 1, "color": ink()}, annotation_text=f"goal {plan.goal:.0%}"
    )
    figure.update_layout(
        height=300, margin={"l": 8, "r": 8, "t": 8, "b": 8}, legend={"orientation": "h", "y": 1.12},
        xaxis={"title": AXES[axis].lower(), "rangemode": "tozero"}, yaxis={"tickformat": ".0%"},
    )  # fmt: skip
    st.plotly_chart(figure, key="plan_curve", config={"displayModeBar": False})
    st.caption("A band shows the range of a forecast: the accuracy may be lower or higher.")


def _along(axis: str, questions: float, decisions: float, costs: Prices) -> float:
    return {
        "hours": costs.hours(questions, decisions),
        "decisions": decisions,
        "questions": questions,
        "money": questions * (costs.question.money or 0.0),
    }[axis]
