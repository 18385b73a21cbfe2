"""What the review desk in a browser sends: key presses, and messages with them. They are read strictly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from red_core.errors import StateError, one_line
from red_core.records import LONGEST_SECONDS, DecisionKind
from red_core.store.audits import AuditKind
from red_core.text import LONGEST_MEANING

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
    seconds: Annotated[float, Field(ge=0, le=LONGEST_SECONDS)] | None = None
    reason: Annotated[str, StringConstraints(max_length=2_000)] = ""
    undoes: RequestId | None = None


class AuditKeyPress(BaseModel):
    """One answer to a blind audit, as a browser sends it; see :func:`red_core.review.audits.answer`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    request_id: RequestId = Field(alias="id")
    kind: AuditKind | Literal["undo"]
    audit: RowId | None = None
    label: RowId | None = None
    seconds: Annotated[float, Field(ge=0, le=LONGEST_SECONDS)] | None = None
    undoes: RequestId | None = None


class FlagPress(BaseModel):
    """A flag that is set or, with ``raised`` false, taken away; ``flag`` is the text's row id."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    request_id: RequestId = Field(alias="id")
    flag: RowId
    raised: bool
    comment: Annotated[str, StringConstraints(max_length=2_000)] = ""


class MeaningPress(BaseModel):
    """Another meaning of a label, or the undo of that edit.

    Attributes
    ----------
    request_id : str
        ``id`` in JSON.
    meaning_of : int
        The label.
    words : str
        The meaning.
    seen : int or None
        The id of the meaning that it replaces.
    excludes : str or None
        What does not belong to the label; None: as it is.
    undo : bool
        Whether the edit that gave the label these words is undone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    request_id: RequestId = Field(alias="id")
    meaning_of: RowId
    words: Annotated[str, StringConstraints(max_length=LONGEST_MEANING)]
    excludes: Annotated[str, StringConstraints(max_length=LONGEST_MEANING)] | None = None
    seen: RowId | None = None
    undo: bool = False


class WhyPress(BaseModel):
    """The key *make an example*: the text of a decision goes into the guidelines of its labels, or out of them again.

    Attributes
    ----------
    request_id : str
        ``id`` in JSON.
    why_of : str
        The id of the key press that decided.
    words : str
        The reason; '' for that of the decision.
    undo : bool
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    request_id: RequestId = Field(alias="id")
    why_of: RequestId
    words: Annotated[str, StringConstraints(max_length=2_000)] = ""
    undo: bool = False


Press = KeyPress | AuditKeyPress | FlagPress | MeaningPress | WhyPress
_OTHERS: Mapping[str, type[AuditKeyPress | FlagPress | MeaningPress | WhyPress]] = {
    "audit": AuditKeyPress, "flag": FlagPress, "meaning_of": MeaningPress, "why_of": WhyPress,
}  # fmt: skip
"""The key that only a press of this kind has."""


def read_key_press(raw: Mapping[str, Any]) -> Press:
    """Return a key press as a browser sent it: a decision unless it has the key of another kind.

    Raises
    ------
    StateError
        If it is not a valid key press.
    """
    try:
        kinds = [kind for key, kind in _OTHERS.items() if isinstance(raw, Mapping) and key in raw]
        return (kinds[0] if kinds else KeyPress).model_validate(raw)
    except ValidationError as error:
        raise _not_understood(error) from error


class Want(BaseModel):
    """A request for more about a card: its history, its whole text, an explanation, or the guideline of a label."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: Literal["history", "whole", "explain", "guideline", "rival guideline"]
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
