"""What the columns of a project may hold, beyond what SQLite checks: for a database from a backup.

Whatever some reader takes for granted is checked here: kinds and ranges of every column, JSON
(:mod:`red_core.store.stored_json`), and how rows belong together.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from pydantic import TypeAdapter
from sqlite_utils import Database

from red_core.records import LONGEST_SECONDS, NONE_OF_THESE, Project
from red_core.store.database import connection
from red_core.store.labels import name_key
from red_core.store.stored_json import ANY_EDIT, BEST, EDITS, JSON, LARGEST, LARGEST_INTEGER, is_remembered, read
from red_core.text import is_time

MOST_DIMENSIONS = 65_536
FARTHEST = 1e6
"""Most units of the label map from its origin."""
RANGES: dict[tuple[str, str], tuple[float, float]] = {
    ("label", "retired"): (0, 1), ("job", "cancel_asked"): (0, 1), ("judge_batch", "ended"): (0, 1),
    ("flag", "raised"): (0, 1), ("batch_member", "sampled"): (0, 1), ("verdict", "cut"): (0, 1),
    ("comparison", "cut"): (0, 1), ("feed_back", "accept_evidence_check"): (0, 1),
    ("prediction", "label"): (NONE_OF_THESE, LARGEST_INTEGER),
    ("prediction", "runner_up"): (NONE_OF_THESE, LARGEST_INTEGER),
    ("prediction_before", "label"): (NONE_OF_THESE, LARGEST_INTEGER),
    ("prediction_before", "runner_up"): (NONE_OF_THESE, LARGEST_INTEGER),
    ("label_place", "x"): (-FARTHEST, FARTHEST), ("label_place", "y"): (-FARTHEST, FARTHEST),
    ("decision", "seconds"): (0, LONGEST_SECONDS), ("audit_answer", "seconds"): (0, LONGEST_SECONDS),
    ("attempt", "price_in"): (0, LARGEST), ("attempt", "price_out"): (0, LARGEST),
    ("attempt", "price_cached"): (0, LARGEST), ("job", "process_started"): (0, 2**53),
}  # fmt: skip
"""The ranges of columns with numbers, where a column has not the one of its kind: whole numbers are never negative, ids
begin at 1, and no number is larger than LARGEST. The start of a process is a number of its system."""
SHARES = {
    "prediction": ("belief", "runner_up_belief", "none_belief", "prior"),
    "prediction_before": ("belief", "runner_up_belief", "none_belief", "prior"),
    "proposal": ("belief", "runner_up_belief"), "verdict": ("p_valid",), "decision": ("belief",),
    "self_test": ("p_valid",),
    "comparison": ("belief", "rival_belief", "chance"),
    "feed_back_item": ("weight",), "training_row": ("weight",), "audit_look": ("target", "lower"),
    "audit_draw": ("chance",), "audit_chance": ("least", "focus", "least_in_focus"), "audit_check": ("error",),
    "certificate": ("threshold", "lower", "target", "error"),
}  # fmt: skip
"""The columns with numbers from 0 to 1."""
RULES = {
    "a text of the evidence does not exist": """
        SELECT 1 FROM (SELECT evidence FROM proposal UNION ALL SELECT evidence FROM comparison) asked,
        json_each(asked.evidence) side, json_each(side.value) sample
        WHERE json_extract(sample.value, '$[0]') NOT IN (SELECT id FROM text)""",
    "the evidence of a suggested label is not complete": """
        SELECT 1 FROM (SELECT evidence FROM proposal UNION ALL SELECT evidence FROM comparison)
        WHERE json_type(evidence, '$.label') IS NOT 'array' OR json_type(evidence, '$.runner_up') IS NOT 'array'""",
    "an option of an audit is no label": """
        SELECT 1 FROM audit, json_each(options) option WHERE option.value NOT IN (SELECT id FROM label)""",
    "the chance of a draw is zero": "SELECT 1 FROM audit_draw WHERE chance <= 0",
    "the least chance of a draw is zero": "SELECT 1 FROM audit_chance WHERE least <= 0 OR least_in_focus <= 0",
    "the number of a subset is out of its range": """
        SELECT 1 FROM label_place WHERE subset < 0 OR subset >= (SELECT count(*) FROM label)""",
    "a merged label is not merged into the last one": """
        SELECT 1 FROM label JOIN label target ON target.id = label.becomes WHERE target.becomes IS NOT NULL""",
    "a label has no name": "SELECT 1 FROM label WHERE trim(name) = ''",
    "two labels or more have to be active": """
        SELECT 1 FROM (SELECT count(*) AS n, sum(now IS id) AS active FROM label) WHERE n > 1 AND active < 2""",
    "a label is merged into itself, or into a retired one": """
        SELECT 1 FROM label JOIN label target ON target.id = label.becomes
        WHERE target.id = label.id OR label.retired = 0 AND target.retired <> 0""",
    "an edit undoes itself or a later one": "SELECT 1 FROM label_edit WHERE undoes >= version",
    "an edit of the labels names one that does not exist": """
        SELECT 1 FROM label_edit e, json_each(e.detail, '$.labels') was
        WHERE json_extract(was.value, '$.id') NOT IN (SELECT id FROM label)
        OR json_extract(was.value, '$.becomes') NOT IN (SELECT id FROM label)
        UNION ALL SELECT 1 FROM label_edit e, json_each(e.detail, '$.created') made
        WHERE made.value NOT IN (SELECT id FROM label)""",
    "a row has no text, but a label or no reason": """
        SELECT 1 FROM source_row WHERE text IS NULL AND (label IS NOT NULL OR left_out IS NULL)""",
    "a decision has a label too many, or none": """
        SELECT 1 FROM decision WHERE (label IS NULL) = (kind IN ('accept', 'relabel', 'reject'))""",
    "a decision undoes what it cannot undo": """
        SELECT 1 FROM decision d LEFT JOIN decision o ON o.id = d.undoes WHERE (d.undoes IS NULL) = (d.kind = 'undo')
        OR o.id >= d.id OR o.kind = 'undo' OR o.text <> d.text""",
    "a text of a batch is not the one of its suggested label": """
        SELECT 1 FROM batch_member m JOIN proposal ON proposal.id = m.proposal WHERE proposal.text <> m.text""",
    "an answer to an audit has a label too many, or none": """
        SELECT 1 FROM audit_answer WHERE (label IS NULL) = (kind = 'label')""",
    "an answer to an audit undoes what it cannot undo": """
        SELECT 1 FROM audit_answer a LEFT JOIN audit_answer o ON o.id = a.undoes
        WHERE (a.undoes IS NULL) = (a.kind = 'undo') OR o.id >= a.id OR o.kind = 'undo' OR o.audit <> a.audit""",
    "an audit has a label too many, or none": """
        SELECT 1 FROM audit WHERE (label IS NULL) = (purpose <> 'certificate')""",
    "the figures of a certificate do not fit each other": """
        SELECT 1 FROM certificate WHERE texts < 1 OR texts > "of" OR hits > audits OR audits > "of" OR lower < target
        UNION ALL SELECT 1 FROM audit_look WHERE hits > audits""",
    "a certificate may not be wrong at all": """
        SELECT 1 FROM audit_check WHERE error <= 0 UNION ALL SELECT 1 FROM certificate WHERE error <= 0""",
    "a round has no figures although it is scored, or some although it is not": """
        SELECT 1 FROM round WHERE state = CASE metrics WHEN '{}' THEN 'to review' ELSE 'open' END
        OR state = 'fed back' AND metrics = '{}'
        OR metrics <> '{}' AND NOT EXISTS (SELECT 1 FROM json_each(metrics))""",
    "a round is open although a later one is there": """
        SELECT 1 FROM round WHERE state IN ('open', 'to review') AND id < (SELECT max(id) FROM round)""",
    "a finished round has no confidences": """
        SELECT 1 FROM round WHERE metrics <> '{}' AND NOT EXISTS (SELECT 1 FROM prediction p WHERE p.round = round.id)
        AND NOT EXISTS (SELECT 1 FROM prediction_before b WHERE b.round = round.id)""",
    "a confidence before an edit is of no round or of no text": """
        SELECT 1 FROM prediction_before WHERE round NOT IN (SELECT id FROM round)
        OR text NOT IN (SELECT id FROM text)""",
    "a training text has no weight": """
        SELECT 1 FROM training_row WHERE weight <= 0 UNION ALL SELECT 1 FROM feed_back_item WHERE weight <= 0""",
    "an answer of a self-test is unknown": """
        SELECT 1 FROM self_test WHERE outcome NOT IN ('valid', 'invalid', 'unsure', 'refused', 'unparseable')""",
    "a question of a batch does not exist": """
        SELECT 1 FROM judge_batch, json_each(requests) asked
        WHERE json_extract(asked.value, '$[0]') NOT IN (SELECT id FROM attempt)
        OR json_extract(asked.value, '$[2]') NOT IN (SELECT id FROM text)
        OR json_extract(asked.value, '$[3]') NOT IN (SELECT id FROM label)
        OR json_extract(asked.value, '$[7]') NOT IN (SELECT id FROM label)""",
    "a comparison of imports is missing": """
        SELECT 1 FROM project WHERE key = 'drift of' AND value <> ''
        AND NOT EXISTS (SELECT 1 FROM project WHERE key = 'drift')""",
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


class _Column(NamedTuple):
    """A stored column: its table, its name, its SQLite type, and whether it alone is the table's number of rows."""

    table: str
    name: str
    kind: str
    is_id: bool

    @property
    def quoted(self) -> str:
        """The name as SQL needs it; one is called "of"."""
        return f'"{self.name}"'

    @property
    def range(self) -> tuple[float, float]:
        """The lowest and the highest number that it may hold."""
        if (self.table, self.name) in RANGES:
            return RANGES[self.table, self.name]
        if self.name in SHARES.get(self.table, ()):
            return 0, 1.001
        return (-LARGEST, LARGEST) if self.kind == "REAL" else (int(self.is_id), LARGEST_INTEGER)


def content_faults(project: Project) -> Iterator[str]:
    """Yield what is wrong with the content of a database, each in a few words; it reads every row.

    The schema must have been checked before (:func:`red_core.store.health.database_faults`).
    """
    with connection(project) as db:
        columns = _columns(db)
        yield from _texts(db, columns)
        yield from _numbers(db, columns)
        yield from _times(db, columns)
        yield from _json(db)  # before the rules, which read JSON with SQLite
        yield from _names(db)
        yield from _confidences(db)
        for rule, query in RULES.items():
            if db.execute(f"SELECT EXISTS ({query})").fetchone()[0]:
                yield rule
        for key, value in db.execute("SELECT key, value FROM project"):
            if not is_remembered(str(key), str(value)):
                yield f"project.{key} has no usable value"


def _columns(db: Database) -> dict[str, list[_Column]]:
    """Return table -> its stored columns."""
    query = """
        SELECT t.name, c.name, c.type, c.pk AND c.type = 'INTEGER' AND
            (SELECT count(*) FROM pragma_table_info(t.name) k WHERE k.pk) = 1
        FROM sqlite_schema t JOIN pragma_table_info(t.name) c
        WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY t.name, c.cid"""
    columns: dict[str, list[_Column]] = {}
    for table, name, kind, is_id in db.execute(query):
        columns.setdefault(str(table), []).append(_Column(str(table), str(name), str(kind), bool(is_id)))
    return columns


def _texts(db: Database, columns: dict[str, list[_Column]]) -> Iterator[str]:
    for table, each in columns.items():
        names = ", ".join(column.quoted for column in each if column.kind == "TEXT")
        try:
            deque(db.execute(f"SELECT {names or 1} FROM {table}"), maxlen=0)  # Python decodes what it reads
        except sqlite3.OperationalError:
            yield f"{table} has a text that is not UTF-8"


def _numbers(db: Database, columns: dict[str, list[_Column]]) -> Iterator[str]:
    for table, each in columns.items():
        numbers = [column for column in each if column.kind in {"INTEGER", "REAL"}]
        wrong = [f"{c.quoted} NOT BETWEEN {c.range[0]!r} AND {c.range[1]!r}" for c in numbers]
        if (
            not numbers
            or not db.execute(f"SELECT EXISTS (SELECT 1 FROM {table} WHERE {' OR '.join(wrong)})").fetchone()[0]
        ):
            continue
        for column, is_wrong in zip(numbers, wrong, strict=True):
            if db.execute(f"SELECT EXISTS (SELECT 1 FROM {table} WHERE {is_wrong})").fetchone()[0]:
                low, high = column.range
                yield f"{table}.{column.name} has a number that is not from {low:,.0f} to {high:,.0f}"


def _finds(db: Database, table: str, condition: str) -> bool:
    return bool(db.execute(f"SELECT EXISTS (SELECT 1 FROM {table} WHERE {condition})").fetchone()[0])


def _times(db: Database, columns: dict[str, list[_Column]]) -> Iterator[str]:
    for table, each in columns.items():
        if any(column.name == "at" for column in each) and not all(
            is_time(at) for (at,) in db.execute(f"SELECT DISTINCT at FROM {table}")
        ):
            yield f"{table}.at has a time that cannot be read"


def _json(db: Database) -> Iterator[str]:
    for (table, column), model in JSON.items():
        kind = TypeAdapter(model)
        values = db.execute(f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL")
        if any(read(kind, value) is None for (value,) in values):
            yield f"{table}.{column} does not hold what this program stores there"
    kinds = {kind: TypeAdapter(model) for kind, model in EDITS.items()}
    edits = db.execute("SELECT kind, detail FROM label_edit")
    if any(read(kinds.get(kind, ANY_EDIT), detail) is None for kind, detail in edits):
        yield "label_edit.detail does not hold what this program stores there"


def _names(db: Database) -> Iterator[str]:
    if any(name_key(name) != key for name, key in db.execute("SELECT name, name_key FROM label WHERE now = id")):
        yield "a label cannot be found by its name"


def _confidences(db: Database) -> Iterator[str]:
    """Check the outcomes of all predictions: those of the newest round are about labels that are still active."""
    known = {label for (label,) in db.execute("SELECT id FROM label")} | {NONE_OF_THESE}
    active = {label for (label,) in db.execute("SELECT id FROM label WHERE now = id")} | {NONE_OF_THESE}
    newest = "round = (SELECT max(round) FROM prediction)"
    for table, condition, labels, which in (
        ("prediction", newest, active, "is not active"),
        ("prediction", f"NOT {newest}", known, "does not exist"),
        ("prediction_before", "1", known, "does not exist"),
    ):
        for label, runner_up, top in db.execute(f"SELECT label, runner_up, top FROM {table} WHERE {condition}"):
            outcomes = read(BEST, top)
            if outcomes is None:
                yield f"{table}.top does not hold what this program stores there"
                break
            if not labels.issuperset((label, runner_up, *(outcome for outcome, _ in outcomes))):
                yield f"a label of a {table} {which}".replace("prediction_before", "prediction before an edit")
                break
