"""The cards of a queue for viewers, who may look and not decide. Only the desk decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from red_core.records import Label, Project
from red_core.store.desk import Card, Item
from red_core.store.verdicts import explanation
from widgets.review.card_facts import show_facts
from widgets.review.queues import Queue
from widgets.review.verdict_card import decision_in_words, show_card
from widgets.shell.untrusted import plain, visible

CardsOf = Callable[[Sequence[Item]], list[Card]]


class ViewerCards:
    """A queue and the index of the card on the screen; the index of the end is the number of items."""

    def __init__(self, queue: Queue) -> None:
        self.queue, self.key = queue, queue.key
        self.index = 0

    def turn(self, step: int) -> None:
        """Go ``step`` cards on, at most to the end of the queue, or back."""
        self.index = min(max(self.index + step, 0), len(self.queue.items))


def show_viewer_cards(project: Project, cards: ViewerCards, labels: dict[int, Label], cards_of: CardsOf) -> None:
    """Show one card of the queue, what was decided about it, and buttons to the previous and the next card."""
    items = cards.queue.items
    if not items:
        st.container(border=True).text(cards.queue.empty)
    elif cards.index == len(items):
        with st.container(border=True):
            st.text("That was the last card of this queue.")
            _show_turning(cards)
    else:
        st.caption(f"card {cards.index + 1:,} of {len(items):,} in this queue")
        card = cards_of([items[cards.index]])[0]
        if card.decision:
            st.info(plain(f"Decided: {decision_in_words(card.decision)}."), icon=":material/history:")
        show_card(card, labels)
        show_facts(project, card.text)
        _show_turning(cards)
        _show_explanation(project, card)


def _show_turning(cards: ViewerCards) -> None:
    with st.container(horizontal=True, key="card_turning"):
        st.button(
            "Previous", key="turn_back", on_click=cards.turn, args=(-1,), disabled=not cards.index,
            icon=":material/arrow_back:",
        )  # fmt: skip
        if cards.index < len(cards.queue.items):
            st.button("Next", key="turn_on", on_click=cards.turn, args=(1,), icon=":material/arrow_forward:")


def _show_explanation(project: Project, card: Card) -> None:
    """Show a stored explanation of the verdict; only an analyst can ask a model for a new one."""
    stored = None if card.verdict is None else explanation(project, card.verdict)
    if stored is not None:
        words, model = stored
        st.caption(plain(f"{model} wrote this explanation later. It is not the reason for the verdict."))
        st.text(visible(words))
