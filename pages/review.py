"""Review: decide one card at a time, with its evidence beside it, then feed back."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import red_core.api  # noqa: F401  whole and first: two sessions of a cold server import at the same time
from red_core.records import Label, Project, Round
from red_core.review.desk import cards_with_evidence
from red_core.store import views
from red_core.store.desk import Card, Filters, Item
from red_core.store.rounds import last_finished_round, list_rounds
from red_core.store.texts import remembered
from widgets.review.audit_panel import choose_audit, show_audit, show_audit_folded, show_what_is_asked
from widgets.review.batch_panel import is_waiting, show_batch
from widgets.review.desk import serve_desk, show_desk
from widgets.review.desk.audit import AuditSitting
from widgets.review.desk.review import ReviewSitting
from widgets.review.feed_back_panel import show_counts_and_feed_back
from widgets.review.pair_grid import choose_grid, show_grid
from widgets.review.queues import Queue, choose_queue, items_of, list_in_words, queue_key, show_filters, why_empty
from widgets.review.viewer_cards import ViewerCards, show_viewer_cards
from widgets.shell.next_step import show_next_step
from widgets.shell.reads import evidence
from widgets.shell.reads import labels as all_labels
from widgets.shell.shell import current_project, errors_in_one_line, inside_the_shell
from widgets.shell.sign_in import may_write, to_the_door
from widgets.shell.untrusted import plain

inside_the_shell()

MODES = ("Review", "Pairs", "Blind audit")


def cards_of(project: Project, items: Sequence[Item]) -> list[Card]:
    return cards_with_evidence(project, items, evidence(project), remembered(project, "embedding"))


def sitting_of(
    project: Project, current: Round, name: str, filters: Filters, labels: dict[int, Label]
) -> ReviewSitting | ViewerCards:
    """Return this session's queue; it is read again when the project, the round, the filters or a meaning changed."""
    key = queue_key(project, current, name, filters, views.version(project))
    kind = ReviewSitting if may_write() else ViewerCards
    sitting = st.session_state.get("review_sitting")
    if not isinstance(sitting, kind) or sitting.key != key:
        queue = Queue(key, name, items_of(project, current, name, filters), why_empty(filters))
        sitting = (
            ReviewSitting(project, queue, labels, lambda items: cards_of(project, items))
            if kind is ReviewSitting
            else ViewerCards(queue)
        )
        st.session_state["review_sitting"] = sitting
    return sitting


@st.fragment
def desk(project: Project, sitting: ReviewSitting | AuditSitting | ViewerCards, labels: dict[int, Label]) -> None:
    """Serve the desk, or show a viewer the cards. A decision or a turned card reruns only this fragment."""
    to_the_door()
    if error := st.session_state.pop("review_error", None):
        st.error(plain(error), icon=":material/error:")
    with errors_in_one_line():  # the shell does not run around a fragment
        if isinstance(sitting, ViewerCards):
            show_viewer_cards(project, sitting, labels, lambda items: cards_of(project, items))
        else:
            serve_desk(project, sitting, labels)


def show_review(project: Project, current: Round, labels: dict[int, Label], header: DeltaGenerator) -> None:
    with header:
        name, filters = choose_queue(project, labels, current.id)
    show_counts_and_feed_back(project, current.judge, filtered=filters != Filters())
    show_filters(filters, labels)
    sitting = sitting_of(project, current, name, filters, labels)
    if isinstance(sitting, ReviewSitting):
        show_desk()
    desk(project, sitting, labels)
    if not may_write():
        return
    with st.expander("Decide a whole list at once", icon=":material/checklist:", expanded=is_waiting(project)):
        listed = sum(proposal is not None for _, proposal in sitting.queue.items)
        words = list_in_words(name, filters, labels)
        show_batch(project, listed, words, lambda: items_of(project, current, name, filters))


def show_blind_audit(project: Project, labels: dict[int, Label], header: DeltaGenerator) -> None:
    if not may_write():
        header.caption("Only analysts answer the blind audit. These are its results so far.")
        show_audit(project, labels)
        return
    with header:
        label = choose_audit(project, labels)
    key = repr(("audit", project.folder.as_posix(), project.id, label))
    sitting = st.session_state.get("audit_sitting")
    if sitting is None or sitting.key != key:
        sitting = st.session_state["audit_sitting"] = AuditSitting(project, key, label)
    with errors_in_one_line():
        if label is None:
            show_what_is_asked(project)
        show_desk()
        desk(project, sitting, labels)
    show_audit_folded(project, labels)


def show_pairs(project: Project, current: Round, header: DeltaGenerator) -> None:
    with header:
        chosen = choose_grid(project)
    show_counts_and_feed_back(project, current.judge)
    if chosen is None:
        st.info("No two labels are confused with each other.", icon=":material/check:")
    elif may_write():
        show_grid(project, chosen)
    else:
        st.caption("Only analysts decide texts.")


project = current_project()
every, labels = list_rounds(project), all_labels(project)
left, right = st.columns([5, 9], vertical_alignment="bottom")
mode = left.radio("Mode", MODES, key="review_mode", horizontal=True, bind="query-params", label_visibility="collapsed")
if mode == "Blind audit" and last_finished_round(project) is not None:
    show_blind_audit(project, labels, right)
elif not every or every[-1].state != "to review":
    show_next_step(project, "review")
    st.caption(
        "Here you read each verdict beside the evidence that the judge had. You correct it before anything is fed "
        "back. This page shows no texts until a round waits for your review."
    )
elif mode == "Pairs":
    show_pairs(project, every[-1], right)
else:
    show_review(project, every[-1], labels, right)
