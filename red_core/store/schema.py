"""The SQL of the newer migrations; a landed one is never edited."""

from __future__ import annotations

DESK_TABLES = """
CREATE TABLE batch (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL CHECK (kind IN ('accept', 'reject')), filters TEXT NOT NULL,
    who TEXT NOT NULL, at TEXT NOT NULL
) STRICT;
CREATE TABLE batch_member (  -- frozen when the batch was begun, sampled = 1 is decided one by one first
    batch INTEGER NOT NULL REFERENCES batch, text INTEGER NOT NULL REFERENCES text,
    proposal INTEGER NOT NULL REFERENCES proposal, sampled INTEGER NOT NULL, PRIMARY KEY (batch, text)
) STRICT, WITHOUT ROWID;
CREATE TABLE batch_drop (batch INTEGER PRIMARY KEY REFERENCES batch, who TEXT NOT NULL, at TEXT NOT NULL) STRICT;

ALTER TABLE decision ADD COLUMN act TEXT;
ALTER TABLE decision ADD COLUMN seconds REAL;
ALTER TABLE decision ADD COLUMN queue TEXT NOT NULL DEFAULT '';
ALTER TABLE decision ADD COLUMN batch INTEGER REFERENCES batch;
ALTER TABLE decision ADD COLUMN belief REAL;
CREATE UNIQUE INDEX decision_act ON decision (act) WHERE act IS NOT NULL;
CREATE INDEX decision_who ON decision (who, id);

CREATE TABLE audit (  -- in the order dealt, label: whose texts are audited, or the known answer
    id INTEGER PRIMARY KEY, text INTEGER NOT NULL UNIQUE REFERENCES text,
    purpose TEXT NOT NULL CHECK (purpose IN ('certificate', 'label', 'planted')), label INTEGER REFERENCES label,
    round INTEGER NOT NULL REFERENCES round, options TEXT NOT NULL, who TEXT NOT NULL, at TEXT NOT NULL
) STRICT;
CREATE TABLE audit_answer (
    id INTEGER PRIMARY KEY, audit INTEGER NOT NULL REFERENCES audit,
    kind TEXT NOT NULL CHECK (kind IN ('label', 'none', 'cannot tell', 'undo')), label INTEGER REFERENCES label,
    undoes INTEGER UNIQUE REFERENCES audit_answer, act TEXT UNIQUE, seconds REAL, who TEXT NOT NULL, at TEXT NOT NULL
) STRICT;
CREATE INDEX audit_answer_audit ON audit_answer (audit);
CREATE TABLE audit_look (
    audits INTEGER PRIMARY KEY, round INTEGER NOT NULL REFERENCES round, hits INTEGER NOT NULL, target REAL NOT NULL,
    lower REAL NOT NULL, who TEXT NOT NULL, at TEXT NOT NULL
) STRICT;

CREATE VIEW audited AS  -- the newest answer of each audit that was not undone, label -1 is none of these
    SELECT audit.id, audit.text, audit.purpose, audit.label AS about, audit.round, a.kind,
        CASE a.kind WHEN 'none' THEN -1 ELSE a.label END AS label, a.seconds, a.who, a.at, a.id AS answer
    FROM audit JOIN audit_answer a ON a.id = (SELECT max(n.id) FROM audit_answer n WHERE n.audit = audit.id
        AND n.kind <> 'undo' AND n.id NOT IN (SELECT undoes FROM audit_answer WHERE undoes IS NOT NULL))
"""
CHECKSUM_TABLES = """
INSERT OR REPLACE INTO project (key, value) VALUES ('id', lower(hex(randomblob(16))));
ALTER TABLE vector ADD COLUMN crc INTEGER;
CREATE TABLE checksum (facts TEXT PRIMARY KEY, last INTEGER NOT NULL, sha256 TEXT NOT NULL) STRICT
"""
BATCH_TABLE = """
CREATE TABLE judge_batch (
    id INTEGER PRIMARY KEY, round INTEGER NOT NULL REFERENCES round, judge TEXT NOT NULL,
    requests TEXT NOT NULL, file TEXT NOT NULL DEFAULT '', name TEXT NOT NULL DEFAULT '',
    ended INTEGER NOT NULL DEFAULT 0, at TEXT NOT NULL
) STRICT
"""
FLAG_TABLES = """
CREATE TABLE flag (  -- raised = 0 takes the flag of the text away
    id INTEGER PRIMARY KEY, text INTEGER NOT NULL REFERENCES text, raised INTEGER NOT NULL, comment TEXT NOT NULL,
    who TEXT NOT NULL, at TEXT NOT NULL, act TEXT UNIQUE
) STRICT;
CREATE INDEX flag_text ON flag (text);
CREATE VIEW standing_flag AS
    SELECT id, text, comment, who, at FROM flag f
    WHERE raised AND id = (SELECT max(n.id) FROM flag n WHERE n.text = f.text)
"""
GROUP_TABLES = """
CREATE TABLE label_path (  -- the groups that a label is in, from the top: a JSON list of names, [] for no group
    id INTEGER PRIMARY KEY, label INTEGER NOT NULL REFERENCES label, path TEXT NOT NULL,
    who TEXT NOT NULL, at TEXT NOT NULL, edit INTEGER NOT NULL REFERENCES label_edit
) STRICT;
CREATE INDEX label_path_label ON label_path (label);
CREATE VIEW standing_path AS
    SELECT id, label, path, who, at FROM label_path
    WHERE edit NOT IN (SELECT undoes FROM label_edit WHERE undoes IS NOT NULL);
CREATE TABLE meaning_limit (  -- what a version of a meaning says does not belong to the label
    meaning INTEGER PRIMARY KEY REFERENCES label_meaning, excludes TEXT NOT NULL
) STRICT;
CREATE TABLE guideline_example (  -- the newest row of a label and a text counts, and 'removed' takes the example away
    id INTEGER PRIMARY KEY, label INTEGER NOT NULL REFERENCES label, text INTEGER NOT NULL REFERENCES text,
    kind TEXT NOT NULL CHECK (kind IN ('good', 'bad', 'removed')), why TEXT NOT NULL,
    decision INTEGER REFERENCES decision, who TEXT NOT NULL, at TEXT NOT NULL,
    edit INTEGER NOT NULL REFERENCES label_edit
) STRICT;
CREATE INDEX guideline_example_label ON guideline_example (label, text);
CREATE VIEW standing_example AS  -- as long as the decision behind it is not undone
    SELECT id, label, text, kind, why, decision, who, at FROM guideline_example e
    WHERE kind <> 'removed' AND (decision IS NULL OR EXISTS (SELECT 1 FROM kept_decision k WHERE k.id = e.decision))
    AND id = (SELECT max(n.id) FROM guideline_example n
        WHERE n.label = e.label AND n.text = e.text
        AND n.edit NOT IN (SELECT undoes FROM label_edit WHERE undoes IS NOT NULL))
"""
EXAMPLE_VIEW = """
CREATE VIEW standing_example AS  -- its decision is not undone, and no newer one about the text and the label disagrees
    SELECT id, label, text, kind, why, decision, who, at FROM guideline_example e
    WHERE kind <> 'removed' AND (decision IS NULL OR EXISTS (SELECT 1 FROM kept_decision k WHERE k.id = e.decision))
    AND id = (SELECT max(n.id) FROM guideline_example n
        WHERE n.label = e.label AND n.text = e.text
        AND n.edit NOT IN (SELECT undoes FROM label_edit WHERE undoes IS NOT NULL))
    AND NOT EXISTS (SELECT 1 FROM kept_decision d WHERE d.id = (SELECT max(k.id) FROM kept_decision k
            WHERE k.text = e.text AND k.id > e.decision AND (k.kind <> 'reject' OR k.label = e.label))
        AND (e.kind = 'good') <> (d.kind IN ('accept', 'relabel') AND coalesce(
            (SELECT now FROM label WHERE label.id = d.label) = (SELECT now FROM label WHERE label.id = e.label), 0)))
"""
AUDIT_TABLES = """
CREATE TABLE audit_sample (  -- drawn from the texts until last_text that were not decided at last_decision
    id INTEGER PRIMARY KEY, last_text INTEGER NOT NULL, last_decision INTEGER NOT NULL, who TEXT NOT NULL,
    at TEXT NOT NULL
) STRICT;
CREATE TABLE audit_draw (  -- chance NULL: drawn evenly, by an earlier version
    audit INTEGER PRIMARY KEY REFERENCES audit, sample INTEGER NOT NULL REFERENCES audit_sample, chance REAL
) STRICT;
CREATE TABLE audit_again (  -- asked a second time, the second answer counts
    id INTEGER PRIMARY KEY, audit INTEGER NOT NULL UNIQUE REFERENCES audit, who TEXT NOT NULL, at TEXT NOT NULL
) STRICT;
CREATE TABLE audit_check (
    id INTEGER PRIMARY KEY, sample INTEGER NOT NULL REFERENCES audit_sample, round INTEGER NOT NULL REFERENCES round,
    last_decision INTEGER NOT NULL, error REAL NOT NULL, frames TEXT NOT NULL, at TEXT NOT NULL, UNIQUE (sample, round)
) STRICT;
CREATE TABLE certificate (
    id INTEGER PRIMARY KEY, sample INTEGER NOT NULL REFERENCES audit_sample, round INTEGER NOT NULL REFERENCES round,
    threshold REAL NOT NULL, texts INTEGER NOT NULL, "of" INTEGER NOT NULL, audits INTEGER NOT NULL,
    hits INTEGER NOT NULL, lower REAL NOT NULL, target REAL NOT NULL, error REAL NOT NULL, who TEXT NOT NULL,
    at TEXT NOT NULL, UNIQUE (sample, round, threshold, target)
) STRICT;
INSERT INTO audit_sample (last_text, last_decision, who, at)
    SELECT (SELECT max(id) FROM text), (SELECT coalesce(max(id), 0) FROM decision WHERE decision.at <= min(audit.at)),
    min(audit.who), min(audit.at) FROM audit WHERE purpose = 'certificate' HAVING count(*) > 0;
INSERT INTO audit_draw (audit, sample) SELECT id, 1 FROM audit WHERE purpose = 'certificate'
"""
AUDIT_CHANCE_TABLE = """
CREATE TABLE audit_chance (  -- of a draw: no text had a smaller chance; of those with a confidence from focus on, none
    audit INTEGER PRIMARY KEY REFERENCES audit, least REAL NOT NULL, focus REAL, least_in_focus REAL NOT NULL
) STRICT
"""
COMPARISON_TABLES = """
CREATE TABLE comparison (  -- a judge's answer: rather the label ('valid'), or rather the rival ('invalid')
    id INTEGER PRIMARY KEY, round INTEGER NOT NULL REFERENCES round, text INTEGER NOT NULL REFERENCES text,
    label INTEGER NOT NULL REFERENCES label, rival INTEGER NOT NULL REFERENCES label, belief REAL NOT NULL,
    rival_belief REAL NOT NULL, evidence TEXT NOT NULL, judge TEXT NOT NULL, model TEXT NOT NULL,
    prompt_version TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('valid', 'invalid', 'unsure', 'refused', 'unparseable')), chance REAL,
    toward_label REAL NOT NULL, toward_rival REAL NOT NULL, raw TEXT NOT NULL, question_key TEXT NOT NULL,
    cut INTEGER NOT NULL, meaning INTEGER, rival_meaning INTEGER, at TEXT NOT NULL, CHECK (label <> rival)
) STRICT;
CREATE INDEX comparison_text ON comparison (text);
ALTER TABLE attempt ADD COLUMN comparison INTEGER REFERENCES comparison;
ALTER TABLE self_test ADD COLUMN rival INTEGER REFERENCES label;
ALTER TABLE self_test ADD COLUMN tokens INTEGER;
CREATE VIEW compared AS  -- as the labels are now, stale as of a verdict, for one of the two labels or both
    SELECT c.id, c.round, c.text, own.now AS label, other.now AS rival, c.judge, c.model, c.outcome, c.chance,
        c.toward_label, c.toward_rival, c.at,
        coalesce(c.meaning <> (SELECT coalesce(max(m.id), 0) FROM standing_meaning m WHERE m.label = c.label), 0)
        OR coalesce(c.rival_meaning <>
            (SELECT coalesce(max(m.id), 0) FROM standing_meaning m WHERE m.label = c.rival), 0)
        OR EXISTS (SELECT 1 FROM label_extent e CROSS JOIN round ON round.id = c.round
            LEFT JOIN label_edit u ON u.undoes = e.edit WHERE e.label IN (c.label, c.rival)
            AND CASE WHEN u.version IS NULL THEN round.label_set_version < e.edit
                ELSE round.label_set_version >= e.edit AND round.label_set_version < u.version END) AS stale
    FROM comparison c JOIN label own ON own.id = c.label JOIN label other ON other.id = c.rival
    WHERE own.now IS NOT NULL AND other.now IS NOT NULL AND own.now <> other.now
"""

DISPUTED_VIEWS = """
DROP VIEW IF EXISTS without_label;
DROP VIEW IF EXISTS disputed;
CREATE VIEW disputed AS  -- its files give it one label, and a person ruled that label out
    SELECT f.text FROM refused f WHERE (SELECT min(o.label) = max(o.label) FROM own_label o WHERE o.text = f.text)
    AND NOT EXISTS (SELECT 1 FROM own_label o WHERE o.text = f.text
        AND NOT EXISTS (SELECT 1 FROM refused r WHERE r.text = o.text AND r.label = o.said)
        AND NOT EXISTS (SELECT 1 FROM ruled_out r WHERE r.text = o.text AND r.label = o.label));
CREATE VIEW without_label AS  -- the pool: no label that stands, and not typed for a label that is gone
    SELECT id AS text FROM text
    WHERE (id NOT IN (SELECT text FROM own_label) OR id IN (SELECT text FROM disputed))
    AND id NOT IN (SELECT text FROM given_seed)
    AND id NOT IN (SELECT typed.text FROM source CROSS JOIN source_row typed ON typed.source = source.id
        WHERE source.edit IS NOT NULL AND NOT EXISTS (SELECT 1 FROM source_row r JOIN source s ON s.id = r.source
            WHERE r.text = typed.text AND s.edit IS NULL))
"""
