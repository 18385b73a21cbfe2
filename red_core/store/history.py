"""The history of one text or of one label, in order of time."""

from __future__ import annotations

from typing import NamedTuple

from red_core.records import Project
from red_core.store.database import connection


class Event(NamedTuple):
    """One event of a history.

    Attributes
    ----------
    at : str
        ISO 8601 in UTC.
    who : str
        A person's name, the judge, or the program.
    what : str
        The event in words, with names, reasons and meanings as they are stored.
    """

    at: str
    who: str
    what: str


# Columns: time, two numbers that order events of the same time, who, what. A planted audit looks like any other, and
# the hidden truth of a text is not shown.
_OF_TEXT = """
    SELECT s.at, 1, r.row, s.who, 'imported from ' || s.file || ', row ' || r.row
        || coalesce(', as a seed of ' || label.name, ', without a label')
    FROM source_row r JOIN source s ON s.id = r.source LEFT JOIN label ON label.id = r.label WHERE r.text = :text
    UNION ALL
    SELECT round.at, 2, q.id, 'the program', 'round ' || q.round || ' proposed ' || label.name
        || printf(' (confidence %.2f) before ', q.belief) || rival.name || printf(' (%.2f)', q.runner_up_belief)
        || ', chosen by ' || q.reason
    FROM proposal q JOIN round ON round.id = q.round JOIN label ON label.id = q.label
    JOIN label rival ON rival.id = q.runner_up WHERE q.text = :text
    UNION ALL
    SELECT v.at, 3, v.id, CASE v.judge WHEN 'evidence' THEN 'Similarity check (no LLM)'
        ELSE 'judge ' || coalesce(nullif(v.model, ''), v.judge) END, 'judged ' || v.outcome || ' for ' || label.name
    FROM proposal q JOIN verdict v ON v.proposal = q.id JOIN label ON label.id = q.label WHERE q.text = :text
    UNION ALL
    SELECT c.at, 3, c.id, 'judge ' || coalesce(nullif(c.model, ''), c.judge), 'asked whether it is rather '
        || label.name || ' than ' || rival.name || ': ' || CASE c.outcome WHEN 'valid' THEN 'yes'
            WHEN 'invalid' THEN 'no' ELSE c.outcome END || coalesce(printf(', probability %.2f', c.chance), '')
    FROM comparison c JOIN label ON label.id = c.label JOIN label rival ON rival.id = c.rival WHERE c.text = :text
    UNION ALL
    SELECT d.at, 4, d.id, d.who, CASE d.kind WHEN 'undo' THEN 'undid: ' ELSE '' END
        || CASE coalesce(o.kind, d.kind) WHEN 'accept' THEN 'accepted ' WHEN 'relabel' THEN 'relabelled as '
            WHEN 'reject' THEN 'rejected ' WHEN 'none' THEN 'said none of these' ELSE 'skipped' END
        || coalesce(label.name, '') || CASE WHEN d.belief IS NULL THEN '' ELSE ', in bulk' END
        || CASE WHEN d.act LIKE 'restored:%' THEN ', restored from an export' ELSE '' END
        || CASE d.reason WHEN '' THEN '' ELSE ': ' || d.reason END
    FROM decision d LEFT JOIN decision o ON o.id = d.undoes LEFT JOIN label ON label.id = coalesce(o.label, d.label)
    WHERE d.text = :text
    UNION ALL
    SELECT f.at, 5, f.id, f.who, 'fed back as ' || label.name || ' in round ' || f.round
        || printf(', weight %.2f, by ', i.weight) || i.source
    FROM feed_back f JOIN feed_back_item i ON i.feed_back = f.id AND i.text = :text JOIN label ON label.id = i.label
    UNION ALL
    SELECT b.at, 6, f.id, b.who, 'feed-back of round ' || f.round || ' rolled back'
    FROM rollback b JOIN feed_back f ON f.id = b.feed_back JOIN feed_back_item i ON i.feed_back = f.id
        AND i.text = :text
    UNION ALL
    SELECT a.at, 7, a.id, a.who, 'audited blind: '
        || CASE a.kind WHEN 'label' THEN label.name WHEN 'none' THEN 'none of these'
            WHEN 'undo' THEN 'the answer was taken back' ELSE a.kind END
    FROM audit JOIN audit_answer a ON a.audit = audit.id LEFT JOIN label ON label.id = a.label
    WHERE audit.text = :text
    UNION ALL
    SELECT at, 8, id, who, CASE raised WHEN 0 THEN 'took the flag away'
        ELSE 'flagged for a colleague' || CASE comment WHEN '' THEN '' ELSE ': ' || comment END END
    FROM flag WHERE text = :text"""

# Decisions and audits are counted by person and day: there may be thousands.
_OF_LABEL = """
    SELECT e.at, 2, e.version, e.who, 'added to the label set, version ' || e.version
    FROM label_edit e JOIN label ON label.id = :label
    WHERE e.kind = 'labels added' AND EXISTS (SELECT 1 FROM json_each(e.detail) WHERE value = coalesce(
        (SELECT json_extract(was.value, '$.name') FROM label_edit n, json_each(n.detail, '$.labels') was
            WHERE n.kind <> 'labels added' AND json_extract(was.value, '$.id') = :label ORDER BY n.version LIMIT 1),
        label.name))
    UNION ALL
    SELECT e.at, 3, e.version, e.who, json_extract(e.detail, '$.told') || ', version ' || e.version
    FROM label_edit e WHERE e.kind NOT IN ('labels added', 'subsets formed')
        AND EXISTS (SELECT 1 FROM json_each(e.detail, '$.about') WHERE value = :label)
    UNION ALL
    SELECT s.at, 1, s.id, s.who, count(*) || ' seed rows imported from ' || s.file
    FROM source_row r JOIN source s ON s.id = r.source WHERE r.label = :label GROUP BY s.id
    UNION ALL
    SELECT e.at, 3, e.version, e.who, 'placed in subset ' || (place.subset + 1) || ', ' || e.kind
        || ', version ' || e.version
    FROM label_place place JOIN label_edit e ON e.version = place.version
    WHERE place.label = :label AND e.kind = 'subsets formed'
    UNION ALL
    SELECT at, 4, id, who, CASE meaning WHEN '' THEN 'meaning taken away' ELSE 'meaning: ' || meaning END
    FROM label_meaning WHERE label = :label
    UNION ALL
    SELECT round.at, 5, round.id, 'the program', 'round ' || round.id || ': ' || count(*) || ' proposed, '
        || count(v.id) || ' judged, ' || count(CASE v.outcome WHEN 'valid' THEN 1 END) || ' of them valid'
    FROM proposal q JOIN round ON round.id = q.round LEFT JOIN verdict v ON v.proposal = q.id
    WHERE q.label = :label GROUP BY round.id
    UNION ALL
    SELECT max(d.at), 6, max(d.id), d.who, 'texts that day: ' || count(*) || ' '
        || CASE d.kind WHEN 'accept' THEN 'accepted' WHEN 'relabel' THEN 'relabelled as this' ELSE 'rejected' END
        || CASE count(u.id) WHEN 0 THEN '' ELSE ', ' || count(u.id) || ' of them undone since' END
    FROM decision d LEFT JOIN decision u ON u.undoes = d.id WHERE d.label = :label
    GROUP BY d.who, substr(d.at, 1, 10), d.kind
    UNION ALL
    SELECT f.at, 7, f.id, f.who, 'round ' || f.round || ': ' || count(*) || ' fed back'
    FROM feed_back f JOIN feed_back_item i ON i.feed_back = f.id WHERE i.label = :label GROUP BY f.id
    UNION ALL
    SELECT b.at, 8, f.id, b.who, 'feed-back of round ' || f.round || ' rolled back: ' || count(*)
    FROM rollback b JOIN feed_back f ON f.id = b.feed_back JOIN feed_back_item i ON i.feed_back = f.id
    WHERE i.label = :label GROUP BY f.id
    UNION ALL
    SELECT max(a.at), 9, max(a.answer), a.who, 'texts that day: ' || count(*) || ' given this label blind'
    FROM audited a WHERE a.kind = 'label' AND a.label = :label GROUP BY a.who, substr(a.at, 1, 10)"""


def text_history(project: Project, text: int) -> list[Event]:
    """Return the history of a text, oldest first: imports, proposals, verdicts, decisions, audits, flags, and so on."""
    return _events(project, _OF_TEXT, {"text": text})


def label_history(project: Project, label: int) -> list[Event]:
    """Return the history of a label, oldest first: seeds, subsets, meanings, and counts of verdicts and decisions."""
    return _events(project, _OF_LABEL, {"label": label})


def _events(project: Project, query: str, values: dict[str, int]) -> list[Event]:
    with connection(project) as db:
        return [Event(at, who, what) for at, _, _, who, what in db.execute(f"{query} ORDER BY 1, 2, 3", values)]
