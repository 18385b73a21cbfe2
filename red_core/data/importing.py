"""Import files into a project: seeds, unlabelled texts, and, in a trial, hidden labels that only scoring reads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from red_core.data.tables import (
    Columns,
    LeftOut,
    Row,
    Table,
    choose_columns,
    read_table,
    text_id,
    usable_rows,
    write_table,
)
from red_core.errors import InputError, SettingsError, StateError
from red_core.records import FEWEST_EXAMPLES, ImportSummary, Project, Report, Role
from red_core.settings import DEFAULT_MODEL
from red_core.store.database import create_project
from red_core.store.labels import name_key, names_by_key
from red_core.store.rounds import refuse_in_mid_round
from red_core.store.texts import (
    SourceFile,
    SourceRow,
    add_sources,
    facts,
    find_source,
    labelled_texts,
    left_out_rows,
    remember,
    remembered,
)


@dataclass(frozen=True)
class Prepared:
    """A file that was read and checked but not stored yet: the preview of an import."""

    table: Table
    columns: Columns
    rows: tuple[Row, ...]
    left_out: tuple[LeftOut, ...]


def read_source(  # passes on the options of a file, each by its own keyword
    path: str | Path,
    *,
    role: Role,
    text_column: str | None = None,
    label_column: str | None = None,
    name: str | None = None,
    sheet: str | None = None,
    report: Report = lambda _stage, _done, _total: None,
) -> Prepared:
    """Return a file read from disk, with its columns and its usable and unusable rows.

    Raises
    ------
    InputError
        If the file, or the columns asked for, cannot be used.
    """
    table = read_table(path, name=name, sheet=sheet, progress=lambda done, total: report("read", done, total))
    return sort_rows(table, role=role, text_column=text_column, label_column=label_column)


def sort_rows(table: Table, *, role: Role, text_column: str | None = None, label_column: str | None = None) -> Prepared:
    """Return a table with its columns, guessed or checked, and its usable and unusable rows.

    Raises
    ------
    InputError
        If a column does not exist, or none can be guessed.
    """
    columns = choose_columns(table, text_column, label_column, need_label=role == "labelled")
    if role == "pool":  # a pool file has no label column, whatever its columns are called
        columns = Columns(columns.text, None, tuple(n for n in columns.notes if not n.startswith("label column")))
    rows, left_out = usable_rows(table, columns)
    return Prepared(table, columns, tuple(rows), tuple(left_out))


def import_files(  # public API: every option of an import is a keyword
    workspace: str | Path,
    name: str,
    labelled: str | Path | None = None,
    pool: str | Path | None = None,
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    seeds_per_label: int | None = None,
    truth: Mapping[str, str] | None = None,
    embedding: str | None = None,
    who: str = "analyst",
    report: Report = lambda _stage, _done, _total: None,
) -> list[ImportSummary]:
    """Import files into a project, created if it does not exist. All files are imported, or none.

    Parameters
    ----------
    workspace : path
    name : str
    labelled : path, optional
        Rows with a label are seeds; rows without one are pool.
    pool : path, optional
        Every row is an unlabelled text, whatever its columns.
    text_column, label_column : str, optional
        Guessed if not given.
    seeds_per_label : int, optional
        At least 2. Creates a *trial project* with this many random seeds per label (the same in every run). The other
        rows become unlabelled texts, and their labels are stored as hidden truth.
    truth : mapping of text to label name, optional
        The true labels of unlabelled texts, for a trial project whose pool is a file of its own.
    embedding : str, optional
        The embedding model, ``all-MiniLM-L6-v2`` by default. The first import of a project fixes it.
    who : str
    report : callable(stage, done, total), optional

    Returns
    -------
    list of ImportSummary
        One per file. A file that was imported before is skipped.

    Raises
    ------
    InputError, SettingsError, ProjectError, StateError, StoreError
    """
    if labelled is None and pool is None:
        raise SettingsError("there is nothing to import. Give a file with --labelled or --pool.")
    if seeds_per_label is not None and seeds_per_label < FEWEST_EXAMPLES:
        raise SettingsError(f"seeds per label must be at least {FEWEST_EXAMPLES}; got {seeds_per_label}.")
    wanted: list[tuple[Role, str | Path]] = []
    wanted += [("labelled", labelled)] if labelled is not None else []
    wanted += [("pool", pool)] if pool is not None else []
    prepared = [
        (role, read_source(path, role=role, text_column=text_column,
                           label_column=label_column if role == "labelled" else None, report=report))
        for role, path in wanted
    ]  # fmt: skip
    return store_prepared(
        Path(workspace), name, prepared,
        seeds_per_label=seeds_per_label, truth=truth or {}, embedding=embedding, who=who, report=report,
    )  # fmt: skip


def store_prepared(  # the options of import_files that concern storing
    workspace: Path,
    name: str,
    prepared: Sequence[tuple[Role, Prepared]],
    *,
    seeds_per_label: int | None = None,
    truth: Mapping[str, str] | None = None,
    embedding: str | None = None,
    who: str = "analyst",
    report: Report = lambda _stage, _done, _total: None,
) -> list[ImportSummary]:
    """Store files read by :func:`read_source` and return a summary of each; see :func:`import_files`."""
    checked = [(role, file, _roles_of_rows(role, file, seeds_per_label, truth or {})) for role, file in prepared]
    database = workspace / name / "project.db"
    known = Project(workspace, name) if database.is_file() else None
    fresh = [c for c in checked if known is None or find_source(known, c[1].table.sha256, c[0]) is None]
    _check_labels(known, [(file, rows) for _, file, rows in fresh])
    project = create_project(workspace, name)
    if fresh:
        refuse_in_mid_round(project)
    remember(project, "embedding", embedding or DEFAULT_MODEL)
    embedding_of_project = remembered(project, "embedding")
    if embedding not in (None, embedding_of_project):
        raise StateError(
            f"project {name} uses the embedding {embedding_of_project!r}. It cannot change; leave the setting out."
        )
    report("store", 0, len(fresh))
    added = iter(add_sources(project, [(_source_file(role, file), rows) for role, file, rows in fresh], who))
    report("store", len(fresh), len(fresh))
    new = {id(file): next(added) for _, file, _ in fresh}
    return [_summary(project, role, file, new.get(id(file))) for role, file in prepared]


def _roles_of_rows(
    role: Role, file: Prepared, seeds_per_label: int | None, truth: Mapping[str, str]
) -> list[SourceRow]:
    """Return the rows to store: each is a seed, an unlabelled text, or left out."""
    seeds = _trial_seeds(file.rows, seeds_per_label) if seeds_per_label and role == "labelled" else None
    by_id = {text_id(text): label for text, label in truth.items()} if role == "pool" else {}
    rows = []
    for row in file.rows:
        identity = text_id(row.text)
        is_seed = role == "labelled" and row.label is not None
        if is_seed and seeds is not None:
            is_seed = (identity, name_key(row.label or "")) in seeds
        hidden = row.label if role == "labelled" and not is_seed else by_id.get(identity)
        rows.append(SourceRow(row.row, identity, row.text, row.label if is_seed else None, hidden, extra=row.extra))
    for left in file.left_out:
        begins = {file.columns.text: left.text} if left.text else {}
        rows.append(SourceRow(left.row, None, "", left_out=left.reason, extra=begins | left.extra))
    return sorted(rows, key=lambda r: r.row)


def _trial_seeds(rows: Sequence[Row], seeds_per_label: int) -> set[tuple[str, str]]:
    """Return the seeds of a trial as (text_id, label key): distinct texts with one label, the same at every call."""
    labels_of: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row.label is not None:
            labels_of[text_id(row.text)].add(name_key(row.label))
    of_label: dict[str, list[str]] = defaultdict(list)
    for identity, names in labels_of.items():
        if len(names) == 1:
            of_label[min(names)].append(identity)
    rng = np.random.default_rng(0)
    return {
        (str(identity), label)
        for label, identities in sorted(of_label.items())
        for identity in rng.permutation(sorted(identities))[:seeds_per_label]
    }


def _check_labels(known: Project | None, files: Sequence[tuple[Prepared, Sequence[SourceRow]]]) -> None:
    """Raise InputError, before anything is stored, if the labels have too few examples to learn from."""
    labelled = [(file, rows) for file, rows in files if any(row.label is not None for row in rows)]
    if not labelled and known is None and files:
        rule, remedy = "a new project needs labelled texts", "Import labelled examples too: --labelled FILE"
        raise InputError(files[0][0].table.name, rule, remedy)
    seeds_of, spelled = _seeds_by_label(known, [row for _, rows in labelled for row in rows])
    for file, _ in labelled:
        name = file.table.name
        if len(seeds_of) < 2:
            rule = f"column {file.columns.label!r} has {len(seeds_of)} label, but at least 2 are needed"
            raise InputError(name, rule, "Check the label column")
        poor = sorted(spelled[key] for key, count in seeds_of.items() if count < FEWEST_EXAMPLES and key in spelled)
        if poor:
            more = f" and {len(poor) - 1} more" if len(poor) > 1 else ""
            rule = f"label {poor[0]!r}{more} has fewer than {FEWEST_EXAMPLES} different texts of its own"
            raise InputError(name, rule, "Add texts for it, or take its rows out")


def _seeds_by_label(known: Project | None, rows: Sequence[SourceRow]) -> tuple[dict[str, int], dict[str, str]]:
    """Return label key -> seeds after the import, and label key -> name; texts with two labels do not count."""
    labels_of: dict[str, set[str]] = defaultdict(set)
    spelled: dict[str, str] = {}
    for identity, key, name in labelled_texts(known) if known is not None else []:
        labels_of[identity].add(key)
        spelled[key] = name
    called_now = {} if known is None else names_by_key(known)
    for row in rows:
        if row.label is not None and row.text_id is not None:
            name = called_now.get(name_key(row.label), row.label)
            labels_of[row.text_id].add(name_key(name))
            spelled.setdefault(name_key(name), name)
    counts: dict[str, int] = defaultdict(int)
    for keys in labels_of.values():
        for key in keys:
            counts[key] += len(keys) == 1
    return counts, spelled


def _source_file(role: Role, file: Prepared) -> SourceFile:
    return SourceFile(
        file.table.name, file.table.sha256, role, file.columns.text, file.columns.label,
        (*file.table.notes, *file.columns.notes),
    )  # fmt: skip


def _summary(project: Project, role: Role, file: Prepared, added: tuple[int, int] | None) -> ImportSummary:
    counts = facts(project)
    source_id, new_texts = added or (find_source(project, file.table.sha256, role) or 0, 0)
    reasons = [r for r in left_out_rows(project) if r["source"] == source_id]
    return ImportSummary(
        source_id=source_id,
        file=file.table.name,
        rows=len(file.table.rows),
        seeds=counts["seeds"],
        pool=counts["pool"],
        labels=counts["labels"],
        folded=len(file.rows) - new_texts,
        left_out=len(reasons),
        already_imported=added is None,
        notes=(*file.table.notes, *file.columns.notes),
    )


def write_left_out(project: Project, path: str | Path) -> int:
    """Write every unused row, with its file, row and reason, to a table; return how many."""
    return write_table(path, left_out_rows(project), ["file", "row", "reason", "content"])
