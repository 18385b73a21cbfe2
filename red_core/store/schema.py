"""The SQL of the newer migrations; a landed one is never edited."""

from __future__ import annotations

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
