"""What the columns with JSON and the remembered values of a project may hold: what some reader takes for granted."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from red_core.encoders import parse_spec
from red_core.errors import EmbeddingError
from red_core.settings import Settings
from red_core.store.labels import MOST_LEVELS, name_key
from red_core.store.rounds import BEST_STORED

LARGEST, LARGEST_INTEGER = 1e12, 2**40
"""No number of a project is larger. Sums and products of such numbers stay finite, and no id comes near SQLite's last
one: behind that, new rows get random ids."""

Integer = Annotated[StrictInt, Field(ge=-LARGEST_INTEGER, le=LARGEST_INTEGER)]
Count = Annotated[StrictInt, Field(ge=0, le=LARGEST_INTEGER)]
Number = Annotated[StrictInt | StrictFloat, Field(ge=-LARGEST, le=LARGEST)]
Amount = Annotated[StrictInt | StrictFloat, Field(ge=0, le=LARGEST)]
Share = Annotated[StrictInt | StrictFloat, Field(ge=0, le=1.001)]
"""A probability; sums of float32 may be a little more than 1."""


def _is_encoder(line: str) -> bool:
    try:
        return line == "" or bool(parse_spec(line).name)
    except EmbeddingError:
        return False


def _read(line: str) -> str:
    if not _is_encoder(line):
        raise ValueError("it is no encoder")
    return line


Encoder = Annotated[StrictStr, AfterValidator(_read)]


class _OldLabel(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: Integer
    name: Annotated[StrictStr, Field(min_length=1)]
    name_key: StrictStr
    becomes: Integer | None
    retired: Annotated[StrictInt, Field(ge=0, le=1)]
    merged_since: Count

    @model_validator(mode="after")
    def _has_its_key(self) -> Self:
        if not self.retired and self.becomes is None and self.name_key != name_key(self.name):
            raise ValueError("an active label is found by its name")
        return self


class _Edit(BaseModel):
    told: StrictStr
    about: list[Integer] = []
    created: list[Integer]
    labels: list[_OldLabel]


class _Subsets(BaseModel):
    subsets: Count


class _Rates(BaseModel):
    model_config = ConfigDict(extra="forbid")

    right: dict[str, Share]
    wrong: dict[str, Share]
    pairs: Count
    passes: tuple[Share, Share] | None = None
    bits: Share | None = None
    levels: list[tuple[Share, Share]] = []
    rival_bits: Share | None = None
    rival_levels: list[tuple[Share, Share]] = []
    rival_price: Annotated[Number, Field(gt=0)] = 1.0
    rejects: tuple[Share, Share] | None = None
    both_shares: tuple[Share, Share] = (0.5, 0.5)


class _Curve(BaseModel):
    model_config = ConfigDict(extra="forbid")

    answers: Annotated[list[Amount], Field(min_length=1)]
    accuracy: list[Share]
    taught: list[Amount]

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if self.answers[0] or self.answers != sorted(self.answers):
            raise ValueError("answers are counted from now")
        if not len(self.answers) == len(self.accuracy) == len(self.taught):
            raise ValueError("each number of answers has its accuracy")
        return self


class _Forecast(BaseModel):
    model_config = ConfigDict(extra="forbid")

    assumed: StrictBool
    you: _Curve
    judge: _Curve
    then_you: _Curve


class _Metrics(BaseModel):
    """The figures of a round, see ``rounds/metrics.py``. Those with a default were not stored by every version."""

    pool: Annotated[Count, Field(ge=1)]
    uncertain: Count
    none_of_these: Count
    questions: Count
    failed: Count
    worth_asking: Count
    complete: StrictBool
    outcomes: dict[str, Count]
    information_gain: Amount | None
    expected_agreement: Share
    expected_alone: Share
    true_agreement: Share | None
    true_alone: Share | None
    judge_rates: _Rates
    judge: StrictStr = ""
    none_share: Share = 0.0
    worth_judging: Count = 0
    compared: Count = 0
    tokens: Count = 0
    money: Amount | None = None
    decided: Count = 0
    encoder: Encoder = ""
    training_rows: Annotated[Count, Field(ge=1)] | None = None
    forecast: _Forecast | None = None

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        told = self.model_fields_set
        if any(name in told and getattr(self, name) is None for name in ("training_rows", "forecast")):
            raise ValueError("null is neither a number nor a forecast")
        if self.forecast is not None and self.training_rows is None:
            raise ValueError("a forecast needs the number of training rows")
        if (self.true_agreement is None) != (self.true_alone is None):
            raise ValueError("a trial measures both accuracies")
        return self


class _EncoderScore(BaseModel):
    model_config = ConfigDict(extra="forbid")

    encoder: Encoder
    right: Share
    per_second: Amount = 0.0


class _LabelDrift(BaseModel):
    model_config = ConfigDict(extra="forbid")

    label: Integer
    texts: tuple[Count, Count]
    share: tuple[Share, Share]
    uncertain: tuple[Share, Share]
    none: tuple[Share, Share]
    distance: Number | None
    spread: tuple[Number, Number] | None
    p: Share | None
    q: Share | None
    advice: Literal["retrain", "audit", "leave", "too few texts"]
    reasons: list[StrictStr]


class _Drift(BaseModel):
    model_config = ConfigDict(extra="forbid")

    of: StrictStr
    file: StrictStr
    labels: list[_LabelDrift]


Frame = tuple[Share, Annotated[Count, Field(ge=1)], Amount]


def _all_texts_first(frames: list[Frame]) -> list[Frame]:
    """Return the frames of a check; see :class:`red_core.steps.certificate.Frame`."""
    threshold, every, _ = frames[0]
    if threshold or any(texts > every or expected > 1.001 * texts for _, texts, expected in frames):
        raise ValueError("all texts come first, and no more are expected to be right than there are")
    return frames


Sample = tuple[Integer, Number, StrictStr]
Evidence = dict[Literal["label", "runner_up"], list[Sample]]
BEST = TypeAdapter(Annotated[list[tuple[Integer, Share]], Field(min_length=1, max_length=BEST_STORED)])
"""The outcomes of a text and their beliefs, best first."""
AskedInBatch = tuple[Integer, Count, Integer, Integer, StrictStr, StrictBool, Integer | None]
"""A question about one label, as versions stored it that could not compare two; see ``BatchRequest``."""
ComparedInBatch = tuple[
    Integer, Count, Integer, Integer, StrictStr, StrictBool, Integer | None, Integer | None, Integer | None, StrictBool
]
JSON: dict[tuple[str, str], Any] = {
    ("source", "notes"): list[StrictStr],
    ("label_path", "path"): Annotated[list[Annotated[StrictStr, Field(min_length=1)]], Field(max_length=MOST_LEVELS)],
    ("source_row", "extra"): dict[str, StrictStr],
    ("round", "settings"): Settings,
    ("round", "metrics"): _Metrics | Annotated[dict[str, Any], Field(max_length=0)],
    ("job", "settings"): Settings,
    ("proposal", "evidence"): Evidence,
    ("comparison", "evidence"): Evidence,
    ("audit", "options"): list[Integer],
    ("audit_check", "frames"): Annotated[list[Frame], Field(min_length=1), AfterValidator(_all_texts_first)],
    ("judge_batch", "requests"): list[AskedInBatch | ComparedInBatch],
}
"""The columns that hold JSON, and what it must be. The detail of an edit depends on its kind."""
EDITS: dict[str, Any] = {"labels added": list[StrictStr], "subsets formed": _Subsets}
ANY_EDIT: TypeAdapter[Any] = TypeAdapter(_Edit)
"""The detail of all other edits."""


def _holds(kind: Any) -> Callable[[str], bool]:  # noqa: ANN401  any type that pydantic validates
    return lambda value: read(TypeAdapter(kind), value) is not None


REMEMBERED: dict[str, Callable[[str], bool]] = {
    "audit target": lambda value: 0.0 < float(value) < 1.0,
    "most tokens of the project": lambda value: re.fullmatch(r"[0-9]{0,4000}", value) is not None,
    "card columns": _holds(list[StrictStr]),
    "embedding": _is_encoder,
    "next encoder": _is_encoder,
    "languages": _holds(dict[StrictStr, Share]),
    "languages of the newest texts": _holds(dict[StrictStr, Share]),
    "encoder comparison": _holds(list[_EncoderScore]),
    "drift": _holds(_Drift),
    "drift of": lambda value: value == "" or re.fullmatch(r"\d{1,9} \d{1,9}", value) is not None,
}
"""Values of the table ``project`` that are read as more than words."""


def read(kind: TypeAdapter[Any], value: str) -> Any:  # noqa: ANN401  what was stored
    """Return a stored value; None if it is not JSON of this kind."""
    try:
        return kind.validate_json(value)
    except (ValueError, ValidationError, RecursionError):
        return None


def is_remembered(key: str, value: str) -> bool:
    """Return whether a value of the table ``project`` can be read."""
    try:
        return key not in REMEMBERED or REMEMBERED[key](value)
    except ValueError:
        return False
