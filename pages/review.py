"""Review: one card at a time, evidence first, one key per decision; then feed back."""

from __future__ import annotations

import streamlit as st

from red_core.decisions import decide, undo
from red_core.errors import RedError
from red_core.records import NONE_OF_THESE, DecisionKind, Label, Project, Round
from red_core.store import views
from red_core.store.explanations import explanation
from red_core.store.rounds import rounds
from red_core.terminal import login
from red_core.understanding import explain
from widgets.feed_back_panel import show_feed_back
from widgets.next_step import show_next_step
from widgets.reads import labels as all_labels
from widgets.reads import queue_counts
from widgets.shell import current_project, errors_in_one_line, inside_the_shell
from widgets.untrusted import plain, visible
from widgets.verdict_card import show_card

inside_the_shell()

SUGGESTIONS = 4  # labels beside the proposed one that a number key chooses
PICKER_WIDTH = 330
DONE = {"accept": "accepted", "relabel": "relabelled", "none": "none of these", "reject": "rejected"}
QUEUE_MEANS = {
    "to decide": "worth your answer, the most informative first",
    "judge against classifiers": "the judge said invalid",
    "judge unsure": "the judge did not say valid or invalid",
    "judged valid": "the judge said valid",
    "stale": "judged under an older meaning of the label",
    "low belief": "no label is likely",
    "decided": "what was decided, to look at again",
}


class Queue:
    """The texts of one queue in their order, kept while she works so that nothing moves under her."""

    def __init__(self, project: Project, current: Round, name: str, label: int | None, search: str) -> None:
        self.key = (project.folder.as_posix(), current.id, name, label, search)
        self.proposals = views.queue(project, current.id, name, label=label, search=search)
        self.edited = edited_meaning(project, name)
        self.place = 0
        self.done: list[str] = []
        """What was decided here, in words, the newest last; skips are not."""

    def bring_back(self, project: Project, text: int) -> None:
        """Put the card of a text whose decision was undone on the desk again, also one this session never held."""
        before = [about for _, about in self.proposals[: self.place]]
        if text in before:
            self.place = before.index(text)
            return
        _, round_id, name, label, search = self.key
        back = [pair for pair in views.queue(project, round_id, name, label=label, search=search) if pair[1] == text]
        if back:
            self.proposals[self.place : self.place] = back
        else:
            st.session_state["review_error"] = "Undone. Its card is in another queue."

    @property
    def card(self) -> int | None:
        """The proposal on the desk, None at the end."""
        return self.proposals[self.place][0] if self.place < len(self.proposals) else None


def edited_meaning(project: Project, name: str) -> int:
    """Return the number of the newest edit of a meaning where it says what is in a queue; else 0."""
    return views.version(project)[2] if name == "stale" else 0


def kept_queue(project: Project, current: Round, name: str, label: int | None, search: str) -> Queue:
    """Return the queue of this session, made anew when what it is about has changed."""
    kept, key = st.session_state.get("queue"), (project.folder.as_posix(), current.id, name, label, search)
    if kept is None or kept.key != key or kept.edited != edited_meaning(project, name):
        kept = st.session_state["queue"] = Queue(project, current, name, label, search)
    return kept


def choose_queue(project: Project, current: Round, labels: dict[int, Label]) -> Queue:
    """Show the queues with their counts, and the filters folded away."""
    counts = queue_counts(project)
    left, middle, right = st.columns([2, 2, 2], vertical_alignment="bottom")
    name = left.selectbox(
        "Queue",
        list(views.QUEUES),
        help="\n".join(f"- **{queue}** ({counts[queue]:,}): {told}" for queue, told in QUEUE_MEANS.items()),
        key="review_queue",
        bind="query-params",
    )
    label = middle.selectbox(
        "Label",
        list(labels),
        format_func=lambda n: labels[n].name,
        index=None,
        key="review_label",
        placeholder="All labels",
    )
    search = right.text_input(
        "Search in the texts", key="review_search", placeholder="A part of the text, word for word"
    )
    return kept_queue(project, current, name, label, search)


def decide_card(
    project: Project, queue: Queue, card: views.Card, kind: DecisionKind, label: int | None, name: str = ""
) -> None:
    """Store a decision about the card that was on the screen and go to the next."""
    try:
        decide(project, card.text, kind, label=label, proposal=card.proposal, who=login())
    except RedError as error:
        st.session_state["review_error"] = str(error)
        return
    if queue.card == card.proposal:
        queue.place += 1
        if kind != "skip":
            queue.done.append(f"{DONE[kind]} {name}".strip())


def relabel_card(project: Project, queue: Queue, card: views.Card, key: str, labels: dict[int, Label]) -> None:
    """Store the label chosen in the picker."""
    chosen = st.session_state.get(key)
    if chosen is not None:
        decide_card(project, queue, card, "relabel", chosen, labels[chosen].name)


def undo_last(project: Project, queue: Queue) -> None:
    """Undo this person's newest decision and bring its card back to the desk."""
    try:
        text, kind = undo(project, who=login())
    except RedError as error:
        st.session_state["review_error"] = str(error)
        return
    if kind != "skip" and queue.done:
        queue.done.pop()
    queue.bring_back(project, text)


def show_undo(project: Project, queue: Queue, n: int) -> None:
    """Show the button that undoes the last decision, however many cards ago."""
    st.button("Undo", key=f"undo_{n}", on_click=undo_last, args=(project, queue), shortcut="U", icon=":material/undo:")


def show_buttons(project: Project, queue: Queue, card: views.Card, labels: dict[int, Label]) -> None:
    """Show one button per decision, each with its key; what it does to the verdict stands on it."""
    mine, n = card.label, card.proposal
    overturns = {"valid": ("", " (overturns the judge)"), "invalid": (" (overturns the judge)", "")}
    yes, no = overturns.get(card.outcome, ("", ""))

    def button(text: str, key: str, kind: DecisionKind, label: int | None, shortcut: str, **more: str) -> None:
        st.button(
            text,
            key=f"{key}_{n}",  # of this card alone, so that a late click can never land on another
            on_click=decide_card,
            args=(project, queue, card, kind, label, "" if label is None else labels[label].name),
            shortcut=shortcut,
            **more,
        )

    first, other = ("secondary", "primary") if card.runner_up_belief > card.belief else ("primary", "secondary")
    with st.container(horizontal=True, key="card_buttons"):
        accept = f"Accept: {plain(mine.name)}{yes}"
        button(accept, "accept", "accept", mine.id, "A", type=first, icon=":material/check:")
        button(f"Not this label{no}", "reject", "reject", mine.id, "X", icon=":material/close:")
        button("None of these", "none", "none", None, "N", icon=":material/block:")
        button("Skip", "skip", "skip", None, "S", icon=":material/skip_next:")
        show_undo(project, queue, n)
    others = [
        card.runner_up.id,
        *(label for label, _ in card.best if label not in {mine.id, card.runner_up.id, NONE_OF_THESE}),
    ]
    with st.container(horizontal=True, vertical_alignment="bottom", key="card_relabel"):
        for number, label in enumerate(others[:SUGGESTIONS], start=1):
            kind = other if label == card.runner_up.id else "secondary"
            button(plain(labels[label].name), f"relabel{number}", "relabel", label, str(number), type=kind)
        key = f"picker_{n}"
        st.selectbox(
            "Another label",
            [label for label in labels if label != mine.id],
            format_func=lambda label: labels[label].name,
            index=None,
            key=key,
            placeholder="Find another label",
            label_visibility="collapsed",
            width=PICKER_WIDTH,
            on_change=relabel_card,
            args=(project, queue, card, key, labels),
        )


@st.fragment
def desk(project: Project, current: Round, labels: dict[int, Label]) -> None:
    """Show the queue and the card; a decision runs only this again."""
    queue = choose_queue(project, current, labels)
    if error := st.session_state.pop("review_error", None):
        st.error(plain(error))
    if queue.card is None:
        show_end(project, queue)
        return
    left = len(queue.proposals) - queue.place
    last = f"  ·  last: {queue.done[-1]}" if queue.done else ""
    st.caption(plain(f"{len(queue.done):,} decided here  ·  {left:,} left in this queue{last}"))
    card = views.card(project, queue.card)
    above, below = st.container(), st.container()
    with below:  # the keys are there before the text is, so that none is lost
        show_buttons(project, queue, card, labels)
    with above:
        if card.decision:
            kind, _, name = card.decision.partition(": ")
            told = f"{DONE[kind]} {name}".strip()
            st.info(plain(f"Decided: {told}. Another decision replaces it."), icon=":material/history:")
        show_card(card, labels)
    show_explanation(project, card)


def show_end(project: Project, queue: Queue) -> None:
    """Say why there is no card, and what to do."""
    _, _, _, label, search = queue.key
    with st.container(border=True):
        if queue.done:
            st.text("All done here.")
            show_undo(project, queue, 0)
            if st.button("Show what would be fed back", key="to_feed_back", type="primary"):
                st.rerun()
        elif search or label is not None:
            st.text(
                "Nothing in this queue matches the filters: clear the search or the label, or choose another queue."
            )
        else:
            st.text("This queue is empty. Choose another, or feed back below.")


def show_explanation(project: Project, card: views.Card) -> None:
    """Show what a model says about the verdict of an LLM, asked for and marked as made afterwards."""
    if card.verdict is None or card.judge == "evidence":
        return
    place, told = st.empty(), explanation(project, card.verdict)
    if told is None and place.button(
        "Explain the verdict", key=f"explain_{card.proposal}", type="tertiary", icon=":material/psychology:"
    ):
        with errors_in_one_line(), st.spinner("Asking the model"):
            explain(project, card)
            place.empty()
            told = explanation(project, card.verdict)
    if told is not None:
        words, model = told
        st.caption(plain(f"Made afterwards by {model}, not the reason for the verdict:"))
        st.text(visible(words))


project = current_project()
every = rounds(project)
if not every or every[-1].state != "to review":
    show_next_step(project, "review")
    st.caption(
        "Here you read each verdict beside the evidence the judge had, and overrule it, before anything is fed back. "
        "A round that waits for review fills this page."
    )
else:
    labels = all_labels(project)
    desk(project, every[-1], labels)
    with st.expander("Feed back", icon=":material/published_with_changes:", expanded=False):
        show_feed_back(project, every[-1].judge, labels)
