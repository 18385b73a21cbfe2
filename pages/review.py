"""Review: one card at a time, evidence first, one key per decision; then feed back."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from red_core.records import Label, Project, Round
from red_core.review.desk import cards_with_evidence
from red_core.store import views
from red_core.store.desk import Card, Filters, Item
from red_core.store.rounds import last_finished_round, list_rounds
from red_core.store.texts import remembered
from widgets.review.audit_panel import choose_audit, show_audit
from widgets.review.batch_panel import is_waiting, show_batch
from widgets.review.desk import serve_desk, show_desk
from widgets.review.desk.audit import AuditSitting
from widgets.review.desk.review import ReviewSitting
from widgets.review.feed_back_panel import show_feed_back
from widgets.review.plain_desk import PlainQueue, show_plain_desk
from widgets.review.queues import choose_queue, in_words, items_of, queue_key, why_empty
from widgets.shell.next_step import show_next_step
from widgets.shell.reads import evidence
from widgets.shell.reads import labels as all_labels
from widgets.shell.shell import current_project, errors_in_one_line, inside_the_shell
from widgets.shell.sign_in import may_write, to_the_door
from widgets.shell.untrusted import plain

inside_the_shell()

MODES = ("Review", "Blind audit")


def cards_of(project: Project, items: Sequence[Item]) -> list[Card]:
    return cards_with_evidence(project, items, evidence(project), remembered(project, "embedding"))


def kept_sitting(
    project: Project, current: Round, name: str, filters: Filters, labels: dict[int, Label], *, native: bool
) -> ReviewSitting | PlainQueue:
    """Return the queue of this session, made anew when what it is about has changed."""
    edited = views.version(project)[2]  # another meaning is another question
    key, place = queue_key(project, current, name, filters, edited), "plain_queue" if native else "review_sitting"
    kept = st.session_state.get(place)
    if kept is None or kept.key != key:
        items, empty = items_of(project, current, name, filters), why_empty(filters)
        kept = (
            PlainQueue(key, name, items, empty)
            if native
            else ReviewSitting(project, key, name, items, empty, labels, lambda some: cards_of(project, some))
        )
        st.session_state[place] = kept
    return kept


@st.fragment
def desk(project: Project, sitting: ReviewSitting | AuditSitting | PlainQueue, labels: dict[int, Label]) -> None:
    """Serve the desk; a decision runs only this again."""
    to_the_door()
    if error := st.session_state.pop("review_error", None):
        st.error(plain(error), icon=":material/error:")
    with errors_in_one_line():  # a fragment runs without the shell around it
        if isinstance(sitting, PlainQueue):
            show_plain_desk(project, sitting, labels, lambda some: cards_of(project, some))
        else:
            serve_desk(project, sitting, labels)


def show_review(project: Project, current: Round, labels: dict[int, Label], place: DeltaGenerator) -> None:
    with place:
        name, filters, native = choose_queue(project, labels, current.id)
        native = native or not may_write()  # the fast desk is made for deciding
    sitting = kept_sitting(project, current, name, filters, labels, native=native)
    if not native:
        show_desk()
    desk(project, sitting, labels)
    with st.expander("Feed back", icon=":material/published_with_changes:"):
        show_feed_back(project, current.judge, labels)
    if not may_write():
        return
    with st.expander("Decide a whole list at once", icon=":material/checklist:", expanded=is_waiting(project)):
        listed = sum(proposal is not None for _, proposal in sitting.items)
        words = in_words(name, filters, labels)
        show_batch(project, listed, words, lambda: items_of(project, current, name, filters))


def show_blind_audit(project: Project, labels: dict[int, Label], place: DeltaGenerator) -> None:
    if not may_write():
        place.caption("Analysts answer the blind audit. This is what it shows so far.")
        show_audit(project, labels)
        return
    with place:
        label = choose_audit(project, labels)
    key = repr(("audit", project.folder.as_posix(), label))
    kept = st.session_state.get("audit_sitting")
    if kept is None or kept.key != key:
        kept = st.session_state["audit_sitting"] = AuditSitting(project, key, label)
    with errors_in_one_line():
        show_desk()
        desk(project, kept, labels)
    with st.expander("What the audit shows so far", icon=":material/verified:"):  # folded: it tells on the machine
        show_audit(project, labels)


project = current_project()
every, labels = list_rounds(project), all_labels(project)
left, right = st.columns([1, 3], vertical_alignment="bottom")
mode = left.segmented_control("Mode", MODES, default=MODES[0], key="review_mode", required=True, bind="query-params")
if mode == MODES[1] and last_finished_round(project) is not None:
    show_blind_audit(project, labels, right)
elif not every or every[-1].state != "to review":
    show_next_step(project, "review")
    st.caption(
        "Here you read each verdict beside the evidence the judge had, and overrule it, before anything is fed back. "
        "A round that waits for review fills this page."
    )
else:
    show_review(project, every[-1], labels, right)
