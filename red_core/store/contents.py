"""What the columns of a project may hold, beyond what SQLite checks: for a database from a backup."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, StrictStr, TypeAdapter, ValidationError
from sqlite_utils import Database

from red_core.encoders import parse_spec
from red_core.errors import EmbeddingError
from red_core.records import Project
from red_core.settings import Settings
from red_core.store.database import connection

Number = StrictInt | StrictFloat
Share = Annotated[Number, Field(ge=0, le=1.001)]
"""A probability; sums of float32 may be a little more than 1."""
LARGEST = 1e300
"""A larger number is an infinity, or was meant to become one."""
MOST_DIMENSIONS = 65_536


class _OldLabel(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: StrictInt
    name: StrictStr
    name_key: StrictStr
    becomes: StrictInt | None
    retired: StrictInt
    merged_since: StrictInt


class _Edit(BaseModel):
    told: StrictStr
    about: list[StrictInt] = []
    created: list[StrictInt]
    labels: list[_OldLabel]


class _Subsets(BaseModel):
    subsets: StrictInt


class _Rates(BaseModel):
    model_config = ConfigDict(extra="forbid")

    right: dict[str, Share]
    wrong: dict[str, Share]
    pairs: Annotated[StrictInt, Field(ge=0)]
    passes: tuple[Share, Share] | None = None
    bits: Share | None = None
    levels: list[tuple[Share, Share]] = []
    rival_bits: Share | None = None
    rival_levels: list[tuple[Share, Share]] = []
    rival_price: Annotated[Number, Field(gt=0)] = 1.0
    rejects: tuple[Share, Share] | None = None


class _Metrics(BaseModel):
    pool: Annotated[StrictInt, Field(ge=0)]
    uncertain: Annotated[StrictInt, Field(ge=0)]
    expected_agreement: Share
    true_agreement: Share | None
    judge_rates: _Rates
    judge: StrictStr = ""
    none_share: Share = 0.0
    information_gain: Number | None = None
    questions: Annotated[StrictInt, Field(ge=0)] = 0
    failed: Annotated[StrictInt, Field(ge=0)] = 0
    tokens: Annotated[StrictInt, Field(ge=0)] = 0
    money: Number | None = None
    outcomes: dict[str, StrictInt] = {}
    compared: Annotated[StrictInt, Field(ge=0)] = 0


Sample = tuple[StrictInt, Number, StrictStr]
JSON: dict[tuple[str, str], Any] = {
    ("source", "notes"): list[StrictStr],
    ("label_path", "path"): list[StrictStr],
    ("source_row", "extra"): dict[str, Any],
    ("round", "settings"): Settings,
    ("round", "metrics"): _Metrics | Annotated[dict[str, Any], Field(max_length=0)],
    ("job", "settings"): Settings,
    ("proposal", "evidence"): dict[str, list[Sample]],
    ("comparison", "evidence"): dict[str, list[Sample]],
    ("prediction", "top"): list[tuple[StrictInt, Share]],
    ("prediction_before", "top"): list[tuple[StrictInt, Share]],
    ("audit", "options"): list[StrictInt],
    ("audit_check", "frames"): Annotated[list[tuple[Share, StrictInt, Number]], Field(min_length=1)],
}
"""The columns that hold JSON, and what it must be. The detail of an edit depends on its kind."""
EDITS: dict[str, Any] = {"labels added": list[Any], "subsets formed": _Subsets}
SHARES = {
    "prediction": ("belief", "runner_up_belief", "none_belief", "prior"),
    "prediction_before": ("belief", "runner_up_belief", "none_belief", "prior"),
    "proposal": ("belief", "runner_up_belief"), "verdict": ("p_valid",), "decision": ("belief",),
    "comparison": ("belief", "rival_belief", "chance"),
    "feed_back_item": ("weight",), "training_row": ("weight",), "audit_look": ("target", "lower"),
    "audit_draw": ("chance",), "audit_chance": ("least", "focus", "least_in_focus"), "audit_check": ("error",),
    "certificate": ("threshold", "lower", "target", "error"),
}  # fmt: skip
"""The columns with numbers from 0 to 1."""
RULES = {
    "a label of a prediction does not exist": """
        SELECT 1 FROM prediction WHERE label NOT IN (SELECT id FROM label UNION SELECT -1)
        OR runner_up NOT IN (SELECT id FROM label UNION SELECT -1)""",
    "a label in the five best of a prediction does not exist": """
        SELECT 1 FROM prediction, json_each(top) WHERE json_extract(json_each.value, '$[0]')
        NOT IN (SELECT id FROM label UNION SELECT -1)""",
    "a text of the evidence does not exist": """
        SELECT 1 FROM (SELECT evidence FROM proposal UNION ALL SELECT evidence FROM comparison) asked,
        json_each(asked.evidence) side, json_each(side.value) sample
        WHERE json_extract(sample.value, '$[0]') NOT IN (SELECT id FROM text)""",
    "the evidence of a suggested label is not complete": """
        SELECT 1 FROM proposal WHERE json_type(evidence, '$.label') IS NOT 'array'
        OR json_type(evidence, '$.runner_up') IS NOT 'array'""",
    "an option of an audit is no label": """
        SELECT 1 FROM audit, json_each(options) option WHERE option.value NOT IN (SELECT id FROM label)""",
    "the chance of a draw is zero": "SELECT 1 FROM audit_draw WHERE chance <= 0",
    "the least chance of a draw is zero": "SELECT 1 FROM audit_chance WHERE least <= 0 OR least_in_focus <= 0",
    "the number of a subset is out of its range": """
        SELECT 1 FROM label_place WHERE subset < 0 OR subset >= (SELECT count(*) FROM label)""",
    "a merged label is not merged into the last one": """
        SELECT 1 FROM label JOIN label target ON target.id = label.becomes WHERE target.becomes IS NOT NULL""",
    "a label has no name": "SELECT 1 FROM label WHERE trim(name) = ''",
    "the id of a text is no SHA-256": "SELECT 1 FROM text WHERE length(text_id) <> 64 OR text_id GLOB '*[^0-9a-f]*'",
    "two vectors stand in the same place of their file": """
        SELECT 1 FROM vector GROUP BY model, row HAVING count(*) > 1 OR row < 0""",
    "a model of vectors has no usable dimensions": f"""
        SELECT 1 FROM vector_model WHERE dimensions NOT BETWEEN 1 AND {MOST_DIMENSIONS}""",
    "a vector is of a model that is not listed": """
        SELECT 1 FROM vector WHERE model NOT IN (SELECT model FROM vector_model)""",
    "the progress of a job is negative": "SELECT 1 FROM job WHERE done < 0 OR total < 0",
}
"""What a query must not find, in words."""


class _EncoderScore(BaseModel):
    model_config = ConfigDict(extra="forbid")

    encoder: StrictStr
    right: Share
    per_second: Annotated[Number, Field(ge=0)] = 0.0


class _LabelDrift(BaseModel):
    model_config = ConfigDict(extra="forbid")

    label: StrictInt
    texts: tuple[StrictInt, StrictInt]
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


def _is_encoder(line: str) -> bool:
    try:
        return line == "" or bool(parse_spec(line).name)
    except EmbeddingError:
        return False


def _holds(kind: Any) -> Callable[[str], bool]:  # noqa: ANN401  any type that pydantic validates
    return lambda value: value == "" or _is_valid(TypeAdapter(kind), value)


REMEMBERED: dict[str, Callable[[str], bool]] = {
    "audit target": lambda value: 0.0 < float(value) < 1.0,
    "most tokens of the project": lambda value: value == "" or value.isdecimal(),
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


def content_faults(project: Project) -> Iterator[str]:
    """Yield what is wrong with the content of a database, each in a few words; it reads every row.

    The schema must have been checked before (:func:`red_core.store.health.database_faults`).
    """
    with connection(project) as db:
        columns = _columns(db)
        yield from _numbers(db, columns)
        yield from _times(db, columns)
        yield from _json(db)  # before the rules, which read JSON with SQLite
        for rule, query in RULES.items():
            if db.execute(f"SELECT EXISTS ({query})").fetchone()[0]:
                yield rule
        for key, value in db.execute("SELECT key, value FROM project"):
            if not _is_remembered(str(key), str(value)):
                yield f"project.{key} has no usable value"


def _columns(db: Database) -> list[tuple[str, str, str]]:
    """Return (table, column, type) of every stored column."""
    query = """
        SELECT t.name, c.name, c.type FROM sqlite_schema t JOIN pragma_table_info(t.name) c
        WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY t.name, c.cid"""
    return [(str(table), str(column), str(kind)) for table, column, kind in db.execute(query)]


def _numbers(db: Database, columns: list[tuple[str, str, str]]) -> Iterator[str]:
    for table, column, kind in columns:
        if kind == "REAL" and _finds(db, table, f"abs({column}) > {LARGEST!r}"):
            yield f"{table}.{column} has a number that is not finite"
    for table, names in SHARES.items():
        for column in names:
            if _finds(db, table, f"{column} NOT BETWEEN 0 AND 1.001"):
                yield f"{table}.{column} has a number that is not from 0 to 1"


def _finds(db: Database, table: str, condition: str) -> bool:
    return bool(db.execute(f"SELECT EXISTS (SELECT 1 FROM {table} WHERE {condition})").fetchone()[0])


def _times(db: Database, columns: list[tuple[str, str, str]]) -> Iterator[str]:
    for table, column, _ in columns:
        if column == "at" and not all(_is_time(at) for (at,) in db.execute(f"SELECT at FROM {table}")):
            yield f"{table}.at has a time that cannot be read"


def _is_time(at: str) -> bool:
    try:
        return datetime.fromisoformat(at).tzinfo is not None
    except ValueError:
        return False


def _json(db: Database) -> Iterator[str]:
    for (table, column), model in JSON.items():
        adapter = TypeAdapter(model)
        values = db.execute(f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL")
        if not all(_is_valid(adapter, value) for (value,) in values):
            yield f"{table}.{column} does not hold what this program stores there"
    for kind, detail in db.execute("SELECT kind, detail FROM label_edit"):
        if not _is_valid(TypeAdapter(EDITS.get(kind, _Edit)), detail):
            yield "label_edit.detail does not hold what this program stores there"
            return


def _is_valid(adapter: TypeAdapter[Any], value: str) -> bool:
    try:
        adapter.validate_python(json.loads(value, parse_float=_finite, parse_constant=_finite))
    except (ValueError, ValidationError, RecursionError):
        return False
    return True


def _finite(number: str) -> float:
    if not math.isfinite(value := float(number)):
        raise ValueError(f"{number} is not finite")
    return value


def _is_remembered(key: str, value: str) -> bool:
    try:
        return key not in REMEMBERED or REMEMBERED[key](value)
    except ValueError:
        return False
