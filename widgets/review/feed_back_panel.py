"""What would be fed back, per label and per source, and what is withheld and why; then the button."""

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
    """Show the plan; nothing is fed back until its button is pressed."""
    accept = False
    if judge == "evidence":
        accept = st.checkbox(
            "Also feed back what only the evidence check (no LLM) found valid and the classifiers believe",
            key="accept_evidence_check",
            help="It looks at the same vectors as the classifiers, so its errors go with theirs. It is recorded.",
        )
    plan = feed_back_plan(project, accept=accept)
    by_source = Counter(item.source for item in plan.items)
    st.text(
        f"{counted(len(plan.items), 'text')} would join the training set: {by_source['decision']:,} by your decisions, "
        f"{by_source['verdict']:,} by the judge's verdicts."
    )
    for reason, count in sorted(plan.withheld.items()):
        st.caption(plain(f"Withheld, {count:,}: {reason}"))
    if plan.items:
        _show_per_label(plan, labels)
        st.caption(
            "This ends the review of the round: what is not decided comes again in the next one. It can be taken back "
            "on Rounds, which opens the review again."
        )
    if not may_write():
        return
    st.button(
        f"Feed back {counted(len(plan.items), 'text')}",
        type="primary",
        key="feed_back",
        icon=":material/published_with_changes:",
        disabled=not plan.items,  # a round with nothing to feed back is closed on Rounds
        on_click=_feed_back,
        args=(project, plan),  # the plan on the screen, not one made after the press
    )
    if error := st.session_state.pop("feed_back_error", None):
        st.error(plain(error))


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
