"""One text with its suggested label: the judge's verdict, and the valid texts that the judge was shown."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from red_core.records import NONE_OF_THESE, Example, Label
from red_core.store.desk import Card
from widgets.shell.untrusted import FOLDED_AT, plain, show_text, visible
from widgets.shell.words import in_points, judge_name

BADGES: dict[str, tuple[str, Literal["green", "red", "orange", "gray"]]] = {
    "valid": (":material/check:", "green"),
    "invalid": (":material/close:", "red"),
    "unsure": (":material/help:", "orange"),
    "refused": (":material/block:", "orange"),
    "unparseable": (":material/broken_image:", "orange"),
    "": (":material/hourglass:", "gray"),
}
REASONS = {
    "value": "a yes or no raises the chance of a right label by {points}",
    "analyst": "your yes or no raises the chance of a right label by {points}",
    "entropy": "the classifier is uncertain: {uncertainty:.0f} of 100 (100 = most uncertain)",
    "confirm": "the classifiers are confident, and the judge was asked to confirm the label",
    "correction": "the judge found another label invalid and suggested this one",
}
"""Why a question was asked, by the reason that is stored with the proposal."""
OUTDATED = "outdated: the meaning of the label was edited after this verdict, and the next round asks again"
NO_EXAMPLES = "There is no other valid text of this label to show."
ORIGINS = {"seed": "example", "analyst": "analyst"}
"""Who gave an example its label: the imported file, or an analyst's decision."""
DECIDED = {"accept": "accepted", "relabel": "relabelled", "none": "none of these", "reject": "rejected"}
TEXT_HEIGHT, SIDE_HEIGHT = 105, 325
"""Pixels. Fixed, so that nothing moves when the card changes."""
EXAMPLE_LENGTH = 110
"""Characters of an example that are shown; the rest appears as a tooltip."""


def show_card(card: Card, labels: dict[int, Label]) -> None:
    """Show the text, then the suggested label and the runner-up, each with its nearest valid texts."""
    with st.container(border=True, height=TEXT_HEIGHT, key="card_text"):
        show_text(card.content)
    left, right = st.columns(2)
    with left, st.container(border=True, height=SIDE_HEIGHT, key="card_suggested"):
        _show_side("Suggested label" if card.proposal is not None else "Most likely label", card.label, card.belief)
        _show_verdict(card)
        _show_examples(card.examples)
    with right, st.container(border=True, height=SIDE_HEIGHT, key="card_runner_up"):
        likelier = rival_is_likelier(card)
        _show_side("More likely now" if likelier else "Runner-up", card.runner_up, card.runner_up_belief)
        st.caption(plain(why_asked(card, labels)))
        _show_examples(card.rival_examples)


def _show_side(role: str, label: Label, belief: float | None) -> None:
    confidence = "" if belief is None else f"  ·  confidence {belief:.0%}"
    st.markdown(f"{role}: **{plain(label.name)}**{confidence}")
    if label.meaning:
        st.caption(plain(label.meaning))


def _show_verdict(card: Card) -> None:
    icon, color = BADGES[card.outcome]
    with st.container(horizontal=True, vertical_alignment="center"):
        if card.outcome or card.compared is None:
            st.badge((card.outcome or "not asked yet").upper(), icon=icon, color=color)
        if words := verdict_in_words(card):
            st.caption(plain(words))


def verdict_in_words(card: Card) -> str:
    """Return who gave the verdict, its probability, and whether it is outdated; then the same of a comparison."""
    told = []
    if card.judge:
        probability = "" if card.p_valid is None else f", valid with a probability of {card.p_valid:.0%}"
        told.append(f"{judge_name(card.judge)}{probability}" + f"; {OUTDATED}" * card.stale)
    if (compared := card.compared) is not None:
        sides = {"valid": ("this label", compared.chance), "invalid": (compared.rival, _rest(compared.chance))}
        chosen, chance = sides.get(compared.outcome, (compared.outcome, None))
        probability = "" if chance is None else f", with a probability of {chance:.0%}"
        told.append(
            f"{judge_name(compared.judge)}, asked to choose between this label and {compared.rival}: "
            f"{chosen}{probability}" + f"; {OUTDATED}" * compared.stale
        )
    return ". ".join(told)


def _rest(chance: float | None) -> float | None:
    return None if chance is None else 1.0 - chance


def why_asked(card: Card, labels: dict[int, Label]) -> str:
    """Return why the question was asked, and the confidence in the likeliest label before and after the verdict."""
    points = in_points(round(card.gain, 2 if card.gain >= 0.01 else 3))
    reason = REASONS.get(card.reason, card.reason).format(points=points, uncertainty=100 * card.gain)
    asked = f"Asked because {reason}. " if card.reason else ""
    if not card.best or card.classifier_belief is None:
        return asked.strip()
    label, belief = card.best[0]
    name = "none of these" if label == NONE_OF_THESE else labels[label].name
    before, now = f"{card.classifier_belief:.0%}", f"{belief:.0%}"
    if card.outcome and label == card.label.id and not card.stale:
        after = f", {now} after the verdict {card.outcome}"
    else:
        after = f", {now} now" if now != before else ""
    return f"{asked}{name}: {before} from the classifiers{after}."


def decision_in_words(decision: str) -> str:
    """Return what was decided, '' where nothing was: ``accepted NAME`` of a stored ``accept: NAME``."""
    kind, _, name = decision.partition(": ")
    return f"{DECIDED[kind]} {name}".strip() if kind else ""


def rival_is_likelier(card: Card) -> bool:
    """Return whether the confidence in the runner-up is now above that in the suggested label."""
    return (card.runner_up_belief or 0.0) > (card.belief or 0.0)


def _show_examples(examples: tuple[Example, ...]) -> None:
    for example in examples:
        similarity, content = st.columns([1, 5], vertical_alignment="top")
        similarity.caption(f"{example.similarity:.2f} {ORIGINS.get(example.origin, example.origin)}")
        text = visible(example.content)
        if len(text) <= EXAMPLE_LENGTH:
            content.text(text)
        else:  # short enough that three of them need no scrolling
            content.text(text[:EXAMPLE_LENGTH].rstrip() + "…", help=plain(text[:FOLDED_AT]))
    if not examples:
        st.caption(NO_EXAMPLES)
