"""Append-only migrations: a landed one is never edited; a change is a new function at the end."""

from __future__ import annotations

from sqlite_utils import Database, Migrations

from red_core.store.checksums import seal, seal_vectors
from red_core.store.first_schema import EDIT_TABLES, FIRST_TABLES, JUDGE_TABLES
from red_core.store.schema import (
    AUDIT_CHANCE_TABLE,
    AUDIT_TABLES,
    BATCH_TABLE,
    CHECKSUM_TABLES,
    COMPARISON_TABLES,
    DESK_TABLES,
    DISPUTED_VIEWS,
    EXAMPLE_VIEW,
    FLAG_TABLES,
    GROUP_TABLES,
)

migrations = Migrations("red_core")


@migrations()
def m001_create_tables(db: Database) -> None:
    """Facts are rows and only ever added; ``job`` and ``round.state`` are the two things that move."""
    for statement in FIRST_TABLES.split(";"):
        if statement.strip():
            db.execute(statement)


@migrations()
def m002_llm_judge(db: Database) -> None:
    """Room for what a judge over a wire costs, what it was shown, and how it does on pairs whose truth is known."""
    for statement in JUDGE_TABLES.split(";"):
        if statement.strip():
            db.execute(statement)


@migrations()
def m003_review_desk(db: Database) -> None:
    """Room for acts that are sent more than once, for batches, and for blind audits."""
    for statement in DESK_TABLES.split(";"):
        if statement.strip():
            db.execute(statement)


@migrations()
def m004_label_edits(db: Database) -> None:
    """Room for edits of the label set that can be undone; what was said of a label is read as the label is now.

    ``label.becomes`` is what a label was merged into in the end; ``label.now`` is that or itself, NULL when retired.
    """
    for statement in EDIT_TABLES.split(";"):
        if statement.strip():
            db.execute(statement)


@migrations()
def m005_checksums(db: Database) -> None:
    """Room for the id of the project and for checksums; see ``store/checksums.py``."""
    for statement in CHECKSUM_TABLES.split(";"):
        db.execute(statement)
    seal_vectors(db)
    seal(db, predictions=True)


@migrations()
def m006_cached_tokens(db: Database) -> None:
    """Room for the tokens that a judge's server had in its cache, and their price."""
    db.execute("ALTER TABLE attempt ADD COLUMN tokens_cached INTEGER")
    db.execute("ALTER TABLE attempt ADD COLUMN price_cached REAL")


@migrations()
def m007_judge_batches(db: Database) -> None:
    """Room for batches of questions at a judge's server; ``file`` and ``name`` are what the server calls them."""
    db.execute(BATCH_TABLE)


@migrations()
def m008_flags(db: Database) -> None:
    """Room for flags: texts that a person wants a colleague to look at."""
    for statement in FLAG_TABLES.split(";"):
        db.execute(statement)


@migrations()
def m009_groups(db: Database) -> None:
    """Room for the groups of labels, and for guidelines: what does not belong to a label, and examples."""
    for statement in GROUP_TABLES.split(";"):
        db.execute(statement)


@migrations()
def m010_audit_samples(db: Database) -> None:
    """Room for audits that draw uncertain texts more often, and for certificates at any number of answers."""
    for statement in AUDIT_TABLES.split(";"):
        db.execute(statement)
    seal(db)


@migrations()
def m011_comparisons(db: Database) -> None:
    """Room for answers to the question which of two labels is right, and for the judge's test of them."""
    for statement in COMPARISON_TABLES.split(";"):
        db.execute(statement)
    seal(db)


@migrations()
def m012_audit_chances(db: Database) -> None:
    """Room for the smallest chances of a draw, so that draws may favour a part."""
    db.execute(AUDIT_CHANCE_TABLE)
    seal(db)


@migrations()
def m013_least_certain(db: Database) -> None:
    """Read the least certain texts of a round first, without a look at the others."""
    db.execute("CREATE INDEX prediction_belief ON prediction (round, belief)")


@migrations()
def m014_standing_examples(db: Database) -> None:
    """Leave out examples of guidelines with which a newer decision disagrees."""
    db.execute("DROP VIEW standing_example")
    db.execute(EXAMPLE_VIEW)


@migrations()
def m015_disputed_examples(db: Database) -> None:
    """Put a labelled example into the pool when a person rules its label out."""
    for statement in DISPUTED_VIEWS.split(";"):
        db.execute(statement)
