"""The samples of the blind audit: their draws, the checks of rounds, and the certificates. Rows are only added."""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass
from itertools import takewhile

import numpy as np

from red_core.records import Floats, Ints, Project
from red_core.steps.certificate import EVEN_SHARE, NO_FOCUS, Chances, Draws, Frame, Known
from red_core.store.database import connection, now, transaction

ROUND = "(SELECT max(id) FROM round WHERE metrics <> '{}')"
ONE_BY_ONE = "(SELECT d.* FROM decided d JOIN decision own ON own.id = d.id WHERE own.belief IS NULL)"
"""SQL: decisions by a person about this very text. A list that was decided at once is not evidence for an audit."""
# All texts of a sample with the confidence in the machine's label; decided ones too.
_IN_SAMPLE = f"""
    SELECT p.text, p.belief FROM prediction p JOIN audit_sample s ON s.id = :sample
    WHERE p.round = {ROUND} AND p.text <= s.last_text AND p.text NOT IN (SELECT text FROM own_label)"""
# Texts to which a file gave a label since the sample began: that label if it is one, and when.
_OWN_SINCE = """
    own_since AS MATERIALIZED (
        SELECT r.text, min(l.now) AS label, min(l.now) = max(l.now) AS one, min(f.at) AS at
        FROM source f JOIN audit_sample s ON s.id = :sample AND f.at > s.at
        CROSS JOIN source_row r ON r.source = f.id JOIN label l ON l.id = r.label
        WHERE l.now IS NOT NULL AND r.text <= s.last_text GROUP BY r.text)"""


def _last_label_of(text: str) -> str:
    """Return the end of a query of few texts: the newest label that the machine gave to a text, from any round."""
    return f"""
        CROSS JOIN prediction p ON p.text = {text} AND p.round = (SELECT max(q.round) FROM prediction q
            WHERE q.text = {text} AND q.round IN (SELECT id FROM round WHERE metrics <> '{{}}'))"""


def _edited_since(row: str, *, and_back: bool = False) -> str:
    """Return an SQL condition: since a row's ``at``, an edit changed the machine's labels of its ``round``.

    An undo puts them back as they were, so an edit that was undone in between does not count, unless ``and_back``.
    """
    since = f"e.at >= {row}.at OR coalesce(undo.at >= {row}.at, 0)"
    if not and_back:
        since = f"CASE WHEN e.at < {row}.at THEN coalesce(undo.at >= {row}.at, 0) ELSE undo.at IS NULL END"
    return f"""EXISTS (SELECT 1 FROM label_edit e LEFT JOIN label_edit undo ON undo.undoes = e.version WHERE ({since})
        AND EXISTS (SELECT 1 FROM prediction_before b WHERE b.edit = e.version AND b.round = {row}.round))"""


STANDING = f"SELECT c.id FROM certificate c WHERE NOT {_edited_since('c')}"
"""SQL: the certificates about machine labels that no merge and no retirement has changed since."""


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
    void : bool
        Whether labels were merged or retired since, so that the frames are no longer those of the machine's labels.
    """

    sample: int
    round: int
    last_decision: int
    error: float
    frames: tuple[Frame, ...]
    void: bool = False


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
        {_IN_SAMPLE} AND p.text NOT IN (SELECT text FROM {ONE_BY_ONE}) AND p.text NOT IN (SELECT text FROM audit)
        ORDER BY p.text"""
    return _columns(project, query, {"sample": sample})


def confidences(project: Project, sample: int | None) -> Floats:
    """Return the confidences in the machine's labels of a sample's texts, shape (n,): those drawn or not decided.

    A text whose label came from a file after its audit stays, with the machine's last label: otherwise a file could
    remove an error from the sample. Without a sample, return those of all texts that one would cover if it began now.
    """
    if sample is None:
        undecided = f"""
            SELECT p.text, p.belief FROM prediction p WHERE p.round = {ROUND}
            AND p.text NOT IN (SELECT text FROM own_label) AND p.text NOT IN (SELECT text FROM {ONE_BY_ONE})"""
        return _columns(project, undecided, {})[1]
    query = f"""
        WITH {_OWN_SINCE} {_IN_SAMPLE} AND (p.text NOT IN (SELECT text FROM {ONE_BY_ONE}) OR p.text IN (
            SELECT a.text FROM audit_draw w JOIN audit a ON a.id = w.audit LEFT JOIN {ONE_BY_ONE} d ON d.text = a.text
            WHERE w.sample = :sample AND (d.id IS NULL OR d.id > s.last_decision)))
        UNION ALL SELECT p.text, p.belief FROM own_since o JOIN audited a ON a.text = o.text
            JOIN audit_draw w ON w.audit = a.id {_last_label_of("o.text")} WHERE w.sample = :sample"""
    return _columns(project, query, {"sample": sample})[1]


def not_covered(project: Project, sample: int) -> int:
    """Return how many machine labels the sample does not cover, because their texts were imported after it began."""
    query = f"""
        SELECT count(*) FROM prediction p JOIN audit_sample s ON s.id = :sample
        WHERE p.round = {ROUND} AND p.text > s.last_text
        AND p.text NOT IN (SELECT text FROM {ONE_BY_ONE}) AND p.text NOT IN (SELECT text FROM own_label)"""
    with connection(project) as db:
        return int(db.execute(query, {"sample": sample}).fetchone()[0])


def answered_draws(project: Project, check: RoundCheck) -> Draws:
    """Return the draws of a sample until the first one without an answer, as the newest round sees them.

    A text that was decided before its audit was answered, or got its label from a file, does not count as drawn; its
    truth is known. So is that of the extra audits of a label, and of the audits of earlier samples: these texts cannot
    be drawn. As long as nobody has answered, such a text counts as wrong, so that nothing is proven by it; so does one
    to which files gave two labels.
    """
    drawn = f"""
        WITH {_OWN_SINCE}, drawn AS (
            SELECT a.id, a.text, a.at, a.round, w.chance, u.kind, u.label, u.at AS answered, d.id AS decision,
                d.at AS decided, o.text IS NOT NULL AS own
            FROM audit_draw w JOIN audit a ON a.id = w.audit LEFT JOIN audited u ON u.id = a.id
            LEFT JOIN {ONE_BY_ONE} d ON d.text = a.text LEFT JOIN own_since o ON o.text = a.text
            WHERE w.sample = :sample AND (o.text IS NULL OR u.kind IS NOT NULL))
        SELECT p.text, p.belief, a.chance, a.at, a.kind IS NULL, coalesce(a.label = p.label, 0), least.least,
            CASE WHEN a.round = p.round AND NOT {_edited_since("a", and_back=True)} THEN least.focus END,
            least.least_in_focus
        FROM drawn a LEFT JOIN audit_chance least ON least.audit = a.id {_last_label_of("a.text")}
        JOIN audit_sample s ON s.id = :sample
        WHERE p.text <= s.last_text AND (a.own OR p.round = {ROUND} AND p.text NOT IN (SELECT text FROM own_label))
        AND (a.decision IS NULL OR a.decision > s.last_decision AND a.decided > a.answered) ORDER BY a.id"""
    elsewhere = "a.id NOT IN (SELECT audit FROM audit_draw WHERE sample = :sample)"
    known = f"""
        WITH {_OWN_SINCE}
        SELECT p.text, p.belief, d.id > :last_decision,
            coalesce((SELECT min(a.at, d.at) FROM audit a WHERE a.text = d.text AND {elsewhere}), d.at),
            d.label = p.label
        FROM {ONE_BY_ONE} d {_machine_of("d.text")} AND d.id > s.last_decision
        UNION ALL SELECT p.text, p.belief, 1, a.at, coalesce(u.label = p.label, 0)
        FROM audit a LEFT JOIN audited u ON u.id = a.id {_machine_of("a.text")} AND {elsewhere}
        AND NOT EXISTS (SELECT 1 FROM {ONE_BY_ONE} d WHERE d.text = a.text)
        UNION ALL SELECT p.text, p.belief,
            EXISTS (SELECT 1 FROM audit_check c WHERE c.sample = :sample AND c.round = p.round AND c.at <= o.at),
            coalesce((SELECT min(d.at, o.at) FROM {ONE_BY_ONE} d WHERE d.text = o.text), o.at),
            o.one AND o.label = p.label
        FROM own_since o {_last_label_of("o.text")}"""
    with connection(project) as db:
        rows = list(takewhile(lambda row: not row[4], db.execute(drawn, {"sample": check.sample})))
        since = db.execute(known, {"sample": check.sample, "last_decision": check.last_decision}).fetchall()
    texts = {row[0] for row in rows}
    others = [row for row in since if row[0] not in texts]
    dealt = np.array([row[3] for row in rows], dtype=object)
    all_texts = check.frames[0].texts
    least = np.array([row[6] or EVEN_SHARE / max(all_texts, 1) for row in rows], dtype=np.float64)
    return Draws(
        right=np.array([row[5] for row in rows], dtype=np.bool_),
        confidence=np.clip(np.array([row[1] for row in rows], dtype=np.float64), 0.0, 1.0),
        chances=Chances(
            drawn=np.array([row[2] or 1.0 / max(all_texts - k, 1) for k, row in enumerate(rows)], dtype=np.float64),
            least=least,
            focus=np.array([NO_FOCUS if row[7] is None else row[7] for row in rows], dtype=np.float64),
            least_in_focus=np.array([row[8] or low for row, low in zip(rows, least.tolist(), strict=True)]),
        ),
        known=Known(
            right=np.array([row[4] for row in others], dtype=np.bool_),
            confidence=np.clip(np.array([row[1] for row in others], dtype=np.float64), 0.0, 1.0),
            place=np.array([int(np.sum(dealt < row[3])) for row in others], dtype=np.int64),
            in_frame=np.array([row[2] for row in others], dtype=np.bool_),
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
    query = f"""
        SELECT sample, round, last_decision, error, frames, {_edited_since("c")} FROM audit_check c ORDER BY id"""
    with connection(project) as db:
        rows = db.execute(query).fetchall()
    return [
        RoundCheck(sample, number, decision, error, tuple(Frame(*frame) for frame in json.loads(stored)), bool(void))
        for sample, number, decision, error, stored, void in rows
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
    """Return the certificates, oldest first; not those about machine labels that a merge or retirement has changed."""
    query = f"""
        SELECT sample, round, threshold, texts, "of", audits, hits, lower, target, error, who, at
        FROM certificate WHERE id IN ({STANDING}) ORDER BY id"""
    with connection(project) as db:
        return [Certificate(*row) for row in db.execute(query)]


def add_certificate(project: Project, given: Certificate) -> None:
    """Store a certificate; the first one of this sample, round, threshold and target is kept."""
    query = """
        INSERT INTO certificate (sample, round, threshold, texts, "of", audits, hits, lower, target, error, who, at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (sample, round, threshold, target) DO NOTHING"""
    with transaction(project) as db:
        db.execute(query, list(astuple(given)))
