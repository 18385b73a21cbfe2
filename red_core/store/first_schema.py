"""The tables of the migrations 1, 2 and 4: they landed and are never edited."""

from __future__ import annotations

FIRST_TABLES = """
CREATE TABLE project (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

CREATE TABLE source (
    id INTEGER PRIMARY KEY, file TEXT NOT NULL, sha256 TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('labelled', 'pool')), text_column TEXT NOT NULL, label_column TEXT,
    notes TEXT NOT NULL, who TEXT NOT NULL, at TEXT NOT NULL, UNIQUE (sha256, role)
) STRICT;

CREATE TABLE text (id INTEGER PRIMARY KEY, text_id TEXT NOT NULL UNIQUE, content TEXT NOT NULL) STRICT;

CREATE TABLE label (id INTEGER PRIMARY KEY, name TEXT NOT NULL, name_key TEXT NOT NULL UNIQUE) STRICT;

CREATE TABLE label_edit (
    version INTEGER PRIMARY KEY, kind TEXT NOT NULL, detail TEXT NOT NULL, who TEXT NOT NULL, at TEXT NOT NULL
) STRICT;

CREATE TABLE label_meaning (
    id INTEGER PRIMARY KEY, label INTEGER NOT NULL REFERENCES label, meaning TEXT NOT NULL,
    who TEXT NOT NULL, at TEXT NOT NULL
) STRICT;

CREATE TABLE label_place (
    version INTEGER NOT NULL REFERENCES label_edit, label INTEGER NOT NULL REFERENCES label,
    subset INTEGER NOT NULL, x REAL NOT NULL, y REAL NOT NULL, PRIMARY KEY (version, label)
) STRICT, WITHOUT ROWID;

CREATE TABLE source_row (
    source INTEGER NOT NULL REFERENCES source, row INTEGER NOT NULL, text INTEGER REFERENCES text,
    label INTEGER REFERENCES label, truth TEXT, left_out TEXT, extra TEXT,
    PRIMARY KEY (source, row)
) STRICT, WITHOUT ROWID;
CREATE INDEX source_row_text ON source_row (text);
CREATE INDEX source_row_seed ON source_row (text, label) WHERE label IS NOT NULL;

CREATE TABLE vector_model (model TEXT PRIMARY KEY, dimensions INTEGER NOT NULL) STRICT;
CREATE TABLE vector (
    model TEXT NOT NULL, text INTEGER NOT NULL REFERENCES text, row INTEGER NOT NULL, PRIMARY KEY (model, text)
) STRICT, WITHOUT ROWID;

CREATE TABLE job (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'cancelled', 'failed', 'interrupted')),
    settings TEXT NOT NULL, stage TEXT NOT NULL DEFAULT '',
    done INTEGER NOT NULL DEFAULT 0, total INTEGER NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT '', cancel_asked INTEGER NOT NULL DEFAULT 0, pid INTEGER, process_started REAL,
    heartbeat REAL NOT NULL DEFAULT 0, who TEXT NOT NULL, at TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX one_active_job ON job ((1)) WHERE state IN ('waiting', 'running');

CREATE TABLE round (
    id INTEGER PRIMARY KEY, state TEXT NOT NULL CHECK (state IN ('open', 'to review', 'fed back', 'closed')),
    label_set_version INTEGER NOT NULL REFERENCES label_edit, settings TEXT NOT NULL, judge TEXT NOT NULL,
    last_decision INTEGER NOT NULL, metrics TEXT NOT NULL DEFAULT '{}', who TEXT NOT NULL, at TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX one_open_round ON round ((1)) WHERE state IN ('open', 'to review');

CREATE TABLE training_row (
    round INTEGER NOT NULL REFERENCES round, text INTEGER NOT NULL REFERENCES text,
    label INTEGER NOT NULL REFERENCES label, weight REAL NOT NULL, PRIMARY KEY (round, text)
) STRICT, WITHOUT ROWID;

CREATE TABLE proposal (
    id INTEGER PRIMARY KEY, round INTEGER NOT NULL REFERENCES round, text INTEGER NOT NULL REFERENCES text,
    label INTEGER NOT NULL REFERENCES label, runner_up INTEGER NOT NULL REFERENCES label, belief REAL NOT NULL,
    runner_up_belief REAL NOT NULL, reason TEXT NOT NULL, gain REAL NOT NULL, evidence TEXT NOT NULL,
    UNIQUE (round, text, label)
) STRICT;
CREATE INDEX proposal_pair ON proposal (text, label);

CREATE TABLE verdict (
    id INTEGER PRIMARY KEY, proposal INTEGER NOT NULL UNIQUE REFERENCES proposal,
    judge TEXT NOT NULL, model TEXT NOT NULL, prompt_version TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('valid', 'invalid', 'unsure', 'refused', 'unparseable')),
    p_valid REAL, log_likelihood_ratio REAL NOT NULL, raw TEXT NOT NULL, at TEXT NOT NULL
) STRICT;

CREATE TABLE decision (
    id INTEGER PRIMARY KEY, text INTEGER NOT NULL REFERENCES text,
    kind TEXT NOT NULL CHECK (kind IN ('accept', 'relabel', 'none', 'reject', 'skip', 'undo')),
    label INTEGER REFERENCES label, proposal INTEGER REFERENCES proposal, undoes INTEGER UNIQUE REFERENCES decision,
    reason TEXT NOT NULL, who TEXT NOT NULL, at TEXT NOT NULL
) STRICT;
CREATE INDEX decision_text ON decision (text);

CREATE VIEW standing_decision AS
    SELECT * FROM decision WHERE kind <> 'undo' AND kind <> 'skip'
    AND id NOT IN (SELECT undoes FROM decision WHERE undoes IS NOT NULL);
CREATE VIEW decided AS  -- the newest decision that fixes a label, unless that very label was rejected after it
    SELECT text, id, kind, CASE kind WHEN 'none' THEN -1 ELSE label END AS label, proposal, reason, who, at
    FROM standing_decision d WHERE kind <> 'reject'
    AND id = (SELECT max(n.id) FROM standing_decision n WHERE n.text = d.text AND n.kind <> 'reject')
    AND NOT EXISTS (SELECT 1 FROM standing_decision r
        WHERE r.text = d.text AND r.kind = 'reject' AND r.label = d.label AND r.id > d.id);
CREATE VIEW ruled_out AS  -- rejections, unless that very label was accepted after it
    SELECT text, label FROM standing_decision r WHERE kind = 'reject'
    AND NOT EXISTS (SELECT 1 FROM standing_decision a
        WHERE a.text = r.text AND a.kind IN ('accept', 'relabel') AND a.label = r.label AND a.id > r.id);

CREATE VIEW seed AS  -- a decision beats a seed's own label as well
    SELECT text, label FROM
        (SELECT text, min(label) AS label FROM source_row WHERE label IS NOT NULL
        GROUP BY text HAVING count(DISTINCT label) = 1) own
    WHERE NOT EXISTS (SELECT 1 FROM decided WHERE decided.text = own.text AND decided.label <> own.label)
    AND NOT EXISTS (SELECT 1 FROM ruled_out WHERE ruled_out.text = own.text AND ruled_out.label = own.label);
CREATE VIEW contradiction AS  -- one text under two labels: left out until a decision settles it
    SELECT text FROM source_row WHERE label IS NOT NULL
    GROUP BY text HAVING count(DISTINCT label) > 1;

CREATE TABLE feed_back (
    id INTEGER PRIMARY KEY, round INTEGER NOT NULL REFERENCES round, accept_evidence_check INTEGER NOT NULL,
    who TEXT NOT NULL, at TEXT NOT NULL
) STRICT;
CREATE TABLE feed_back_item (
    feed_back INTEGER NOT NULL REFERENCES feed_back, text INTEGER NOT NULL REFERENCES text,
    label INTEGER NOT NULL REFERENCES label, weight REAL NOT NULL,
    source TEXT NOT NULL CHECK (source IN ('decision', 'verdict')),
    PRIMARY KEY (feed_back, text)
) STRICT, WITHOUT ROWID;
CREATE TABLE rollback (
    feed_back INTEGER PRIMARY KEY REFERENCES feed_back, who TEXT NOT NULL, at TEXT NOT NULL
) STRICT;

CREATE TABLE prediction (
    round INTEGER NOT NULL REFERENCES round, text INTEGER NOT NULL REFERENCES text, label INTEGER NOT NULL,
    belief REAL NOT NULL, runner_up INTEGER NOT NULL, runner_up_belief REAL NOT NULL, none_belief REAL NOT NULL,
    prior REAL NOT NULL, top TEXT NOT NULL, PRIMARY KEY (round, text)
) STRICT, WITHOUT ROWID
"""

JUDGE_TABLES = """
ALTER TABLE verdict ADD COLUMN question_key TEXT NOT NULL DEFAULT '';
ALTER TABLE verdict ADD COLUMN cut INTEGER NOT NULL DEFAULT 0;
ALTER TABLE verdict ADD COLUMN meaning INTEGER;

CREATE TABLE attempt (
    id INTEGER PRIMARY KEY, round INTEGER REFERENCES round,
    purpose TEXT NOT NULL CHECK (purpose IN ('judge', 'self-test', 'connect', 'meaning', 'correction', 'explain')),
    judge TEXT NOT NULL, reserved INTEGER NOT NULL, tokens_in INTEGER, tokens_out INTEGER,
    price_in REAL, price_out REAL, verdict INTEGER REFERENCES verdict, at TEXT NOT NULL
) STRICT;
CREATE INDEX attempt_verdict ON attempt (verdict);

CREATE TABLE self_test (
    id INTEGER PRIMARY KEY, judge TEXT NOT NULL, prompt_version TEXT NOT NULL, text INTEGER NOT NULL REFERENCES text,
    label INTEGER NOT NULL REFERENCES label, kind TEXT NOT NULL CHECK (kind IN ('right', 'wrong', 'canary')),
    outcome TEXT NOT NULL, p_valid REAL, model TEXT NOT NULL, raw TEXT NOT NULL, question_key TEXT NOT NULL,
    at TEXT NOT NULL
) STRICT;
CREATE INDEX self_test_judge ON self_test (judge, prompt_version);

CREATE TABLE explanation (
    id INTEGER PRIMARY KEY, verdict INTEGER NOT NULL REFERENCES verdict, words TEXT NOT NULL, model TEXT NOT NULL,
    at TEXT NOT NULL
) STRICT;

CREATE VIEW stale_verdict AS  -- of a judge that reads meanings: the label's meaning was edited since
    SELECT verdict.id FROM verdict JOIN proposal ON proposal.id = verdict.proposal
    WHERE verdict.meaning IS NOT NULL
    AND verdict.meaning < (SELECT coalesce(max(m.id), 0) FROM label_meaning m WHERE m.label = proposal.label)
"""

EDIT_TABLES = """
ALTER TABLE label ADD COLUMN becomes INTEGER REFERENCES label;
ALTER TABLE label ADD COLUMN retired INTEGER NOT NULL DEFAULT 0;
ALTER TABLE label ADD COLUMN merged_since INTEGER NOT NULL DEFAULT 0;
ALTER TABLE label ADD COLUMN now INTEGER GENERATED ALWAYS AS (CASE WHEN retired = 0 THEN coalesce(becomes, id) END);
CREATE INDEX label_becomes ON label (becomes) WHERE becomes IS NOT NULL;
ALTER TABLE label_edit ADD COLUMN undoes INTEGER REFERENCES label_edit;
CREATE UNIQUE INDEX label_edit_undoes ON label_edit (undoes) WHERE undoes IS NOT NULL;
ALTER TABLE label_meaning ADD COLUMN edit INTEGER REFERENCES label_edit;
CREATE INDEX label_meaning_label ON label_meaning (label);
ALTER TABLE decision ADD COLUMN edit INTEGER REFERENCES label_edit;
CREATE INDEX decision_edit ON decision (edit) WHERE edit IS NOT NULL;
ALTER TABLE source ADD COLUMN edit INTEGER REFERENCES label_edit;

CREATE TABLE label_extent (  -- edits that changed what belongs to a label
    label INTEGER NOT NULL REFERENCES label, edit INTEGER NOT NULL REFERENCES label_edit, PRIMARY KEY (label, edit)
) STRICT, WITHOUT ROWID;
CREATE TABLE prediction_before (  -- as it was when an edit merged or retired one of its labels
    edit INTEGER NOT NULL REFERENCES label_edit, round INTEGER NOT NULL, text INTEGER NOT NULL,
    label INTEGER NOT NULL, belief REAL NOT NULL, runner_up INTEGER NOT NULL, runner_up_belief REAL NOT NULL,
    none_belief REAL NOT NULL, prior REAL NOT NULL, top TEXT NOT NULL, PRIMARY KEY (edit, round, text)
) STRICT, WITHOUT ROWID;

DROP VIEW seed;
DROP VIEW contradiction;
DROP VIEW ruled_out;
DROP VIEW decided;
DROP VIEW standing_decision;
DROP VIEW stale_verdict;
DROP VIEW audited;

CREATE VIEW standing_meaning AS
    SELECT id, label, meaning, who, at FROM label_meaning
    WHERE edit IS NULL OR edit NOT IN (SELECT undoes FROM label_edit WHERE undoes IS NOT NULL);
CREATE VIEW own_label AS  -- what source rows say of their texts: as the label is now, and as it was said
    SELECT source_row.text, label.now AS label, label.id AS said
    FROM source_row JOIN label ON label.id = source_row.label
    WHERE source_row.label IS NOT NULL AND label.now IS NOT NULL;
CREATE VIEW proposed AS  -- proposals as their labels are now
    SELECT id, round, text, (SELECT now FROM label WHERE label.id = proposal.label) AS label,
        (SELECT now FROM label WHERE label.id = proposal.runner_up) AS runner_up,
        belief, runner_up_belief, reason, gain, evidence
    FROM proposal WHERE (SELECT now FROM label WHERE label.id = proposal.label) IS NOT NULL;

CREATE VIEW kept_decision AS  -- not undone, its label as it was said
    SELECT * FROM decision WHERE kind <> 'undo' AND kind <> 'skip'
    AND id NOT IN (SELECT undoes FROM decision WHERE undoes IS NOT NULL);
CREATE VIEW refused AS  -- rejections of a label as it was said, unless that very label was accepted after it
    SELECT id, text, label FROM kept_decision r WHERE kind = 'reject'
    AND NOT EXISTS (SELECT 1 FROM kept_decision a
        WHERE a.text = r.text AND a.kind IN ('accept', 'relabel') AND a.label = r.label AND a.id > r.id);
CREATE VIEW standing_decision AS
    -- Of a merged label a rejection stands if every label in it was rejected, or it came after the merge. What a
    -- decision for a label replaced does not come back when that label is retired.
    SELECT id, text, kind, (SELECT now FROM label WHERE label.id = d.label) AS label, label AS said, proposal, undoes,
        reason, who, at, act, seconds, queue, batch, belief, edit
    FROM kept_decision d WHERE CASE kind
    WHEN 'reject' THEN label = (SELECT now FROM label WHERE label.id = d.label)
        AND (id > (SELECT merged_since FROM label WHERE label.id = d.label)
            OR NOT EXISTS (SELECT 1 FROM label part WHERE part.becomes = d.label
                AND NOT EXISTS (SELECT 1 FROM refused o WHERE o.text = d.text AND o.label = part.id)))
    ELSE (label IS NULL OR (SELECT now FROM label WHERE label.id = d.label) IS NOT NULL)
        AND NOT EXISTS (SELECT 1 FROM kept_decision n JOIN label gone ON gone.id = n.label
            WHERE n.text = d.text AND n.id > d.id AND n.kind <> 'reject' AND gone.now IS NULL) END;
CREATE VIEW decided AS  -- the newest decision that fixes a label, unless that very label was rejected after it
    SELECT text, id, kind, CASE kind WHEN 'none' THEN -1 ELSE label END AS label, proposal, reason, who, at, edit
    FROM standing_decision d WHERE kind <> 'reject'
    AND id = (SELECT max(n.id) FROM standing_decision n WHERE n.text = d.text AND n.kind <> 'reject')
    AND NOT EXISTS (SELECT 1 FROM refused r WHERE r.text = d.text AND r.label = d.said AND r.id > d.id)
    AND NOT EXISTS (SELECT 1 FROM standing_decision r
        WHERE r.text = d.text AND r.kind = 'reject' AND r.label = d.label AND r.id > d.id);
CREATE VIEW ruled_out AS  -- rejections, unless that very label was accepted after it
    SELECT text, label FROM standing_decision r WHERE kind = 'reject'
    AND NOT EXISTS (SELECT 1 FROM standing_decision a
        WHERE a.text = r.text AND a.kind IN ('accept', 'relabel') AND a.label = r.label AND a.id > r.id
        AND (a.said = r.label OR NOT EXISTS (SELECT 1 FROM refused x WHERE x.text = a.text AND x.label = a.said)));

CREATE VIEW given_seed AS  -- what an edit gave to a label as its example
    SELECT text, label FROM decided WHERE edit IS NOT NULL AND kind = 'relabel'
    AND text NOT IN (SELECT text FROM audit WHERE purpose <> 'planted');
CREATE VIEW seed AS  -- a decision beats a seed's own label as well
    SELECT text, label FROM
        (SELECT text, min(label) AS label FROM own_label GROUP BY text HAVING min(label) = max(label)) own
    WHERE NOT EXISTS (SELECT 1 FROM decided WHERE decided.text = own.text AND decided.label <> own.label)
    AND NOT EXISTS (SELECT 1 FROM ruled_out WHERE ruled_out.text = own.text AND ruled_out.label = own.label)
    AND EXISTS (SELECT 1 FROM own_label o WHERE o.text = own.text
        AND NOT EXISTS (SELECT 1 FROM refused r WHERE r.text = o.text AND r.label = o.said))
    UNION ALL
    SELECT text, label FROM given_seed g WHERE NOT coalesce(
        (SELECT min(label) = max(label) AND min(label) = g.label FROM own_label o WHERE o.text = g.text), 0);
CREATE VIEW contradiction AS  -- one text under two labels: left out until a decision settles it
    SELECT text FROM own_label GROUP BY text HAVING min(label) <> max(label);
CREATE VIEW without_label AS  -- the pool: neither under a label, nor typed for one that is gone
    SELECT id AS text FROM text WHERE id NOT IN (SELECT text FROM own_label) AND id NOT IN (SELECT text FROM given_seed)
    AND id NOT IN (SELECT typed.text FROM source CROSS JOIN source_row typed ON typed.source = source.id
        WHERE source.edit IS NOT NULL AND NOT EXISTS (SELECT 1 FROM source_row r JOIN source s ON s.id = r.source
            WHERE r.text = typed.text AND s.edit IS NULL));

CREATE VIEW stale_verdict AS  -- since then the meaning its judge read was edited, or what belongs to the label changed
    SELECT verdict.id FROM verdict JOIN proposal ON proposal.id = verdict.proposal
    WHERE (verdict.meaning IS NOT NULL AND verdict.meaning <>
        (SELECT coalesce(max(m.id), 0) FROM standing_meaning m WHERE m.label = proposal.label))
    OR proposal.label IN (SELECT label FROM label_extent)
    AND EXISTS (SELECT 1 FROM label_extent e CROSS JOIN round ON round.id = proposal.round
        LEFT JOIN label_edit u ON u.undoes = e.edit WHERE e.label = proposal.label
        AND CASE WHEN u.version IS NULL THEN round.label_set_version < e.edit
            ELSE round.label_set_version >= e.edit AND round.label_set_version < u.version END);
CREATE VIEW audited AS  -- the newest answer of each audit that was not undone, label -1 is none of these
    SELECT audit.id, audit.text, audit.purpose, (SELECT now FROM label WHERE label.id = audit.label) AS about,
        audit.round, a.kind,
        CASE a.kind WHEN 'none' THEN -1 ELSE (SELECT now FROM label WHERE label.id = a.label) END AS label,
        a.seconds, a.who, a.at, a.id AS answer
    FROM audit JOIN audit_answer a ON a.id = (SELECT max(n.id) FROM audit_answer n WHERE n.audit = audit.id
        AND n.kind <> 'undo' AND n.id NOT IN (SELECT undoes FROM audit_answer WHERE undoes IS NOT NULL)
        AND (n.label IS NULL OR (SELECT now FROM label WHERE label.id = n.label) IS NOT NULL))
"""
