"""Many alike at once: a list is accepted or overturned after a random sample of it was decided one by one."""

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
from widgets.shell.untrusted import plain
from widgets.shell.words import counted

SAYS: dict[BatchKind, str] = {"accept": "accept", "reject": "overturn"}


def is_waiting(project: Project) -> bool:
    """Return whether a batch waits for an answer of this person, or was applied in this session."""
    last = batch_counts(project)
    return last is not None and (open_batch(project) is not None or st.session_state.get("batch_applied") == last.id)


def show_batch(project: Project, listed: int, filters: str, items: Callable[[], Sequence[Item]]) -> None:
    """Show where the newest batch stands, or the buttons that begin one on the list that is chosen above.

    Parameters
    ----------
    listed : int
        How many proposals were in the list when it was drawn.
    items : callable() -> sequence of Item
        The list as it is when a button is pressed.
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
        f"{counted(listed, 'proposal')} in this list ({filters}). First {SAMPLE} of them, drawn at random, are "
        "decided one by one; the rest is then decided as they were, with the lower bound of their agreement as belief."
    )
    with st.container(horizontal=True):
        for kind, verb in SAYS.items():
            st.button(
                f"{verb.capitalize()} all {listed:,}, after a sample",
                key=f"batch_{kind}",
                disabled=listed <= SAMPLE,
                help=f"More than {SAMPLE} proposals are needed." if listed <= SAMPLE else None,
                on_click=_begin,
                args=(project, kind, items, filters),
            )


def _show_sample(project: Project, counts: BatchCounts) -> None:
    verb, left = SAYS[counts.kind], counts.sampled - counts.decided
    st.text(f"To {verb} {counts.members:,} proposals ({counts.filters}).")
    if left:
        st.text(
            f"{counts.decided} of the {counts.sampled} drawn are decided: the queue “{SAMPLE_QUEUE}” holds the rest."
        )
    else:
        low, high = agreement_interval(counts)
        st.text(
            f"Of {counts.decided} drawn at random you would {verb} {counts.agreed}: "
            f"{counts.agreed / counts.decided:.0%} ({low:.0%} to {high:.0%}). "
            f"Each of the others would get a belief of {low:.2f}."
        )
        if low < LEAST_BELIEF:
            st.text(f"That is too few to {verb} the others unseen.")
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
        st.text(f"The last list ({counts.filters}): {counts.applied:,} decided at once, to {SAYS[counts.kind]}.")
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
    for name in ("label", "subset", "round", "judge"):
        st.session_state[f"review_{name}"] = None
    st.session_state["review_search"] = ""
    st.session_state["review_queue"] = SAMPLE_QUEUE


def _drop(project: Project, counts: BatchCounts) -> None:
    try:
        drop_batch(project, counts.id, who_acts())
    except RedError as error:
        st.session_state["batch_error"] = str(error)
    else:
        st.session_state["review_queue"] = "to decide"


def _run(act: Callable[[], int], done: str) -> bool:
    try:
        st.toast(f"{counted(act(), 'text')} {done}.", icon=":material/check:")
    except RedError as error:
        st.session_state["batch_error"] = str(error)
        return False
    return True
