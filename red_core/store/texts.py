"""Sources, their rows, and the texts. Equal texts are stored once; no source row is dropped."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sqlite_utils import Database

from red_core.records import Ints, Project, Role
from red_core.store.database import connection, now, transaction
from red_core.store.labels import ids_by_name, name_key


@dataclass(frozen=True)
class SourceFile:
    """A source of rows: the file name, the SHA-256 of its bytes, and the columns used."""

    file: str
    sha256: str
    role: Role
    text_column: str
    label_column: str | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class SourceRow:
    """One row to store.

    ``left_out`` is the reason why a row cannot be used; a seed has ``label``; ``truth`` is the hidden label of a trial,
    which only scoring reads. ``rejected`` is a label that the file rules out for the text.
    """

    row: int
    text_id: str | None
    content: str
    label: str | None = None
    truth: str | None = None
    left_out: str | None = None
    extra: Mapping[str, str] | None = None
    rejected: str | None = None


@dataclass(frozen=True, slots=True)
class KnownText:
    """A text that the project has: the names of its labels from files, and whether a person decided about it."""

    labels: tuple[str, ...]
    decided: bool


LEFT_OUT = """(r.left_out IS NOT NULL
    OR r.text IN (SELECT text FROM contradiction) AND r.text NOT IN (SELECT text FROM decided)
    OR r.source IN (SELECT id FROM source WHERE edit IS NOT NULL)
        AND r.text NOT IN (SELECT text FROM own_label) AND r.text NOT IN (SELECT text FROM decided)
        AND NOT EXISTS (SELECT 1 FROM source_row o JOIN source q ON q.id = o.source
            WHERE o.text = r.text AND q.edit IS NULL))"""
"""SQL that is true for a row ``r`` of ``source_row`` that is not used: it has a reason; or its text has two labels and
nobody chose one; or its text was typed for a label that is gone."""


def shown_file(name: str) -> str:
    """Return the name of a file as screens and exports show it: without the folders of this machine."""
    return name if "://" in name else name.replace("\\", "/").rstrip("/").rpartition("/")[2] or name


def find_source(project: Project, sha256: str, role: Role) -> int | None:
    """Return the id of the source with this hash and role, None if it was never imported."""
    with connection(project) as db:
        row = db.execute("SELECT id FROM source WHERE sha256 = ? AND role = ?", [sha256, role]).fetchone()
    return None if row is None else int(row[0])


def add_sources(
    project: Project, files: Sequence[tuple[SourceFile, Sequence[SourceRow]]], who: str
) -> list[tuple[int, int]]:
    """Store files with all their rows in one transaction, and return what they added.

    Returns
    -------
    list of (source id, number of new texts)
    """
    with transaction(project) as db:
        return [add_source(db, source, rows, who) for source, rows in files]


def add_source(
    db: Database, source: SourceFile, rows: Sequence[SourceRow], who: str, edit: int | None = None
) -> tuple[int, int]:
    """Store one file, or texts typed in a label set edit, in an open transaction; return (source id, new texts)."""
    cursor = db.execute(
        "INSERT INTO source (file, sha256, role, text_column, label_column, notes, who, at, edit) "
        "VALUES (?,?,?,?,?,?,?,?,?)",
        [source.file, source.sha256, source.role, source.text_column, source.label_column,
         json.dumps(source.notes), who, now(), edit],
    )  # fmt: skip
    source_id = int(cursor.lastrowid or 0)
    labels = _label_ids(db, (r.label for r in rows if r.label is not None), who)
    new_texts = db.conn.executemany(
        "INSERT OR IGNORE INTO text (text_id, content) VALUES (?, ?)",
        ((r.text_id, r.content) for r in rows if r.text_id is not None),
    ).rowcount
    db.conn.executemany(
        "INSERT INTO source_row (source, row, text, label, truth, left_out, extra) "
        "VALUES (?, ?, (SELECT id FROM text WHERE text_id = ?), ?, ?, ?, ?)",
        (
            (source_id, r.row, r.text_id, labels[name_key(r.label)] if r.label is not None else None, r.truth,
             r.left_out, json.dumps(r.extra, ensure_ascii=False) if r.extra else None)
            for r in rows
        ),
    )  # fmt: skip
    _rule_out(db, source, source_id, rows, who)
    return source_id, max(new_texts, 0)


def _rule_out(db: Database, source: SourceFile, source_id: int, rows: Sequence[SourceRow], who: str) -> None:
    """Store the labels that a file rejects as decisions; a label that the project does not have cannot be ruled out."""
    known = ids_by_name(db)
    pairs = {
        (row.text_id, label)
        for row in rows
        if row.rejected is not None and (label := known.get(name_key(row.rejected))) is not None
    }
    db.conn.executemany(
        "INSERT INTO decision (text, kind, label, reason, who, at, act) "
        "SELECT id, 'reject', ?, ?, ?, ?, ? FROM text WHERE text_id = ?",
        (
            (label, f"rejected in {source.file}", who, now(), f"import:{source_id}:{identity}:{label}", identity)
            for identity, label in sorted(pairs, key=str)
        ),
    )


def _label_ids(db: Database, names: Iterable[str], who: str) -> dict[str, int]:
    """Add new labels as one edit of the label set; return name_key -> label id for all names.

    A former name still means its label, so that later files of the same kind can be imported.
    """
    known = ids_by_name(db)
    fresh: dict[str, str] = {}
    for name in names:
        if name_key(name) not in known:
            fresh.setdefault(name_key(name), name)
    if fresh:
        db.conn.executemany("INSERT INTO label (name, name_key) VALUES (?, ?)", ((n, k) for k, n in fresh.items()))
        db.execute(
            "INSERT INTO label_edit (kind, detail, who, at) VALUES ('labels added', ?, ?, ?)",
            [json.dumps(list(fresh.values()), ensure_ascii=False), who, now()],
        )
    return ids_by_name(db)


def seeds(project: Project) -> tuple[Ints, Ints]:
    """Return the seeds: text row ids and label ids, both of shape (n,), ordered by text."""
    with connection(project) as db:
        rows = db.execute("SELECT text, label FROM seed ORDER BY text").fetchall()
    pairs = np.asarray(rows, dtype=np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def labelled_texts(project: Project) -> list[tuple[str, str, str]]:
    """Return (text_id, label key, label name) of every labelled text; a text with two labels appears twice."""
    query = """
        SELECT DISTINCT text_id, name_key, name FROM own_label
        JOIN text ON text.id = own_label.text JOIN label ON label.id = own_label.label"""
    with connection(project) as db:
        return [(str(identity), str(key), str(name)) for identity, key, name in db.execute(query)]


def known_texts(project: Project, identities: Sequence[str]) -> dict[str, KnownText]:
    """Return text_id -> what the project has, for those of these texts that it has."""
    query = """
        SELECT text.text_id, (SELECT json_group_array(DISTINCT label.name) FROM own_label o
                JOIN label ON label.id = o.label WHERE o.text = text.id),
            EXISTS (SELECT 1 FROM decided WHERE decided.text = text.id)
        FROM text WHERE text_id IN (SELECT value FROM json_each(?))"""
    with connection(project) as db:
        rows = db.execute(query, [json.dumps(list(identities))]).fetchall()
    return {str(identity): KnownText(tuple(json.loads(labels)), bool(decided)) for identity, labels, decided in rows}


def row_counts(project: Project, source: int | None = None) -> dict[str, int]:
    """Return how many rows of a source, or of all, are ``used``, ``folded`` and ``left_out``; ``rows`` is their sum.

    A row is folded if an earlier row has the same text.
    """
    query = f"""
        SELECT count(*) AS rows, coalesce(sum(gone), 0) AS left_out,
            coalesce(sum(NOT gone AND EXISTS (SELECT 1 FROM source_row e WHERE e.text = each.text
                AND (e.source < each.source OR e.source = each.source AND e.row < each.row))), 0) AS folded
        FROM (SELECT r.source, r.row, r.text, {LEFT_OUT} AS gone FROM source_row r
            WHERE :source IS NULL OR r.source = :source) each"""
    with connection(project) as db:
        counts = {key: int(value) for key, value in next(iter(db.query(query, {"source": source}))).items()}
    return counts | {"used": counts["rows"] - counts["folded"] - counts["left_out"]}


def pool(project: Project) -> Ints:
    """Return the row ids of all texts without a label of their own, shape (n,), ascending.

    A text with two labels is neither seed nor pool. A text with a retired label is pool.
    """
    with connection(project) as db:
        rows = db.execute("SELECT text FROM without_label ORDER BY text").fetchall()
    return np.asarray(rows, dtype=np.int64).reshape(-1)


def contents(project: Project, ids: Ints) -> list[str]:
    """Return the texts of these row ids, in the same order."""
    with connection(project) as db:
        by_id: dict[int, str] = {}
        for start in range(0, len(ids), 500):
            part = [int(i) for i in ids[start : start + 500]]
            marks = ",".join("?" * len(part))
            by_id |= dict(db.execute(f"SELECT id, content FROM text WHERE id IN ({marks})", part).fetchall())
    return [by_id[int(i)] for i in ids]


def truths(project: Project) -> dict[int, str]:
    """Return text id -> true label name, for texts with exactly one known truth. Only scoring reads it."""
    with connection(project) as db:
        return dict(
            db.execute(
                "SELECT text, min(truth) FROM source_row WHERE truth IS NOT NULL AND text IS NOT NULL "
                "GROUP BY text HAVING count(DISTINCT truth) = 1"
            ).fetchall()
        )


def left_out_rows(project: Project) -> list[dict[str, object]]:
    """Return every unused row with its file, row and reason, including those whose text has two labels."""
    query = f"""
        SELECT source.id AS source, file, r.row, coalesce(r.left_out, 'under two labels: ' || (
            SELECT group_concat(name, ', ') FROM (SELECT DISTINCT label.name FROM own_label other
            JOIN label ON label.id = other.label WHERE other.text = r.text ORDER BY label.name)),
            'typed for a label that is gone') AS reason,
            coalesce(text.content, '') AS content
        FROM source_row r JOIN source ON source.id = r.source LEFT JOIN text ON text.id = r.text
        WHERE {LEFT_OUT} ORDER BY source.id, r.row"""
    with connection(project) as db:
        return [row | {"file": shown_file(str(row["file"]))} for row in db.query(query)]


def facts(project: Project) -> dict[str, int]:
    """Return the main counts: rows, used, folded, left_out, texts, seeds, pool, labels, truths."""
    query = """
        SELECT (SELECT count(*) FROM text) AS texts,
        (SELECT count(*) FROM seed) AS seeds,
        (SELECT count(*) FROM without_label) AS pool,
        (SELECT count(*) FROM label WHERE now = id) AS labels,
        (SELECT count(DISTINCT text) FROM source_row WHERE truth IS NOT NULL) AS truths"""
    with connection(project) as db:
        counts = {key: int(value) for key, value in next(iter(db.query(query))).items()}
    return counts | row_counts(project)


def mean_size(project: Project) -> float:
    """Return the mean number of bytes of a text, in UTF-8; 0.0 without texts."""
    with connection(project) as db:
        return float(db.execute("SELECT coalesce(avg(length(CAST(content AS BLOB))), 0) FROM text").fetchone()[0])


def original_texts(project: Project, places: Sequence[tuple[str, int]]) -> dict[tuple[str, int], str]:
    """Return (file, row) -> the text as it came, for those of these rows whose text the import cleaned."""
    query = """
        SELECT source.file, r.row, json_extract(r.extra, '$."original text"') AS came
        FROM json_each(?) wanted CROSS JOIN source
        JOIN source_row r ON r.source = source.id AND r.row = json_extract(wanted.value, '$[1]')
        WHERE r.extra IS NOT NULL AND json_extract(r.extra, '$."original text"') IS NOT NULL"""
    wanted = {(shown_file(file), row) for file, row in places}
    with connection(project) as db:
        rows = db.execute(query, [json.dumps([list(place) for place in places])]).fetchall()
    found = {(shown_file(str(file)), int(row)): str(came) for file, row, came in rows}
    return {place: came for place, came in found.items() if place in wanted}


ENCODER, ENCODER_CHOSEN = "embedding", "encoder chosen"
"""Keys: the encoder whose vectors the project uses; the encoder that a person chose."""


def remember(project: Project, key: str, value: str, *, anew: bool = False) -> None:
    """Store a value under a key of the project; an earlier value is kept unless ``anew``."""
    with transaction(project) as db:
        db.execute(f"INSERT OR {'REPLACE' if anew else 'IGNORE'} INTO project (key, value) VALUES (?, ?)", [key, value])


def remembered(project: Project, key: str, default: str = "") -> str:
    """Return a value stored by :func:`remember`, or ``default``."""
    with connection(project) as db:
        row = db.execute("SELECT value FROM project WHERE key = ?", [key]).fetchone()
    return default if row is None else str(row[0])


def texts_by_identity(project: Project, identities: Sequence[str]) -> dict[str, int]:
    """Return text_id -> row id for the texts that the project has."""
    query = "SELECT text_id, id FROM text WHERE text_id IN (SELECT value FROM json_each(?))"
    with connection(project) as db:
        return dict(db.execute(query, [json.dumps(list(identities))]).fetchall())


def has_text(project: Project, text: int) -> bool:
    """Return whether a text with this row id exists."""
    with connection(project) as db:
        return db.execute("SELECT 1 FROM text WHERE id = ?", [text]).fetchone() is not None
