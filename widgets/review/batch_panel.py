"""Decide a whole list at once, after a random sample of it was decided one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from red_core.access.who import who_acts
from red_core.errors import RedError
from red_core.records import BatchKind, Project
from red_core.review.batches import LEAST_BELIEF, SAMPLE, agreement_interval, apply_batch, begin_batch, take_back
from red_core.store.batches import BatchCounts, batch_counts, drop_batch
from red_core.store.desk import Item
from widgets.review.queues import SAMPLE_QUEUE, open_batch
from widgets.shell.reasons import reason_of
from widgets.shell.shell import NO_FILTERS
from widgets.shell.untrusted import plain
from widgets.shell.words import counted

VERBS: dict[BatchKind, str] = {"accept": "accept", "reject": "reject"}


def is_waiting(project: Project) -> bool:
    """Return whether a batch waits for an answer of this person, or was applied in this session."""
    last = batch_counts(project)
    return last is not None and (open_batch(project) is not None or st.session_state.get("batch_applied") == last.id)


def show_batch(project: Project, listed: int, filters: str, items: Callable[[], Sequence[Item]]) -> None:
    """Show the state of the newest batch, or the buttons that begin a batch with the list chosen above.

    Parameters
    ----------
    listed : int
        Number of suggested labels in the list when the page was drawn.
    filters : str
        The queue and its filters in words.
    items : callable() -> sequence of Item
        Returns the list as it is when a button is pressed.
    """
    if error := st.session_state.pop("batch_error", None):
        st.error(plain(error))
    waiting, last = open_batch(project), batch_counts(project)
    if waiting is not None:
        _show_sample(project, waiting)
        return
    if last is not None and last.applied:
        _show_applied(project, last)
    _show_begin(project, listed, filters, items)


def _show_begin(project: Project, listed: int, filters: str, items: Callable[[], Sequence[Item]]) -> None:
    st.text(
        f"This list has {counted(listed, 'suggested label')} ({filters}). You first decide {SAMPLE} of them, drawn at "
        "random, one by one. Then one button accepts (or rejects) all the others. Their confidence comes from your "
        "sample: the lower end of the range of your agreement."
    )
    with st.container(horizontal=True):
        for kind, verb in VERBS.items():
            st.button(
                f"{verb.capitalize()} all {listed:,}, after a sample",
                key=f"batch_{kind}",
                disabled=listed <= SAMPLE,
                help=None
                if listed > SAMPLE
                else f"The list needs more than {SAMPLE} suggested labels. Clear a filter.",
                on_click=_begin,
                args=(project, kind, items, filters),
            )


def _show_sample(project: Project, counts: BatchCounts) -> None:
    verb, left = VERBS[counts.kind], counts.sampled - counts.decided
    st.text(f"List to {verb}: {counts.members:,} suggested labels ({counts.filters}).")
    if left:
        st.text(
            f"You have decided {counts.decided} of the {counts.sampled} texts in the sample. The others are in the "
            f"queue “{SAMPLE_QUEUE}”."
        )
    else:
        low, high = agreement_interval(counts)
        st.text(
            f"In the sample, you would {verb} {counts.agreed} of {counts.decided} "
            f"({counts.agreed / counts.decided:.0%}; range {low:.0%} to {high:.0%}). "
            f"Each other text would get the confidence {low:.0%}."
        )
        if low < LEAST_BELIEF:
            st.text("This confidence is too low. Drop this list and decide its texts one by one.")
    with st.container(horizontal=True):
        if left:
            st.button("Go to the sample", key="batch_sample", on_click=_to_sample, type="primary")
        else:
            st.button(
                f"{verb.capitalize()} the other {counts.members - counts.sampled:,}",
                key="batch_apply",
                type="primary",
                on_click=_apply,
                args=(project, counts),
            )
        st.button("Drop this list", key="batch_drop", on_click=_drop, args=(project, counts))


def _show_applied(project: Project, counts: BatchCounts) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.text(
            f"Last list decided at once ({counts.filters}): {counted(counts.applied, 'suggested label')}, each with "
            f"the decision {VERBS[counts.kind]}."
        )
        st.button(
            "Undo all of them",
            key="batch_undo",
            icon=":material/undo:",
            on_click=_take_back,
            args=(project, counts),
        )


def _begin(project: Project, kind: BatchKind, items: Callable[[], Sequence[Item]], filters: str) -> None:
    def begin() -> int:
        begin_batch(project, kind, items(), filters, who=who_acts())
        _to_sample()
        return SAMPLE

    _run(begin, "drawn")


def _apply(project: Project, counts: BatchCounts) -> None:
    if _run(lambda: apply_batch(project, counts, who=who_acts()), "decided"):
        st.session_state["batch_applied"] = counts.id
        st.session_state["review_queue"] = "to decide"


def _take_back(project: Project, counts: BatchCounts) -> None:
    _run(lambda: take_back(project, counts.id, who=who_acts()), "undone")


def _to_sample() -> None:
    st.session_state.update(NO_FILTERS | {"review_queue": SAMPLE_QUEUE})


def _drop(project: Project, counts: BatchCounts) -> None:
    try:
        drop_batch(project, counts.id, who_acts())
    except RedError as error:
        st.session_state["batch_error"] = reason_of(error)
    else:
        st.session_state["review_queue"] = "to decide"


def _run(action: Callable[[], int], result: str) -> bool:
    """Run an action that returns a number of texts, and show a message or its error; return whether it succeeded."""
    try:
        st.toast(f"{counted(action(), 'text')} {result}.", icon=":material/check:")
    except RedError as error:
        st.session_state["batch_error"] = reason_of(error)
        return False
    return True
