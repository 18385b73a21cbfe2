"""A queue of suggested labels on the desk: which cards come next, and a card as the JSON that the desk draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

from red_core.errors import StateError
from red_core.judges.explanations import explain
from red_core.records import EVIDENCE_CHECK, NONE_OF_THESE, Example, Label, Project
from red_core.review.desk import PressOutcome
from red_core.store.desk import Card, Item, decided_among, item_of
from red_core.store.flags import Flag, flags
from red_core.store.history import text_history
from red_core.store.verdicts import explanation
from widgets.review.card_facts import chosen_columns, facts_beside
from widgets.review.desk.meaning import guideline_as_json
from widgets.review.queues import Queue
from widgets.review.verdict_card import ORIGINS, decision_in_words, verdict_in_words, why_asked
from widgets.rounds.judge_panel import connected_server
from widgets.shell.untrusted import FOLDED_AT, visible

LONGEST_SHOWN = 200_000
"""Characters shown of a text where the whole text is asked for."""
EXAMPLE_SENT = 400
SUGGESTIONS = 9

CardsOf = Callable[[Sequence[Item]], list[Card]]


class ReviewSitting:
    """The texts of one queue in their order, and which of them have left the desk in this session."""

    mode = "review"

    def __init__(self, project: Project, queue: Queue, labels: dict[int, Label], cards_of: CardsOf) -> None:
        self.project, self.queue = project, queue
        self._columns = chosen_columns(project)
        self.key, self.name, self.empty = queue.key, queue.name, queue.empty
        self._labels, self._cards_of = labels, cards_of
        self._proposal = dict(queue.items)
        self._explains = connected_server() is not None
        self._passed: set[int] = set()

    def note(self, raw: Mapping[str, Any], outcome: PressOutcome) -> None:
        """Remember that a card has left the desk, or that the tab holds it again."""
        self._passed |= {text for text in (raw.get("text"), outcome.back) if text is not None}

    def next_cards(self, held: Sequence[int], room: int) -> tuple[list[dict[str, Any]], list[int], int]:
        """Return the next cards, which of the held cards somebody else decided, and how many cards remain."""
        away = self._passed | set(held)
        waiting = [text for text, _ in self.queue.items if text not in away]
        chosen = list(islice(waiting, max(room, 0)))
        gone: set[int] = set()
        if self.name not in {"decided", "flagged"}:
            shown = [(text, self._proposal.get(text)) for text in (*held, *chosen)]
            gone = decided_among(self.project, shown, rejections=self.name != "contradictions")
            self._passed |= gone
        items = [(text, self._proposal[text]) for text in chosen if text not in gone]
        return self._as_json(self._cards_of(items)), [text for text in held if text in gone], len(waiting) - len(chosen)

    def one_card(self, text: int) -> dict[str, Any] | None:
        """Return the card of a text as it is now."""
        return self._as_json([self._card(text)])[0]

    def _card(self, text: int) -> Card:
        item = (text, self._proposal[text]) if text in self._proposal else item_of(self.project, text)
        for card in self._cards_of([item]):
            return card
        raise StateError("there is no such text. Load the page again.")

    def say(self, kind: str, text: int) -> dict[str, Any]:
        """Return the history of a text, the whole text, a model's explanation of its verdict, or a guideline.

        Raises
        ------
        StateError
            If there is no such text, or no verdict to explain.
        """
        if kind == "history":
            events = text_history(self.project, text)
            rows = [[e.at[:16].replace("T", " "), visible(e.who), visible(e.what)] for e in events]
            return {"kind": kind, "rows": rows}
        card = self._card(text)
        if kind.endswith("guideline"):
            label = card.runner_up if kind.startswith("rival") else card.label
            return {"kind": kind} | guideline_as_json(self.project, label)
        if kind == "whole":
            return {"kind": kind, "title": "The whole text", "words": visible(card.content[:LONGEST_SHOWN])}
        if card.verdict is None:
            raise StateError("this text has no verdict, so there is nothing to explain.")
        if explanation(self.project, card.verdict) is None:
            explain(self.project, card)
        words, model = explanation(self.project, card.verdict) or ("", "")
        title = f"{visible(model)} wrote this explanation later. It is not the reason for the verdict."
        return {"kind": kind, "title": title, "words": visible(words)}

    def _as_json(self, cards: Sequence[Card]) -> list[dict[str, Any]]:
        """Return what the desk draws of cards. Characters that nobody sees are shown as boxes."""
        texts = [card.text for card in cards]
        beside = facts_beside(self.project, texts, self._columns)
        flagged = flags(self.project, texts)
        return [
            self._one_as_json(card)
            | {"facts": beside.get(card.text, []), "flag": _flag_as_json(flagged.get(card.text))}
            for card in cards
        ]

    def _one_as_json(self, card: Card) -> dict[str, Any]:
        others = [card.runner_up.id, *(n for n, _ in card.best if n not in {card.label.id, NONE_OF_THESE})]
        return {
            "id": card.text, "proposal": card.proposal, "seen": card.seen, "asked": card.proposal is not None,
            "content": visible(card.content[:FOLDED_AT]) + ("…" if len(card.content) > FOLDED_AT else ""),
            "cut": len(card.content) > FOLDED_AT, "size": len(card.content),
            "label": card.label.id, "rival": card.runner_up.id,
            "belief": _rounded(card.belief), "rivalBelief": _rounded(card.runner_up_belief),
            "outcome": card.outcome, "judge": visible(verdict_in_words(card)),
            "why": visible(why_asked(card, self._labels)), "decided": visible(decision_in_words(card.decision)),
            "examples": _samples(card.examples), "rivalExamples": _samples(card.rival_examples),
            "suggestions": list(dict.fromkeys(others))[:SUGGESTIONS],
            "explains": self._explains and card.verdict is not None and card.judge != EVIDENCE_CHECK,
        }  # fmt: skip


def _flag_as_json(flag: Flag | None) -> list[str] | None:
    return None if flag is None else [visible(flag.who), flag.at[:16].replace("T", " "), visible(flag.comment)]


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 3)


def _samples(examples: Sequence[Example]) -> list[list[Any]]:
    return [
        [round(e.similarity, 3), ORIGINS.get(e.origin, e.origin), visible(e.content[:EXAMPLE_SENT])] for e in examples
    ]
