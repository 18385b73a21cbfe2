"""Every source row beside its label and where that label comes from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from red_core.records import Project
from red_core.store.database import connection

PROVENANCE = (
    "file", "row", "text_id", "text", "label", "belief", "source", "runner_up", "runner_up_belief",
    "verdict", "judge", "judge_model", "prompt_version", "p_valid", "decision", "who", "decided_at", "reason",
    "fed_back_in_round", "round", "label_set_version", "truth",
)  # fmt: skip
"""The columns of an export, before those the source files brought along."""

_QUERY = """
    WITH newest AS (
        SELECT proposal.text, proposal.label, verdict.* FROM verdict JOIN proposal ON proposal.id = verdict.proposal
        WHERE verdict.id IN
            (SELECT max(v.id) FROM verdict v JOIN proposal p ON p.id = v.proposal GROUP BY p.text, p.label)
    ),
    best_judged AS (  -- of a text judged under several labels: the verdict on its exported label, else the last one
        SELECT newest.*, row_number() OVER (PARTITION BY newest.text ORDER BY
            newest.label = coalesce((SELECT label FROM decided WHERE decided.text = newest.text), p.label) DESC,
            newest.id DESC) AS place FROM newest LEFT JOIN prediction p ON p.text = newest.text AND p.round = :round
    ),
    fed AS (
        SELECT item.text, max(feed_back.round) AS round FROM feed_back_item item
        JOIN feed_back ON feed_back.id = item.feed_back
        WHERE feed_back.id NOT IN (SELECT feed_back FROM rollback) GROUP BY item.text
    )
    SELECT source.file, source_row.row, text.text_id, text.content AS text,
        CASE WHEN decided.kind = 'none' THEN NULL WHEN decided.text IS NOT NULL THEN fixed.name
             WHEN seed.text IS NOT NULL THEN own.name ELSE machine.name END AS label,
        CASE WHEN decided.text IS NULL AND seed.text IS NULL THEN round(p.belief, 5) END AS belief,
        CASE WHEN source_row.left_out IS NOT NULL THEN 'left out: ' || source_row.left_out
             WHEN decided.kind = 'none' THEN 'decision: none of these' WHEN decided.text IS NOT NULL THEN 'decision'
             WHEN seed.text IS NOT NULL THEN 'seed'
             WHEN source_row.text IN (SELECT text FROM contradiction) THEN 'left out: under two labels'
             WHEN p.label = -1 THEN 'none of these'
             WHEN b.outcome = 'valid' AND b.label = p.label THEN 'verdict'
             WHEN p.label IS NOT NULL THEN 'classifiers' ELSE 'no round yet' END AS source,
        rival.name AS runner_up, round(p.runner_up_belief, 5) AS runner_up_belief,
        CASE WHEN b.outcome IS NOT NULL THEN b.outcome || ' for ' || judged.name END AS verdict,
        b.judge, b.model AS judge_model, b.prompt_version, round(b.p_valid, 5) AS p_valid,
        decided.kind AS decision, decided.who, decided.at AS decided_at, decided.reason,
        fed.round AS fed_back_in_round, p.round, r.label_set_version, source_row.truth, source_row.extra
    FROM source_row JOIN source ON source.id = source_row.source
    LEFT JOIN text ON text.id = source_row.text
    LEFT JOIN seed ON seed.text = source_row.text LEFT JOIN label own ON own.id = seed.label
    LEFT JOIN decided ON decided.text = source_row.text LEFT JOIN label fixed ON fixed.id = decided.label
    LEFT JOIN prediction p ON p.text = source_row.text AND p.round = :round
    LEFT JOIN label machine ON machine.id = p.label LEFT JOIN label rival ON rival.id = p.runner_up
    LEFT JOIN best_judged b ON b.text = source_row.text AND b.place = 1
    LEFT JOIN label judged ON judged.id = b.label
    LEFT JOIN fed ON fed.text = source_row.text LEFT JOIN round r ON r.id = p.round
    ORDER BY source.id, source_row.row"""


def export_rows(project: Project, round_id: int) -> Iterator[dict[str, Any]]:
    """Yield every source row with PROVENANCE and its file's other columns, which never overwrite ours.

    Parameters
    ----------
    round_id : int
        The round whose beliefs count; 0 before the first.
    """
    with connection(project) as db:
        for row in db.query(_QUERY, {"round": round_id}):
            extra = json.loads(row.pop("extra") or "{}")
            yield row | {(f"source.{name}" if name in PROVENANCE else name): value for name, value in extra.items()}
