"""The review desk: cards with their evidence, and key presses that arrive in order and may arrive twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from red_core.errors import CardChanged, StateError, one_line
from red_core.records import DecisionKind, Example, Project
from red_core.review.audits import answer, undo_answer
from red_core.review.decisions import Provenance, decide, undo
from red_core.settings import RECOMMENDED
from red_core.store.audits import AuditKind
from red_core.store.desk import Card, Item, cards
from red_core.store.vectors import load_vectors, without_vector
from red_core.training import ValidSamples

RowId = Annotated[int, Field(ge=-(2**63), lt=2**63)]
RequestId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
"""32 hexadecimal digits, chosen at random for each key press: a press that arrives twice is carried out once."""


class KeyPress(BaseModel):
    """One key pressed at the desk, as a browser sends it.

    Attributes
    ----------
    request_id : str
        ``id`` in JSON.
    kind : str
        A decision's kind, or ``undo``.
    text, label : int
        As :func:`red_core.review.decisions.decide` takes them.
    proposal, seen, own, queue, seconds, reason
        As in :class:`red_core.review.decisions.Provenance`; ``own`` are its ``own_requests``.
    undoes : str or None
        Request id of the key press to undo; None: the person's newest decision.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    request_id: RequestId = Field(alias="id")
    kind: DecisionKind
    text: RowId = 0
    label: RowId | None = None
    proposal: RowId | None = None
    seen: Annotated[list[RowId], Field(min_length=2, max_length=2)] | None = None
    own: Annotated[list[RequestId], Field(max_length=1_000)] = []
    queue: Annotated[str, StringConstraints(max_length=60)] = ""
    seconds: Annotated[float, Field(ge=0, le=1e6)] | None = None
    reason: Annotated[str, StringConstraints(max_length=2_000)] = ""
    undoes: RequestId | None = None


class AuditKeyPress(BaseModel):
    """One answer to a blind audit, as a browser sends it; see :func:`red_core.review.audits.answer`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    request_id: RequestId = Field(alias="id")
    kind: AuditKind | Literal["undo"]
    audit: RowId | None = None
    label: RowId | None = None
    seconds: Annotated[float, Field(ge=0, le=1e6)] | None = None
    undoes: RequestId | None = None


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


def read_key_press(raw: Mapping[str, Any]) -> KeyPress | AuditKeyPress:
    """Return a key press as a browser sent it: an answer to a blind audit if it has the key ``audit``, else a decision.

    Raises
    ------
    StateError
        If it is not a valid key press.
    """
    try:
        of_audit = isinstance(raw, Mapping) and "audit" in raw
        return AuditKeyPress.model_validate(raw) if of_audit else KeyPress.model_validate(raw)
    except ValidationError as error:
        raise _not_understood(error) from error


class Want(BaseModel):
    """A request for more about a card: its history, its whole text, or a model's explanation of its verdict."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: Literal["history", "whole", "explain"]
    card: RowId


class Message(BaseModel):
    """A message from the desk in a browser tab.

    Attributes
    ----------
    project : str
        The id of the project that the tab shows.
    tick : int
        Number of the message in this tab; the reply repeats it.
    store, queue : str
        The outbox and the queue that it is about.
    labels : str
        The version of the labels that the tab holds; '' for none.
    held : list of int
        The cards that the tab holds.
    acts : list of dict
        Key presses that are not acknowledged yet, each for :func:`read_key_press`.
    want : Want or None
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    project: Annotated[str, StringConstraints(max_length=64)]
    tick: Annotated[int, Field(ge=0, lt=2**53)]
    store: Annotated[str, StringConstraints(max_length=200)]
    queue: Annotated[str, StringConstraints(max_length=20_000)]
    labels: Annotated[str, StringConstraints(max_length=200)]
    held: Annotated[list[RowId], Field(max_length=10_000)]
    acts: Annotated[list[dict[str, Any]], Field(max_length=1_000)]
    want: Want | None = None


def read_message(raw: object) -> Message:
    """Return a message as a browser sent it.

    Raises
    ------
    StateError
        If it is not a valid message.
    """
    try:
        return Message.model_validate(raw)
    except ValidationError as error:
        raise _not_understood(error) from error


def _not_understood(error: ValidationError) -> StateError:
    first = error.errors()[0]
    problem = one_line(f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
    return StateError(f"this key press was not understood ({problem}). Load the page again.")


def apply_key_press(project: Project, press: KeyPress | AuditKeyPress, *, who: str) -> PressOutcome:
    """Carry out a key press, once however often it arrives, and return its outcome.

    Raises
    ------
    StoreError
        If nothing can be stored now; the desk sends it again.
    """
    try:
        back = _audit(project, press, who) if isinstance(press, AuditKeyPress) else _decide(project, press, who)
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
