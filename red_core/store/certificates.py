"""The samples of the blind audit: their draws, the checks of rounds, and the certificates. Rows are only added."""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass
from itertools import takewhile

import numpy as np

from red_core.records import Floats, Ints, Project
from red_core.steps.certificate import Draws, Frame, Known
from red_core.store.database import connection, now, transaction

ROUND = "(SELECT max(id) FROM round WHERE metrics <> '{}')"
# All texts of a sample with the confidence in the machine's label; decided ones too.
_IN_SAMPLE = f"""
    SELECT p.text, p.belief FROM prediction p JOIN audit_sample s ON s.id = :sample
    WHERE p.round = {ROUND} AND p.text <= s.last_text AND p.text NOT IN (SELECT text FROM own_label)"""


@dataclass(frozen=True)
class RoundCheck:
    """The check of one round: how often it may be wrong, and its frames, which stay as they were at its first answer.

    Attributes
    ----------
    sample, round : int
    last_decision : int
        Texts decided until then are not part of the frames, unless they were drawn before.
    error : float in (0, 0.05]
    frames : tuple of Frame
        All texts first.
    """

    sample: int
    round: int
    last_decision: int
    error: float
    frames: tuple[Frame, ...]


@dataclass(frozen=True)
class Certificate:
    """A statement that at least ``lower``, and so at least ``target``, of these machine labels are right.

    Attributes
    ----------
    sample, round : int
    threshold : float in [0, 1]
        It is about the texts with at least this confidence; 0 for all texts.
    texts, of : int
        How many these are, and how many all are.
    audits, right : int
        Audited texts among them, and how many were right.
    lower, target : float in [0, 1]
    error : float in (0, 0.05]
    who, at : str
        Who gave the last answer, and when (ISO 8601 in UTC).
    """

    sample: int
    round: int
    threshold: float
    texts: int
    of: int
    audits: int
    right: int
    lower: float
    target: float
    error: float
    who: str
    at: str


def current_sample(project: Project) -> int | None:
    """Return the number of the newest sample; None before the first."""
    with connection(project) as db:
        (number,) = db.execute("SELECT max(id) FROM audit_sample").fetchone()
    return None if number is None else int(number)


def begin_sample(project: Project, who: str) -> int:
    """Begin a sample of the texts that are stored and not decided now, and return its number."""
    query = """
        INSERT INTO audit_sample (last_text, last_decision, who, at) SELECT
        (SELECT coalesce(max(id), 0) FROM text), (SELECT coalesce(max(id), 0) FROM decision), ?, ?"""
    with transaction(project) as db:
        return int(db.execute(query, [who, now()]).lastrowid or 0)


def left_to_draw(project: Project, sample: int) -> tuple[Ints, Floats]:
    """Return the texts of a sample that can be drawn, ascending, and their confidences; both of shape (n,)."""
    query = f"""
        {_IN_SAMPLE} AND p.text NOT IN (SELECT text FROM decided) AND p.text NOT IN (SELECT text FROM audit)
        ORDER BY p.text"""
    return _columns(project, query, {"sample": sample})


def confidences(project: Project, sample: int | None) -> Floats:
    """Return the confidences in the machine's labels of a sample's texts, shape (n,): those drawn or not decided.

    Without a sample, of all texts that one would cover if it began now.
    """
    if sample is None:
        undecided = f"""
            SELECT p.text, p.belief FROM prediction p WHERE p.round = {ROUND}
            AND p.text NOT IN (SELECT text FROM own_label) AND p.text NOT IN (SELECT text FROM decided)"""
        return _columns(project, undecided, {})[1]
    query = f"""
        {_IN_SAMPLE} AND (p.text NOT IN (SELECT text FROM decided) OR p.text IN (
            SELECT a.text FROM audit_draw w JOIN audit a ON a.id = w.audit LEFT JOIN decided d ON d.text = a.text
            WHERE w.sample = :sample AND (d.id IS NULL OR d.id > s.last_decision)))"""
    return _columns(project, query, {"sample": sample})[1]


def not_covered(project: Project, sample: int) -> int:
    """Return how many machine labels the sample does not cover, because their texts were imported after it began."""
    query = f"""
        SELECT count(*) FROM prediction p JOIN audit_sample s ON s.id = :sample
        WHERE p.round = {ROUND} AND p.text > s.last_text
        AND p.text NOT IN (SELECT text FROM decided) AND p.text NOT IN (SELECT text FROM own_label)"""
    with connection(project) as db:
        return int(db.execute(query, {"sample": sample}).fetchone()[0])


def answered_draws(project: Project, check: RoundCheck) -> Draws:
    """Return the draws of a sample until the first one without an answer, as the newest round sees them.

    A text that was decided before its audit was answered does not count as drawn; its truth is known. So is that of
    the extra audits of a label, and of the audits of earlier samples: these texts cannot be drawn. As long as nobody
    has answered, such a text counts as wrong, so that nothing is proven by it.
    """
    drawn = f"""
        SELECT p.text, p.belief, w.chance, a.at, u.kind IS NULL, coalesce(u.label = p.label, 0)
        FROM audit_draw w JOIN audit a ON a.id = w.audit LEFT JOIN audited u ON u.id = a.id
        LEFT JOIN decided d ON d.text = a.text {_machine_of("a.text")} AND w.sample = :sample
        AND (d.id IS NULL OR d.id > s.last_decision AND d.at > u.at) ORDER BY a.id"""
    elsewhere = "a.id NOT IN (SELECT audit FROM audit_draw WHERE sample = :sample)"
    known = f"""
        SELECT p.text, p.belief, d.id,
            coalesce((SELECT min(a.at, d.at) FROM audit a WHERE a.text = d.text AND {elsewhere}), d.at),
            d.label = p.label
        FROM decided d {_machine_of("d.text")} AND d.id > s.last_decision
        UNION ALL SELECT p.text, p.belief, NULL, a.at, coalesce(u.label = p.label, 0)
        FROM audit a LEFT JOIN audited u ON u.id = a.id {_machine_of("a.text")} AND {elsewhere}
        AND NOT EXISTS (SELECT 1 FROM decided d WHERE d.text = a.text)"""
    with connection(project) as db:
        rows = list(takewhile(lambda row: not row[4], db.execute(drawn, {"sample": check.sample})))
        since = db.execute(known, {"sample": check.sample}).fetchall()
    texts = {row[0] for row in rows}
    others = [row for row in since if row[0] not in texts]
    dealt = np.array([row[3] for row in rows], dtype=object)
    all_texts = check.frames[0].texts
    return Draws(
        right=np.array([row[5] for row in rows], dtype=np.bool_),
        confidence=np.clip(np.array([row[1] for row in rows], dtype=np.float64), 0.0, 1.0),
        chance=np.array([row[2] or 1.0 / max(all_texts - k, 1) for k, row in enumerate(rows)], dtype=np.float64),
        known=Known(
            right=np.array([row[4] for row in others], dtype=np.bool_),
            confidence=np.clip(np.array([row[1] for row in others], dtype=np.float64), 0.0, 1.0),
            place=np.array([int(np.sum(dealt < row[3])) for row in others], dtype=np.int64),
            in_frame=np.array([row[2] is None or row[2] > check.last_decision for row in others], dtype=np.bool_),
        ),
    )


def _machine_of(text: str) -> str:
    """Return the end of a query of few texts that adds the machine's label and keeps the texts of a sample.

    CROSS JOIN lets the few texts come first, so that the labels of all others are not read.
    """
    return f"""
        CROSS JOIN prediction p ON p.round = {ROUND} AND p.text = {text} JOIN audit_sample s ON s.id = :sample
        WHERE p.text <= s.last_text AND p.text NOT IN (SELECT text FROM own_label)"""


def _columns(project: Project, query: str, values: dict[str, int]) -> tuple[Ints, Floats]:
    with connection(project) as db:
        rows = db.execute(query, values).fetchall()
    return (
        np.array([text for text, _ in rows], dtype=np.int64),
        np.clip(np.array([belief for _, belief in rows], dtype=np.float64), 0.0, 1.0),
    )


def checks(project: Project) -> list[RoundCheck]:
    """Return the checks of all samples and rounds, oldest first."""
    query = "SELECT sample, round, last_decision, error, frames FROM audit_check ORDER BY id"
    with connection(project) as db:
        rows = db.execute(query).fetchall()
    return [
        RoundCheck(sample, number, decision, error, tuple(Frame(*frame) for frame in json.loads(stored)))
        for sample, number, decision, error, stored in rows
    ]


def add_check(project: Project, check: RoundCheck) -> None:
    """Store the check of a round; if there is one already, it stays."""
    query = """
        INSERT INTO audit_check (sample, round, last_decision, error, frames, at) VALUES (?, ?, ?, ?, ?, ?)
        ON CONFLICT (sample, round) DO NOTHING"""
    frames = json.dumps([astuple(frame) for frame in check.frames])
    with transaction(project) as db:
        db.execute(query, [check.sample, check.round, check.last_decision, check.error, frames, now()])


def certificates(project: Project) -> list[Certificate]:
    """Return all certificates, oldest first."""
    query = """
        SELECT sample, round, threshold, texts, "of", audits, hits, lower, target, error, who, at
        FROM certificate ORDER BY id"""
    with connection(project) as db:
        return [Certificate(*row) for row in db.execute(query)]


def add_certificate(project: Project, given: Certificate) -> None:
    """Store a certificate; the first one of this sample, round, threshold and target is kept."""
    query = """
        INSERT INTO certificate (sample, round, threshold, texts, "of", audits, hits, lower, target, error, who, at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (sample, round, threshold, target) DO NOTHING"""
    with transaction(project) as db:
        db.execute(query, list(astuple(given)))
