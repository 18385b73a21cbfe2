"""Feed back: the texts that would join the training data, those that are withheld and why, and the button.

The counts above the desk and this panel are one fragment that runs every second, because a key of the desk reruns only
the desk.
"""

from __future__ import annotations

from collections import Counter

import pandas as pd
import streamlit as st

from red_core.access.who import who_acts
from red_core.errors import RedError
from red_core.records import Label, Project
from red_core.review import FeedBackPlan, feed_back
from widgets.review.queues import queue_name
from widgets.shell.reads import feed_back_plan, labels, queue_counts
from widgets.shell.reasons import reason_of
from widgets.shell.shell import errors_in_one_line
from widgets.shell.sign_in import may_write, to_the_door
from widgets.shell.untrusted import plain
from widgets.shell.words import counted

SECONDS = 1.0
"""Between two looks at the counts."""


@st.fragment(run_every=SECONDS)
def show_counts_and_feed_back(project: Project, judge: str, *, filtered: bool = False) -> None:
    """Show how many texts each queue has now, and the panel of the feed back with its count.

    ``filtered``: the desk shows a part of a queue only, and the counts say that they are about the whole project.
    """
    to_the_door()
    if st.session_state.pop("fed_back", False):
        st.rerun()  # the round is over for the whole page
    left, right = st.columns([4, 1], vertical_alignment="center")
    with errors_in_one_line():
        counts = {queue_name(name): count for name, count in queue_counts(project).items() if count}
        words = " · ".join(f"{name} {count:,}" for name, count in counts.items()) or "No text in any queue"
        left.caption(plain(f"Without filters: {words}" if filtered else words))
        ready = len(feed_back_plan(project, accept=st.session_state.get("accept_evidence_check", False)).items)
        with right.popover(
            f"{'Feed back' if may_write() else 'Ready:'} {ready:,}",
            icon=":material/published_with_changes:", key="feed_back_panel",
            type="primary" if ready else "secondary", width="stretch",
        ):  # fmt: skip
            show_feed_back(project, judge)


def show_feed_back(project: Project, judge: str) -> None:
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
        st.caption(plain(f"Not fed back, {count:,}: {reason}"))
    if plan.items:
        _show_per_label(plan, labels(project))  # as they are now: a colleague may have added one
        st.caption(
            "This ends the review of this round. Texts without a decision come back in the next round. You can undo "
            "it on Rounds. Until the next round begins, the review of this round then opens again."
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
        st.session_state["feed_back_error"] = reason_of(error)
    else:
        st.session_state["fed_back"] = True
        st.toast(f"{counted(len(plan.items), 'text was', 'texts were')} fed back.", icon=":material/check:")


def _show_per_label(plan: FeedBackPlan, known: dict[int, Label]) -> None:
    counts = Counter((item.label, item.source) for item in plan.items)
    rows = [
        {
            "label": known[label].name,
            "by decision": counts[label, "decision"],
            "by verdict": counts[label, "verdict"],
        }
        for label in sorted({label for label, _ in counts}, key=lambda n: known[n].name)
    ]
    with st.expander(f"Per label ({len(rows):,})", key="per_label_fold"):
        st.dataframe(pd.DataFrame(rows), hide_index=True)
