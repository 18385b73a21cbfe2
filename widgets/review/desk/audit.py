"""The blind audit on the desk: a text and labels in random order; no verdict, no belief, no ranking."""

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
"""Few: what was dealt and is not answered holds up the next look at the sample."""


class AuditSitting:
    """One person's stream of texts to audit, of the certificate or of one label."""

    mode, name = "audit", "blind audit"
    empty = "There is no text left to audit: every one whose label is the machine's was dealt."

    def __init__(self, project: Project, key: str, label: int | None) -> None:
        self.project, self.key = project, key
        self._label = label
        self._texts: dict[int, str] = {}

    def note(self, raw: Mapping[str, Any], done: PressOutcome) -> None:
        """Remember nothing: who was dealt what is in the store."""

    def next_cards(self, held: Sequence[int], room: int) -> tuple[list[dict[str, Any]], list[int], int]:
        """Return what this person was dealt beyond what the tab holds."""
        dealt = self._dealt(min(len(held) + room, DEALT_AHEAD))
        cards = [_wire(card) for card in dealt if card.audit not in held]
        return cards, sorted(set(held) - {card.audit for card in dealt}), 1 if dealt else 0

    def one_card(self, card: int) -> dict[str, Any] | None:
        """Return the card of an audit that waits again; None where it is of another stream."""
        return next((_wire(one) for one in self._dealt(DEALT_AHEAD) if one.audit == card), None)

    def _dealt(self, count: int) -> list[AuditCard]:
        purpose: AuditPurpose = "certificate" if self._label is None else "label"
        dealt = deal(self.project, who=who_acts(), purpose=purpose, label=self._label, count=count)
        self._texts |= {card.audit: card.content for card in dealt}
        return dealt

    def say(self, kind: str, card: int) -> dict[str, Any]:
        """Return the whole of a text: nothing else is told before it is audited."""
        words = self._texts.get(card, "") if kind == "whole" else ""
        return {"kind": "whole", "title": "The whole text", "words": visible(words)}


def _wire(card: AuditCard) -> dict[str, Any]:
    return {
        "id": card.audit, "audit": card.audit, "text": card.text, "options": list(card.options), "decided": "",
        "content": visible(card.content[:FOLDED_AT]) + ("…" if len(card.content) > FOLDED_AT else ""),
        "cut": len(card.content) > FOLDED_AT, "size": len(card.content),
    }  # fmt: skip
