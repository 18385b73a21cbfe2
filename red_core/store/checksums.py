"""Checksums that find a flipped bit: of every vector, and over the facts that an export shows.

The facts of a table are sealed by a chain of SHA-256 over its rows, which is extended in the transaction that adds
rows. Labels and the confidences of the newest round are rewritten by edits, so their checksum is computed anew.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sqlite_utils import Database

from red_core.records import Floats, Project
from red_core.store.arrays import vector_file

ADDED = {
    "source": ("id", "id, file, sha256, role, text_column, label_column, notes, who, at, edit"),
    "text": ("id", "id, text_id, content"),
    "source_row": ("source", "source, row, text, label, truth, left_out, extra"),
    "label_edit": ("version", "version, kind, detail, who, at, undoes"),
    "label_meaning": ("id", "id, label, meaning, who, at, edit"),
    "meaning_limit": ("meaning", "meaning, excludes"),
    "guideline_example": ("id", "id, label, text, kind, why, decision, who, at, edit"),
    "label_path": ("id", "id, label, path, who, at, edit"),
    "proposal": ("id", "id, round, text, label, runner_up, belief, runner_up_belief, reason, gain, evidence"),
    "verdict": (
        "id",
        """id, proposal, judge, model, prompt_version, outcome, p_valid, log_likelihood_ratio, raw, at, question_key,
        cut, meaning""",
    ),
    "comparison": (
        "id",
        """id, round, text, label, rival, belief, rival_belief, evidence, judge, model, prompt_version, outcome, chance,
        toward_label, toward_rival, raw, question_key, cut, meaning, rival_meaning, at""",
    ),
    "decision": (
        "id",
        "id, text, kind, label, proposal, undoes, reason, who, at, act, seconds, queue, batch, belief, edit",
    ),
    "audit": ("id", "id, text, purpose, label, round, options, who, at"),
    "audit_answer": ("id", "id, audit, kind, label, undoes, act, seconds, who, at"),
    "flag": ("id", "id, text, raised, comment, who, at, act"),
    "audit_draw": ("audit", "audit, sample, chance"),
    "audit_chance": ("audit", "audit, least, focus, least_in_focus"),
    "audit_again": ("id", "id, audit, who, at"),
    "certificate": ("id", 'id, sample, round, threshold, texts, "of", audits, hits, lower, target, error, who, at'),
    "feed_back": ("id", "id, round, accept_evidence_check, who, at"),
    "feed_back_item": ("feed_back", "feed_back, text, label, weight, source"),
}
"""Tables whose rows are only added: the ascending key by which new rows are found, and the columns of the checksum."""
REWRITTEN = {
    "label": "SELECT id, name, name_key, becomes, retired, merged_since FROM label ORDER BY id",
    "prediction": "SELECT round, text, label, belief, runner_up, runner_up_belief, none_belief, prior, top "
    "FROM prediction WHERE round = (SELECT max(round) FROM prediction) ORDER BY text",
}
"""Tables that edits rewrite: what their checksum is about."""
IN_WORDS = {
    "source": "imported files", "text": "texts", "source_row": "imported rows", "label_edit": "edits of the labels",
    "label_meaning": "meanings", "meaning_limit": "guidelines", "guideline_example": "examples of guidelines",
    "label_path": "groups of labels", "proposal": "suggested labels", "verdict": "verdicts", "decision": "decisions",
    "comparison": "comparisons of two labels",
    "audit": "audited texts", "audit_answer": "answers to audits", "audit_draw": "draws of audits",
    "audit_chance": "chances of audits", "audit_again": "audits asked again",
    "certificate": "certificates", "flag": "flags", "feed_back": "feed-backs",
    "feed_back_item": "fed-back texts", "label": "labels", "prediction": "confidences",
}  # fmt: skip
ROWS_PER_BLOCK = 8_192


def seal(db: Database, *, predictions: bool = False) -> None:
    """Extend the checksums by the rows that this transaction added.

    Parameters
    ----------
    predictions : bool
        Whether the transaction changed the confidences of the newest round.
    """
    known = {facts: (last, sha256) for facts, last, sha256 in db.execute("SELECT facts, last, sha256 FROM checksum")}
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    grown = set()
    for facts in [facts for facts in ADDED if facts in tables]:  # the migration of an older one has not added all yet
        last, digest = known.get(facts, (-1, ""))
        newest, extended = _chained(_added(db, facts, after=last), last, digest)
        if newest != last:
            grown.add(facts)
            _store(db, facts, newest, extended)
    if "label_edit" in grown:  # every change of a label is an edit
        _store(db, "label", 0, _whole(db, "label"))
    if predictions:
        _store(db, "prediction", 0, _whole(db, "prediction"))


def changed_facts(db: Database) -> list[str]:
    """Return the kinds of facts, in words, whose rows are not those that were stored; empty if all are."""
    known = {facts: (last, sha256) for facts, last, sha256 in db.execute("SELECT facts, last, sha256 FROM checksum")}
    changed = [facts for facts in ADDED if _chained(_added(db, facts), -1, "") != known.get(facts, (-1, ""))]
    changed += [facts for facts in REWRITTEN if _whole(db, facts) != known.get(facts, (0, ""))[1]]
    return [IN_WORDS[facts] for facts in changed]


def _added(db: Database, facts: str, *, after: int = -1) -> Iterable[tuple[Any, ...]]:
    key, columns = ADDED[facts]
    return db.execute(f"SELECT {columns} FROM {facts} WHERE {key} > ? ORDER BY 1, 2", [after])


def _chained(rows: Iterable[tuple[Any, ...]], last: int, digest: str) -> tuple[int, str]:
    """Return the last key and the digest of a chain after these rows; the key is the first column."""
    link = bytes.fromhex(digest)
    for row in rows:
        link, last = hashlib.sha256(link + repr(row).encode()).digest(), row[0]
    return last, link.hex()


def _whole(db: Database, facts: str) -> str:
    return _chained(db.execute(REWRITTEN[facts]), 0, "")[1]


def _store(db: Database, facts: str, last: int, digest: str) -> None:
    db.execute("INSERT OR REPLACE INTO checksum (facts, last, sha256) VALUES (?, ?, ?)", [facts, last, digest])


def crc_of(vectors: Floats) -> list[int]:
    """Return the CRC-32 of each vector's bytes, as little-endian float32; ``vectors`` has the shape (n, d)."""
    return [zlib.crc32(vector) for vector in np.ascontiguousarray(vectors, dtype="<f4")]


def seal_vectors(db: Database) -> None:
    """Store the checksums of vectors that an earlier version stored without one.

    Where the file is missing or too short, they stay NULL. A database in memory has no vectors.
    """
    (file,) = db.execute("SELECT file FROM pragma_database_list WHERE name = 'main'").fetchone()
    folder = Path(file).parent
    for model, dimensions in db.execute("SELECT model, dimensions FROM vector_model WHERE dimensions > 0").fetchall():
        path = vector_file(Project(folder.parent, folder.name), str(model))
        text_of = dict(db.execute("SELECT row, text FROM vector WHERE model = ?", [model]))
        for first, block in vector_blocks(path, int(dimensions)):
            db.conn.executemany(
                "UPDATE vector SET crc = ? WHERE model = ? AND text = ?",
                ((crc, model, text_of.get(row)) for row, crc in enumerate(crc_of(block), first)),
            )


def vector_blocks(path: Path, dimensions: int) -> Iterator[tuple[int, Floats]]:
    """Yield the number of the first vector and a block of shape (n, dimensions), until the end of the file."""
    first = 0
    if not path.is_file() or dimensions < 1:
        return
    with path.open("rb") as file:
        while True:
            numbers = np.fromfile(file, "<f4", ROWS_PER_BLOCK * dimensions)
            block = numbers[: len(numbers) // dimensions * dimensions].reshape(-1, dimensions)
            if not len(block):
                return
            yield first, block
            first += len(block)
