"""The desk of native buttons, for a browser in which the fast one does not work, and for viewers, who turn the cards.

One decision, one run of the page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from red_core.access.who import who_acts
from red_core.errors import RedError
from red_core.judges.explanations import explain
from red_core.records import NONE_OF_THESE, DecisionKind, Label, Project
from red_core.review import decide, undo
from red_core.store.desk import Card, Item, item_of
from red_core.store.verdicts import explanation
from widgets.review.verdict_card import DECIDED, decision_in_words, rival_is_likelier, show_card
from widgets.shell.shell import errors_in_one_line
from widgets.shell.sign_in import may_write
from widgets.shell.untrusted import plain, visible

SUGGESTIONS = 4  # labels beside the proposed one that a number key chooses
PICKER_WIDTH = 330
CardsOf = Callable[[Sequence[Item]], list[Card]]


class PlainQueue:
    """The items of one queue in their order, kept while she works so that nothing moves under her."""

    def __init__(self, key: str, name: str, items: list[Item], empty: str) -> None:
        self.key, self.name, self.items, self.empty = key, name, items, empty
        self.place = 0
        self.done: list[str] = []
        """What was decided here, in words, the newest last; skips are not."""

    def bring_back(self, project: Project, text: int) -> None:
        """Put the card of a text whose decision was undone on the desk again, also one this session never held."""
        before = [about for about, _ in self.items[: self.place]]
        if text in before:
            self.place = before.index(text)
        else:
            self.items[self.place : self.place] = [item_of(project, text)]

    @property
    def item(self) -> Item | None:
        """What is on the desk, None at the end."""
        return self.items[self.place] if self.place < len(self.items) else None


def show_plain_desk(project: Project, queue: PlainQueue, labels: dict[int, Label], cards_of: CardsOf) -> None:
    """Show the card and a button for each decision."""
    if queue.item is None:
        _show_end(project, queue)
        return
    left = len(queue.items) - queue.place
    last = f"  ·  last: {queue.done[-1]}" if queue.done else ""
    told = f"{len(queue.done):,} decided here  ·  {left:,} left in this queue{last}"
    st.caption(plain(told if may_write() else f"card {queue.place + 1:,} of {len(queue.items):,} in this queue"))
    card = cards_of([queue.item])[0]
    above, below = st.container(), st.container()
    with below:  # the keys are there before the text is, so that none is lost
        if may_write():
            _show_buttons(project, queue, card, labels)
        else:
            _show_turning(queue)
    with above:
        if card.decision:
            told = f"Decided: {decision_in_words(card.decision)}."
            st.info(plain(f"{told} Another decision replaces it." if may_write() else told), icon=":material/history:")
        show_card(card, labels)
    _show_explanation(project, card)


def _decide_card(
    project: Project, queue: PlainQueue, card: Card, kind: DecisionKind, label: int | None, name: str = ""
) -> None:
    """Store a decision about the card that was on the screen and go to the next."""
    try:
        decide(
            project,
            card.text,
            kind,
            label=label,
            proposal=card.proposal,
            who=who_acts(),
            queue=queue.name,
            seen=card.seen,
        )
    except RedError as error:
        st.session_state["review_error"] = f"Not saved: {error}"
        return
    if queue.item == (card.text, card.proposal):
        queue.place += 1
        if kind != "skip":
            queue.done.append(f"{DECIDED[kind]} {name}".strip())


def _relabel_card(project: Project, queue: PlainQueue, card: Card, key: str, labels: dict[int, Label]) -> None:
    """Store the label chosen in the picker."""
    chosen = st.session_state.get(key)
    if chosen is not None:
        _decide_card(project, queue, card, "relabel", chosen, labels[chosen].name)


def _undo_last(project: Project, queue: PlainQueue) -> None:
    """Undo this person's newest decision and bring its card back to the desk."""
    try:
        text, kind = undo(project, who=who_acts())
    except RedError as error:
        st.session_state["review_error"] = str(error)
        return
    if kind != "skip" and queue.done:
        queue.done.pop()
    queue.bring_back(project, text)


def _show_undo(project: Project, queue: PlainQueue, n: int) -> None:
    """Show the button that undoes the last decision, however many cards ago."""
    st.button("Undo", key=f"undo_{n}", on_click=_undo_last, args=(project, queue), shortcut="U", icon=":material/undo:")


def _turn(queue: PlainQueue, by: int) -> None:
    queue.place = min(max(queue.place + by, 0), len(queue.items))


def _show_turning(queue: PlainQueue) -> None:
    """Show what turns to the card before or after this one; nothing is decided."""
    with st.container(horizontal=True, key="card_turning"):
        st.button(
            "Previous", key="turn_back", on_click=_turn, args=(queue, -1), disabled=not queue.place,
            icon=":material/arrow_back:",
        )  # fmt: skip
        if queue.item is not None:
            st.button("Next", key="turn_on", on_click=_turn, args=(queue, 1), icon=":material/arrow_forward:")


def _show_buttons(project: Project, queue: PlainQueue, card: Card, labels: dict[int, Label]) -> None:
    """Show one button per decision, each with its key; what it does to the verdict stands on it."""
    mine, n = card.label, card.text
    overturns = {"valid": ("", " (overturns the judge)"), "invalid": (" (overturns the judge)", "")}
    yes, no = overturns.get(card.outcome, ("", ""))

    def button(text: str, key: str, kind: DecisionKind, label: int | None, shortcut: str, **more: str) -> None:
        st.button(
            text,
            key=f"{key}_{n}",  # of this card alone, so that a late click can never land on another
            on_click=_decide_card,
            args=(project, queue, card, kind, label, "" if label is None else labels[label].name),
            shortcut=shortcut,
            **more,
        )

    first, other = ("secondary", "primary") if rival_is_likelier(card) else ("primary", "secondary")
    with st.container(horizontal=True, key="card_buttons"):
        accept = f"Accept: {plain(mine.name)}{yes}"
        button(accept, "accept", "accept", mine.id, "A", type=first, icon=":material/check:")
        button(f"Not this label{no}", "reject", "reject", mine.id, "X", icon=":material/close:")
        button("None of these", "none", "none", None, "N", icon=":material/block:")
        button("Skip", "skip", "skip", None, "S", icon=":material/skip_next:")
        _show_undo(project, queue, n)
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
            on_change=_relabel_card,
            args=(project, queue, card, key, labels),
        )


def _show_end(project: Project, queue: PlainQueue) -> None:
    """Say why there is no card, and what to do."""
    with st.container(border=True):
        if queue.done:
            st.text("All done here.")
            _show_undo(project, queue, 0)
        elif queue.items and not may_write():
            st.text("That was the last card of this queue.")
            _show_turning(queue)
        else:
            st.text(queue.empty)


def _show_explanation(project: Project, card: Card) -> None:
    """Show what a model says about the verdict of an LLM, asked for and marked as made afterwards."""
    if card.verdict is None or card.judge == "evidence":
        return
    place, told = st.empty(), explanation(project, card.verdict)
    if (
        told is None
        and may_write()
        and place.button(
            "Explain the verdict", key=f"explain_{card.text}", type="tertiary", icon=":material/psychology:"
        )
    ):
        with errors_in_one_line(), st.spinner("Asking the model"):
            explain(project, card)
            place.empty()
            told = explanation(project, card.verdict)
    if told is not None:
        words, model = told
        st.caption(plain(f"Made afterwards by {model}, not the reason for the verdict:"))
        st.text(visible(words))
