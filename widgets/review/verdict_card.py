"""One proposal beside its evidence: what the judge said, and what the judge was shown."""

from __future__ import annotations

import streamlit as st

from red_core.records import NONE_OF_THESE, Example, Label
from red_core.store.desk import Card
from widgets.shell.untrusted import FOLDED_AT, plain, show_text, visible
from widgets.shell.words import judge_name, made_of

BADGES = {
    "valid": (":material/check:", "green"),
    "invalid": (":material/close:", "red"),
    "unsure": (":material/help:", "orange"),
    "refused": (":material/block:", "orange"),
    "unparseable": (":material/broken_image:", "orange"),
    "": (":material/hourglass:", "gray"),
}
REASONS = {
    "value": "an answer is worth {gain:.2f} in the chance of being right",
    "entropy": "its classifier is uncertain, normalised entropy {gain:.2f}",
    "confirm": "the classifiers are sure of it, and the judge was asked to confirm",
    "correction": "the judge found another label invalid and chose this one",
}
DONE = {"accept": "accepted", "relabel": "relabelled", "none": "none of these", "reject": "rejected"}
TEXT_HEIGHT, SIDE_HEIGHT = 105, 325
"""Pixels. Fixed, so that nothing moves when the card changes."""
EXAMPLE_LENGTH = 110
"""Characters of an example shown; the others come on hovering."""


def show_card(card: Card, labels: dict[int, Label]) -> None:
    """Show the text, then the proposed label and the runner-up, each with its nearest valid samples."""
    with st.container(border=True, height=TEXT_HEIGHT, key="card_text"):
        show_text(card.content)
    left, right = st.columns(2)
    with left, st.container(border=True, height=SIDE_HEIGHT, key="card_proposed"):
        _show_side("Asked about", card.label, card.belief)
        _show_verdict(card)
        _show_examples(card.examples)
    with right, st.container(border=True, height=SIDE_HEIGHT, key="card_runner_up"):
        likelier = rival_is_likelier(card)
        _show_side("Likelier now" if likelier else "Runner-up", card.runner_up, card.runner_up_belief)
        st.caption(plain(why_asked(card, labels)))
        _show_examples(card.rival_examples)


def _show_side(role: str, label: Label, belief: float | None) -> None:
    sure = "" if belief is None else f"  ·  belief {belief:.2f}"
    st.markdown(f"{role}: **{plain(label.name)}**{sure}")
    if label.meaning:
        st.caption(plain(label.meaning))


def _show_verdict(card: Card) -> None:
    icon, color = BADGES[card.outcome]
    judge = judge_name(card.judge) or "-"
    sure = "" if card.p_valid is None else f", its own guess {card.p_valid:.2f}"
    if card.stale:
        sure += "; stale: the meaning was edited since, and the next round asks again"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge((card.outcome or "not asked yet").upper(), icon=icon, color=color)
        st.caption(plain(f"judge: {judge}{sure}"))


def why_asked(card: Card, labels: dict[int, Label]) -> str:
    """Return why this was asked and what the belief is made of."""
    asked = f"Asked because {REASONS.get(card.reason, card.reason).format(gain=card.gain)}. " if card.reason else ""
    if not card.best or card.classifier_belief is None:
        return asked.strip()
    label, belief = card.best[0]
    name = "none of these" if label == NONE_OF_THESE else labels[label].name
    about = label == card.label.id and not card.stale
    made = made_of(card.classifier_belief, card.outcome if about else "", card.log_likelihood_ratio)
    return f"{asked}{name}: {made}, so {belief:.2f}."


def said(decision: str) -> str:
    """Return in words what was decided, '' where nothing was."""
    kind, _, name = decision.partition(": ")
    return f"{DONE[kind]} {name}".strip() if kind else ""


def rival_is_likelier(card: Card) -> bool:
    """Return whether the runner-up is believed more than the proposed label now."""
    return (card.runner_up_belief or 0.0) > (card.belief or 0.0)


def _show_examples(examples: tuple[Example, ...]) -> None:
    for example in examples:
        similarity, content = st.columns([1, 5], vertical_alignment="top")
        similarity.caption(f"{example.similarity:.2f} {example.origin}")
        whole = visible(example.content)
        if len(whole) <= EXAMPLE_LENGTH:
            content.text(whole)
        else:  # three stand in a side without scrolling
            content.text(whole[:EXAMPLE_LENGTH].rstrip() + "…", help=plain(whole[:FOLDED_AT]))
    if not examples:
        st.caption("No valid sample of this label but the text itself.")
