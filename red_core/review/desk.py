"""The review desk: cards with their evidence, and acts that come in order and may come twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from red_core.errors import CardChanged, StateError, one_line
from red_core.records import DecisionKind, Example, Project
from red_core.review.audits import answer, undo_answer
from red_core.review.decisions import decide, undo
from red_core.settings import RECOMMENDED
from red_core.store.desk import Card, Item, cards
from red_core.store.vectors import load_vectors, without_vector
from red_core.training import ValidSamples

RowId = Annotated[int, Field(ge=-(2**63), lt=2**63)]
ActName = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]


class KeyPress(BaseModel):
    """One key pressed at the desk, as it comes from a browser.

    Attributes
    ----------
    id : str
        32 hexadecimal digits, chosen at random: an act that comes twice is carried out once.
    kind : str
        A decision's kind, or ``undo``.
    text, label, proposal, seen, queue, seconds, reason
        As :func:`red_core.review.decisions.decide` takes them.
    own : tuple of str
        Acts of the same desk about this text.
    undoes : str or None
        The act to undo; the person's newest decision where it is not said.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: ActName
    kind: DecisionKind
    text: RowId = 0
    label: RowId | None = None
    proposal: RowId | None = None
    seen: Annotated[list[RowId], Field(min_length=2, max_length=2)] | None = None
    own: Annotated[list[ActName], Field(max_length=1_000)] = []
    queue: Annotated[str, StringConstraints(max_length=60)] = ""
    seconds: Annotated[float, Field(ge=0, le=1e6)] | None = None
    reason: Annotated[str, StringConstraints(max_length=2_000)] = ""
    undoes: ActName | None = None


@dataclass(frozen=True)
class Done:
    """What became of an act.

    Attributes
    ----------
    act : str
    refused : str
        Why it was not carried out, '' where it was.
    back : int or None
        The text whose card comes back to the desk.
    """

    act: str
    refused: str = ""
    back: int | None = None


class AuditKeyPress(BaseModel):
    """One answer to a blind audit, as it comes from a browser; see :func:`red_core.review.audits.answer`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: ActName
    kind: Literal["label", "none", "cannot tell", "undo"]
    audit: RowId | None = None
    label: RowId | None = None
    seconds: Annotated[float, Field(ge=0, le=1e6)] | None = None
    undoes: ActName | None = None


def read_key_press(raw: Mapping[str, Any]) -> KeyPress | AuditKeyPress:
    """Return an act as a browser sent it: an answer to a blind audit where it has the key ``audit``, else a decision.

    Raises
    ------
    StateError
        If it is none.
    """
    try:
        of_audit = isinstance(raw, Mapping) and "audit" in raw
        return AuditKeyPress.model_validate(raw) if of_audit else KeyPress.model_validate(raw)
    except ValidationError as error:
        raise _not_understood(error) from error


class Want(BaseModel):
    """What a desk asks about a card: its history, the whole text, what a model says about its verdict."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: Literal["history", "whole", "explain"]
    card: RowId


class Message(BaseModel):
    """What a desk says to the server.

    Attributes
    ----------
    tick : int
        Which message of this tab it is; the answer names it.
    store, queue : str
        The outbox and the queue it is about.
    labels : str
        The version of the labels the tab holds, '' where it holds none.
    held : list of int
        The cards it holds.
    acts : list of dict
        What is not acknowledged yet, each for :func:`read_act`.
    want : Want or None
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

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
        If it is none.
    """
    try:
        return Message.model_validate(raw)
    except ValidationError as error:
        raise _not_understood(error) from error


def _not_understood(error: ValidationError) -> StateError:
    first = error.errors()[0]
    told = one_line(f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
    return StateError(f"this act was not understood ({told}). Load the page again.")


def apply_key_press(project: Project, act: KeyPress | AuditKeyPress, *, who: str) -> Done:
    """Carry out an act unless it was before, and return what became of it.

    Raises
    ------
    StoreError
        If nothing can be stored now: send it again later.
    """
    try:
        return _audit(project, act, who) if isinstance(act, AuditKeyPress) else _decide(project, act, who)
    except CardChanged as error:
        return Done(act.id, refused=str(error), back=act.text if isinstance(act, KeyPress) else None)
    except StateError as error:
        return Done(act.id, refused=str(error))


def _decide(project: Project, act: KeyPress, who: str) -> Done:
    if act.kind == "undo":
        try:
            return Done(act.id, back=undo(project, who=who, of_act=act.undoes, act=act.id)[0])
        except StateError:
            if act.undoes is None:
                raise
            return Done(act.id)  # what it undoes was refused itself, or was undone elsewhere
    seen = None if act.seen is None else (act.seen[0], act.seen[1])
    decide(
        project, act.text, act.kind, label=act.label, proposal=act.proposal, who=who, reason=act.reason,
        act=act.id, seconds=act.seconds, queue=act.queue, seen=seen, own=act.own,
    )  # fmt: skip
    return Done(act.id)


def _audit(project: Project, act: AuditKeyPress, who: str) -> Done:
    if act.kind == "undo":
        return Done(act.id, back=undo_answer(project, who, act.id))
    answer(project, act.audit or 0, act.kind, label=act.label, who=who, seconds=act.seconds, act=act.id)
    return Done(act.id)


def cards_with_evidence(
    project: Project,
    items: Sequence[Item],
    samples: ValidSamples,
    embedding: str,
    shown: int = RECOMMENDED.examples_shown,
) -> list[Card]:
    """Return the cards of these items; what was never proposed gets the evidence a judge would be shown."""
    bare = [text for text, proposal in items if proposal is None]
    if bare:  # what was imported since the last round has no vector yet
        bare = sorted(set(bare) - set(without_vector(project, embedding).tolist()))
    vectors = dict(zip(bare, load_vectors(project, embedding, np.array(bare, dtype=np.int64)), strict=True))
    place = {label: number for number, label in enumerate(samples.label_ids.tolist())}

    def nearest(text: int, label: int) -> tuple[Example, ...]:
        known = text in vectors and label in place
        return samples.nearest(text, vectors[text], place[label], shown) if known else ()

    return cards(project, items, nearest)
