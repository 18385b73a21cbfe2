"""The SQL of the newer migrations; a landed one is never edited."""

from __future__ import annotations

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
