"""The review desk: cards with their evidence, and key presses that arrive in order and may arrive twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from red_core.errors import CardChanged, StateError
from red_core.records import Example, Project
from red_core.review.audits import answer, undo_answer
from red_core.review.decisions import Provenance, decide, undo
from red_core.review.presses import AuditKeyPress, FlagPress, KeyPress
from red_core.settings import RECOMMENDED
from red_core.store.desk import Card, Item, cards
from red_core.store.flags import flag_text
from red_core.store.vectors import load_vectors, without_vector
from red_core.training import ValidSamples


@dataclass(frozen=True)
class PressOutcome:
    """The outcome of a key press.

    Attributes
    ----------
    request_id : str
    refused : str
        Why it was refused; '' if it was carried out.
    back : int or None
        The text whose card returns to the desk.
    """

    request_id: str
    refused: str = ""
    back: int | None = None


def apply_key_press(project: Project, press: KeyPress | AuditKeyPress | FlagPress, *, who: str) -> PressOutcome:
    """Carry out a key press, once however often it arrives, and return its outcome.

    Raises
    ------
    StoreError
        If nothing can be stored now; the desk sends it again.
    """
    back = None
    try:
        match press:
            case AuditKeyPress():
                back = _audit(project, press, who)
            case FlagPress():
                comment, act = press.comment.strip(), press.request_id
                flag_text(project, press.flag, comment, raised=press.raised, who=who, act=act)
            case KeyPress():
                back = _decide(project, press, who)
    except CardChanged as error:
        return PressOutcome(press.request_id, str(error), back=press.text if isinstance(press, KeyPress) else None)
    except StateError as error:
        return PressOutcome(press.request_id, str(error))
    return PressOutcome(press.request_id, back=back)


def _decide(project: Project, press: KeyPress, who: str) -> int | None:
    """Decide or undo; return the text whose card returns to the desk."""
    if press.kind == "undo":
        try:
            return undo(project, who=who, of_request=press.undoes, request_id=press.request_id)[0]
        except StateError:
            if press.undoes is None:
                raise
            return None  # what it undoes was itself refused, or was undone elsewhere
    provenance = Provenance(
        press.proposal, press.reason, press.queue, press.seconds, press.request_id,
        seen=None if press.seen is None else (press.seen[0], press.seen[1]), own_requests=press.own,
    )  # fmt: skip
    decide(project, press.text, press.kind, label=press.label, who=who, provenance=provenance)
    return None


def _audit(project: Project, press: AuditKeyPress, who: str) -> int | None:
    """Answer or undo; return the audit whose card returns to the desk."""
    if press.kind == "undo":
        return undo_answer(project, who, press.request_id)
    answer(
        project, press.audit or 0, press.kind,
        label=press.label, who=who, seconds=press.seconds, request_id=press.request_id,
    )  # fmt: skip
    return None


def cards_with_evidence(
    project: Project,
    items: Sequence[Item],
    samples: ValidSamples,
    embedding: str,
    shown: int = RECOMMENDED.examples_shown,
) -> list[Card]:
    """Return the cards of these items; a text without a proposal gets the evidence that a judge would be shown.

    Parameters
    ----------
    shown : int
        Samples of each label on a card.
    """
    unproposed = [text for text, proposal in items if proposal is None]
    if unproposed:  # texts imported since the last round have no vector yet
        unproposed = sorted(set(unproposed) - set(without_vector(project, embedding).tolist()))
    vectors = load_vectors(project, embedding, np.array(unproposed, dtype=np.int64))
    vector_of = dict(zip(unproposed, vectors, strict=True))
    index = {label: position for position, label in enumerate(samples.label_ids.tolist())}

    def nearest(text: int, label: int) -> tuple[Example, ...]:
        known = text in vector_of and label in index
        return samples.nearest(text, vector_of[text], index[label], shown) if known else ()

    return cards(project, items, nearest)
