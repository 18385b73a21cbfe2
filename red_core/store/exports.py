"""The rows of an export: every source row with its final label, the source of that label, and its evidence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlite_utils import Database

from red_core.errors import StoreError
from red_core.records import Project
from red_core.store.attempts import PAID
from red_core.store.certificates import STANDING
from red_core.store.checksums import changed_facts
from red_core.store.database import connection
from red_core.store.final_labels import FINAL, FINAL_OF_BLOCK
from red_core.store.labels import IN_GROUP, labels_in, name_key, path_in_words, stored_group
from red_core.store.texts import shown_file

PROVENANCE = (
    "file", "row", "text_id", "text", "label", "label_path", "belief", "source", "runner_up", "runner_up_belief",
    "verdict", "judge", "judge_model", "prompt_version", "p_valid", "evidence", "tokens", "cost",
    "compared_with", "p_rather",
    "decision", "rejected", "who", "decided_at", "reason", "fed_back_in_round", "round", "label_set_version", "truth",
    "flagged_by", "flagged_at", "flag_comment", "certified",
)  # fmt: skip
"""The columns of an export, followed by the columns of the source files. docs/export.md describes them."""

ORIGINAL = "original text"
"""The column that keeps a text as it came, where the import cleaned it."""
NONE_NAME = "none of these"

DECISIONS = "decisions"
"""The additional column of a lossless export: all decisions about the text, with the undone ones."""

_WANTED = f"""
    (:label IS NULL OR label.name_key = :label)
        AND (:none = 0 OR final.kind LIKE '%none of these')
        AND (:source IS NULL OR final.kind = :source OR :source = 'left out' AND final.kind LIKE 'left out%')
        AND (:least IS NULL OR final.belief >= :least) AND (:most IS NULL OR final.belief <= :most)
        AND (:since IS NULL OR coalesce(decision.at, audit.at) >= :since)
        AND (:group IS NULL OR final.label IN {IN_GROUP})"""

# A text with verdicts on several labels shows the one on its final label, else the newest. The cost of a verdict is
# known if the server reported the tokens of all its requests. LIMIT and CROSS make SQLite compute each column of
# ``final`` once for a row.
_EXPORT = f"""
    SELECT source.file, final.row, text.text_id, text.content AS text, label.name AS label,
        final.label AS label_path,
        round(final.belief, 5) AS belief, final.kind AS source,
        rival.name AS runner_up, round(final.runner_up_belief, 5) AS runner_up_belief,
        v.outcome || ' for ' || judged.name AS verdict, v.judge, v.model AS judge_model, v.prompt_version,
        round(v.p_valid, 5) AS p_valid,
        CASE WHEN v.id IS NOT NULL THEN (SELECT group_concat(text_id, ' ') FROM (
            SELECT shown.text_id FROM json_each(proposal.evidence) side, json_each(side.value) sample
            JOIN text shown ON shown.id = json_extract(sample.value, '$[0]')
            ORDER BY side.id, sample.id)) END AS evidence,
        CASE WHEN v.id IS NOT NULL THEN
            (SELECT CASE WHEN count(*) = count(tokens_in + tokens_out) THEN sum(tokens_in + tokens_out) END
            FROM attempt WHERE attempt.verdict = v.id) END AS tokens,
        CASE WHEN v.id IS NOT NULL THEN
            (SELECT CASE WHEN count(*) = count(tokens_in * price_in + tokens_out * price_out)
            THEN round(sum({PAID}) / 1e6, 9) END FROM attempt WHERE attempt.verdict = v.id) END AS cost,
        other.name AS compared_with,
        round(CASE final.label WHEN own.now THEN rather.chance ELSE 1.0 - rather.chance END, 5) AS p_rather,
        decision.kind AS decision,
        CASE WHEN final.decided THEN (SELECT group_concat(l.name, ' | ') FROM ruled_out r JOIN label l ON l.id = r.label
            WHERE r.text = final.text) END AS rejected,
        coalesce(decision.who, audit.who, rejection.who) AS who,
        coalesce(decision.at, audit.at, rejection.at) AS decided_at,
        CASE WHEN audit.id IS NULL THEN coalesce(decision.reason, rejection.reason) END AS reason,
        final.fed AS fed_back_in_round, final.round, round.label_set_version, final.truth,
        flag.who AS flagged_by, flag.at AS flagged_at, flag.comment AS flag_comment,
        (SELECT max(c.target) FROM certificate c JOIN audit_sample s ON s.id = c.sample WHERE c.round = final.round
            AND c.id IN ({STANDING}) AND final.text <= s.last_text AND final.belief >= c.threshold
            AND final.decision IS NULL AND final.audit_answer IS NULL AND NOT final.next_best
            AND NOT EXISTS (SELECT 1 FROM own_label o WHERE o.text = final.text)) AS certified, final.extra,
        source.text_column AS own_name, final.text AS text_row, final.decided
    FROM (
        SELECT f.*,
            CASE WHEN EXISTS (SELECT 1 FROM proposal q WHERE q.text = f.text) THEN coalesce(
                (SELECT max(v.id) FROM proposed q JOIN verdict v ON v.proposal = q.id
                    WHERE q.text = f.text AND q.label = f.label),
                (SELECT max(v.id) FROM proposal q JOIN verdict v ON v.proposal = q.id WHERE q.text = f.text)
            ) END AS verdict,
            EXISTS (SELECT 1 FROM decision d WHERE d.text = f.text) AS decided,
            (SELECT max(feed_back.round) FROM feed_back_item item JOIN feed_back ON feed_back.id = item.feed_back
                WHERE item.text = f.text AND feed_back.id NOT IN (SELECT feed_back FROM rollback)) AS fed
        FROM ({FINAL_OF_BLOCK}) f LIMIT -1
    ) final
    CROSS JOIN source ON source.id = final.source LEFT JOIN text ON text.id = final.text
    LEFT JOIN label ON label.id = final.label LEFT JOIN label rival ON rival.id = final.runner_up
    LEFT JOIN comparison rather ON rather.id =
        (SELECT max(+c.id) FROM compared c WHERE c.text = final.text AND final.label IN (c.label, c.rival))
    LEFT JOIN label own ON own.id = rather.label
    LEFT JOIN label other ON other.id = (SELECT now FROM label l
        WHERE l.id = CASE final.label WHEN own.now THEN rather.rival ELSE rather.label END)
    LEFT JOIN verdict v ON v.id = final.verdict LEFT JOIN proposal ON proposal.id = v.proposal
    LEFT JOIN label judged ON judged.id = proposal.label LEFT JOIN decision ON decision.id = final.decision
    LEFT JOIN audit_answer audit ON audit.id = final.audit_answer
    LEFT JOIN round ON round.id = final.round LEFT JOIN standing_flag flag ON flag.text = final.text
    LEFT JOIN decision rejection ON rejection.id = (SELECT max(s.id) FROM standing_decision s
        WHERE final.decided AND s.text = final.text AND s.kind = 'reject')
    WHERE {_WANTED}
    ORDER BY final.source, final.row"""

_COUNT = f"""
    SELECT count(*) FROM ({FINAL}) final LEFT JOIN label ON label.id = final.label
    LEFT JOIN decision ON decision.id = final.decision LEFT JOIN audit_answer audit ON audit.id = final.audit_answer
    WHERE {_WANTED}"""

ROWS_PER_BLOCK = 4_096
"""Rows that are sorted at once."""

_DECISIONS = """
    SELECT d.kind, label.name AS label, d.who, d.at, d.reason, d.queue, d.seconds, d.belief,
        EXISTS (SELECT 1 FROM decision u WHERE u.undoes = d.id) AS undone
    FROM decision d LEFT JOIN label ON label.id = d.label WHERE d.text = ? AND d.kind <> 'undo' ORDER BY d.id"""


@dataclass(frozen=True)
class ExportFilter:
    """Which rows are exported: those that meet every condition that is given; None is no condition.

    Attributes
    ----------
    label : str or None
        The name of the final label; NONE_NAME for *none of these*.
    source : str or None
        Where the final label comes from, such as ``classifiers``; ``left out`` for every reason.
    least_belief, most_belief : float or None
        Limits of the confidence, in [0, 1]; rows without a confidence do not meet them.
    decided_since : str or None
        A day or a time in ISO 8601, in UTC: only rows that a person decided from then on.
    group : tuple of str or None
        Only labels in this group, or in one inside it.
    """

    label: str | None = None
    source: str | None = None
    least_belief: float | None = None
    most_belief: float | None = None
    decided_since: str | None = None
    group: tuple[str, ...] | None = None

    def values(self) -> dict[str, Any]:
        """Return the values that the query binds."""
        none = self.label is not None and self.label.strip().casefold() == NONE_NAME
        return {
            "label": None if self.label is None or none else name_key(self.label), "none": int(none),
            "source": self.source, "least": self.least_belief, "most": self.most_belief, "since": self.decided_since,
            "group": stored_group(self.group or ()),
        }  # fmt: skip


EVERY_ROW = ExportFilter()


def count_rows(project: Project, round_id: int, wanted: ExportFilter) -> int:
    """Return how many rows an export has; it computes their labels, and neither texts nor evidence."""
    with connection(project) as db:
        return int(db.execute(_COUNT, {"round": round_id} | wanted.values()).fetchone()[0])


@contextmanager
def opened_export(
    project: Project, round_id: int, *, lossless: bool = False, wanted: ExportFilter = EVERY_ROW, verify: bool = True
) -> Iterator[tuple[list[str], Iterator[dict[str, Any]]]]:
    """Yield the columns of an export and an iterator of its rows, both from one snapshot of the database.

    Parameters
    ----------
    round_id : int
        The round whose beliefs are exported; 0 before the first.
    lossless : bool
        Evidence as a list instead of one text; and all decisions about the text, as dicts of ``kind``, ``label``,
        ``who``, ``at``, ``reason``, ``queue``, ``seconds``, ``belief`` (of a batch) and ``undone``, oldest first.
    wanted : ExportFilter
        All rows by default.
    verify : bool
        Check first that all of it is as it was stored.

    Raises
    ------
    StoreError
        If it is not.
    """
    ours = (*PROVENANCE, DECISIONS) if lossless else PROVENANCE
    with connection(project) as db:
        db.execute("BEGIN")
        if verify and (changed := changed_facts(db)):
            raise StoreError(
                f"{project.database}: the {', '.join(changed)} are not as they were stored. Restore a backup, or write "
                "what is left with `red export --unverified`."
            )
        yield _columns(db, ours), _rows(db, {"round": round_id} | wanted.values(), lossless=lossless)


def _columns(db: Database, ours: tuple[str, ...]) -> list[str]:
    """Return our columns, then the files' columns in order of first appearance."""
    own = [name for (name,) in db.execute("SELECT DISTINCT text_column FROM source WHERE edit IS NULL ORDER BY id")]
    columns = dict.fromkeys((*ours, *(name for name in own if name not in ours)))
    known = set()
    for (extra,) in db.execute("SELECT extra FROM source_row WHERE extra IS NOT NULL ORDER BY source, row"):
        theirs = json.loads(extra)
        if (names := tuple(theirs)) not in known:
            known.add(names)
            columns |= dict.fromkeys(beside(dict.fromkeys(ours), theirs))
    return list(columns)


def _blocks(db: Database, values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the rows of the query, one block of source rows after the other."""
    end = "SELECT source, row FROM source_row WHERE (source, row) > (?, ?) ORDER BY source, row LIMIT 1 OFFSET ?"
    last: tuple[int, int] | None = (-1, -1)
    while last is not None:
        source, row = last
        yield from db.query(_EXPORT, {**values, "last_source": source, "last_row": row, "rows": ROWS_PER_BLOCK})
        last = db.execute(end, [source, row, ROWS_PER_BLOCK - 1]).fetchone()


def _rows(db: Database, values: Mapping[str, Any], *, lossless: bool) -> Iterator[dict[str, Any]]:
    paths = {label.id: path_in_words(label.path) or None for label in labels_in(db)}
    files = {file: shown_file(file) for (file,) in db.execute("SELECT DISTINCT file FROM source")}
    for row in _blocks(db, values):
        extra, text, decided = row.pop("extra"), row.pop("text_row"), row.pop("decided")
        extra = json.loads(extra) if extra else {}
        own = row.pop("own_name")
        row["file"] = files[row["file"]]
        row["label_path"] = paths.get(row["label_path"])
        if own not in row and text is not None:  # the text as it came, under its own name
            extra = {own: extra.get(ORIGINAL, row["text"])} | extra
        if lossless:
            row["evidence"] = row["evidence"].split() if row["evidence"] else None
            decisions = db.query(_DECISIONS, [text]) if decided else ()
            row[DECISIONS] = [each | {"undone": bool(each["undone"])} for each in decisions]
        yield beside(row, extra)


def beside(ours: dict[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Return our columns, then a file's; a file's column with the name of one of ours gets a prefix."""
    if ours.keys().isdisjoint(theirs):
        return {**ours, **theirs}
    taken = set(ours)
    both = dict(ours)
    for name, value in theirs.items():
        free = name
        while free in taken or (free != name and free in theirs):
            free = f"source.{free}"
        taken.add(free)
        both[free] = value
    return both
