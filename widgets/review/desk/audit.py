"""The blind audit on the desk: a text and labels in random order, without verdict, confidence or ranking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from red_core.access.who import who_acts
from red_core.records import Project
from red_core.review.audits import deal
from red_core.review.desk import PressOutcome
from red_core.store.audits import AuditCard, AuditPurpose
from widgets.shell.untrusted import FOLDED_AT, visible

DEALT_AHEAD = 6
"""Few: a proof counts the answers up to the first dealt text without one."""


class AuditSitting:
    """The texts one person audits, for the certificate or for one label."""

    mode, name = "audit", "blind audit"
    empty = "No text is left to audit. Every text with a machine label already went to a person."

    def __init__(self, project: Project, key: str, label: int | None) -> None:
        self.project, self.key = project, key
        self._label = label
        self._texts: dict[int, str] = {}

    def note(self, raw: Mapping[str, Any], outcome: PressOutcome) -> None:
        """Do nothing: the store knows who was dealt which text."""

    def next_cards(self, held: Sequence[int], room: int) -> tuple[list[dict[str, Any]], list[int], int]:
        """Return the cards dealt to this person that the tab does not hold, see :class:`Sitting`.

        None remains, however many texts do: each answer brings the next card, and a tab that was told of more would ask
        for them without end.
        """
        dealt = self._dealt(min(len(held) + room, DEALT_AHEAD))
        cards = [_as_json(card) for card in dealt if card.audit not in held]
        return cards, sorted(set(held) - {card.audit for card in dealt}), 0

    def one_card(self, card: int) -> dict[str, Any] | None:
        """Return the card of an audit whose answer was undone; None if it is not among the dealt ones."""
        return next((_as_json(dealt) for dealt in self._dealt(DEALT_AHEAD) if dealt.audit == card), None)

    def _dealt(self, count: int) -> list[AuditCard]:
        purpose: AuditPurpose = "certificate" if self._label is None else "label"
        dealt = deal(self.project, who=who_acts(), purpose=purpose, label=self._label, count=count)
        self._texts |= {card.audit: card.content for card in dealt}
        return dealt

    def say(self, kind: str, card: int) -> dict[str, Any]:
        """Return the whole text. Anything else would make the audit less blind."""
        words = self._texts.get(card, "") if kind == "whole" else ""
        return {"kind": "whole", "title": "The whole text", "words": visible(words)}


def _as_json(card: AuditCard) -> dict[str, Any]:
    return {
        "id": card.audit, "audit": card.audit, "text": card.text, "options": list(card.options), "decided": "",
        "content": visible(card.content[:FOLDED_AT]) + ("…" if len(card.content) > FOLDED_AT else ""),
        "cut": len(card.content) > FOLDED_AT, "size": len(card.content),
    }  # fmt: skip
