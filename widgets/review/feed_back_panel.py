"""Feed back: the texts that would join the training data, those that are withheld and why, and the button."""

from __future__ import annotations

from collections import Counter

import pandas as pd
import streamlit as st

from red_core.access.who import who_acts
from red_core.errors import RedError
from red_core.records import Label, Project
from red_core.review import FeedBackPlan, feed_back
from widgets.shell.reads import feed_back_plan
from widgets.shell.sign_in import may_write
from widgets.shell.untrusted import plain
from widgets.shell.words import counted


def show_feed_back(project: Project, judge: str, labels: dict[int, Label]) -> None:
    """Show the plan. Nothing is fed back before its button is pressed."""
    accept = False
    if judge == "evidence":
        accept = st.checkbox(
            "Also feed back texts that only the similarity check (no LLM) called valid, if their confidence is high",
            key="accept_evidence_check",
            help="It compares texts in the same way as the classifiers and makes the same mistakes. The project "
            "records your choice.",
        )
    plan = feed_back_plan(project, accept=accept)
    st.text(_in_words(plan))
    for reason, count in sorted(plan.withheld.items()):
        st.caption(plain(f"Withheld, {count:,}: {reason}"))
    if plan.items:
        _show_per_label(plan, labels)
        st.caption(
            "This ends the review of this round. Texts without a decision come back in the next round. You can undo "
            "it on Rounds; then the review of this round opens again."
        )
    if not may_write():
        return
    st.button(
        f"Feed back {counted(len(plan.items), 'text')}",
        type="primary",
        key="feed_back",
        icon=":material/published_with_changes:",
        disabled=not plan.items,  # the page Rounds closes a round that has nothing to feed back
        on_click=_feed_back,
        args=(project, plan),  # the plan on the screen, so that nothing unseen is fed back
    )
    if error := st.session_state.pop("feed_back_error", None):
        st.error(plain(error))


def _in_words(plan: FeedBackPlan) -> str:
    if not plan.items:
        return "Nothing is ready to be fed back."
    by_source = Counter(item.source for item in plan.items)
    join = "it joins" if len(plan.items) == 1 else "they join"
    return (
        f"Feed back {counted(len(plan.items), 'text')}: {join} the training data of the next round. "
        f"Labelled by your decisions: {by_source['decision']:,}; by the judge's verdicts: {by_source['verdict']:,}."
    )


def _feed_back(project: Project, plan: FeedBackPlan) -> None:
    try:
        feed_back(project, plan, who=who_acts())
    except RedError as error:
        st.session_state["feed_back_error"] = str(error)
    else:
        st.toast(f"{counted(len(plan.items), 'text was', 'texts were')} fed back.", icon=":material/check:")


def _show_per_label(plan: FeedBackPlan, labels: dict[int, Label]) -> None:
    counts = Counter((item.label, item.source) for item in plan.items)
    rows = [
        {
            "label": labels[label].name,
            "by decision": counts[label, "decision"],
            "by verdict": counts[label, "verdict"],
        }
        for label in sorted({label for label, _ in counts}, key=lambda n: labels[n].name)
    ]
    with st.expander(f"Per label ({len(rows):,})"):
        st.dataframe(pd.DataFrame(rows), hide_index=True)
