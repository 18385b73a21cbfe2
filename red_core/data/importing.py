"""Import files into a project: seeds, unlabelled texts, and, in a trial, hidden labels that only scoring reads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from red_core.data.choices import Choices
from red_core.data.preparing import Prepared, read_source
from red_core.data.tables import Row, text_id, write_table
from red_core.data.tables.many_objects import many_objects
from red_core.data.tables.rows import Several
from red_core.data.tallying import Tally, tally
from red_core.errors import InputError, SettingsError, StateError
from red_core.records import FEWEST_EXAMPLES, Project, Report, Role
from red_core.settings import DEFAULT_MODEL
from red_core.store.database import create_project
from red_core.store.labels import name_key, names_by_key
from red_core.store.rounds import refuse_in_mid_round
from red_core.store.texts import (
    ENCODER_CHOSEN,
    SourceFile,
    SourceRow,
    add_sources,
    facts,
    find_source,
    known_texts,
    labelled_texts,
    left_out_rows,
    remember,
    remembered,
    row_counts,
    shown_file,
)
from red_core.text import id_of_normalised


@dataclass(frozen=True)
class ImportSummary:
    """The result of one import of a file.

    Attributes
    ----------
    source_id : int
    file : str
    rows : int
        Rows in the file: always used + folded + left out.
    used : int
        Rows whose text is new in the project.
    seeds, pool : int
        Texts of the project after the import.
    labels : int
        Labels of the project after the import.
    folded : int
        Rows whose text the project already had. They keep their row and their columns.
    left_out : int
        Rows that cannot be used; see ``left_out_rows``.
    already_imported : bool
        True if the same file was imported before, so that nothing changed.
    notes : tuple of str
        What was guessed about the file: its format, its encoding, its columns.
    """

    source_id: int
    file: str
    rows: int
    used: int
    seeds: int
    pool: int
    labels: int
    folded: int
    left_out: int
    already_imported: bool
    notes: tuple[str, ...]


def import_files(  # public API: every option of an import is a keyword
    workspace: str | Path,
    name: str,
    labelled: str | Path | None = None,
    pool: str | Path | None = None,
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    answer_column: str | None = None,
    sheet: str | None = None,
    header_row: int | None = None,
    several: Several = "leave out",
    mail: bool | None = None,
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
    text_column, label_column, answer_column, sheet, header_row, several, mail : optional
        How the files are read; see :class:`red_core.data.choices.Choices`. What is not given is guessed.
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
    choices = Choices(text_column, label_column, answer_column, sheet, header_row, several, mail)
    prepared = [(role, read_source(path, role=role, choices=choices, report=report)) for role, path in wanted]
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
    known = existing(workspace, name)
    checked = [
        (role, file, source_rows(role, file, known, seeds_per_label=seeds_per_label, truth=truth or {}))
        for role, file in prepared
    ]
    fresh = [c for c in checked if known is None or find_source(known, c[1].table.sha256, c[0]) is None]
    _check_labels(known, [(file, rows) for _, file, rows in fresh])
    project = create_project(workspace, name)
    if fresh:
        refuse_in_mid_round(project)
    remember(project, "embedding", embedding or DEFAULT_MODEL)
    embedding_of_project = remembered(project, "embedding")
    if embedding not in (None, embedding_of_project):
        raise StateError(
            f"project {name} uses the encoder {embedding_of_project!r}. Leave the setting out, or change it for all "
            f"texts: `red encoder {name} {embedding}`."
        )
    if embedding is not None:
        remember(project, ENCODER_CHOSEN, embedding)
    report("store", 0, len(fresh))
    added = iter(add_sources(project, [(_source_file(role, file), rows) for role, file, rows in fresh], who))
    report("store", len(fresh), len(fresh))
    new = {id(file): next(added) for _, file, _ in fresh}
    return [_summary(project, role, file, new.get(id(file))) for role, file in prepared]


def existing(workspace: Path, name: str) -> Project | None:
    """Return the project of that name, None if there is none yet."""
    return Project(workspace, name) if (workspace / name / "project.db").is_file() else None


@many_objects()
def count_rows(project: Project | None, role: Role, file: Prepared, *, seeds_per_label: int | None = None) -> Tally:
    """Return what an import would make of a file's rows: what its result will say."""
    rows = source_rows(role, file, project, seeds_per_label=seeds_per_label)
    if project is None:
        return tally(rows)
    identities = list(dict.fromkeys(row.text_id for row in rows if row.text_id is not None))
    return tally(rows, known_texts(project, identities), names_by_key(project))


def source_rows(
    role: Role, file: Prepared, project: Project | None = None, *,
    seeds_per_label: int | None = None, truth: Mapping[str, str] | None = None,
) -> list[SourceRow]:  # fmt: skip
    """Return the rows to store: each is a seed, an unlabelled text, or left out."""
    seeds = _trial_seeds(file.rows, seeds_per_label) if seeds_per_label and role == "labelled" else None
    by_id = {text_id(text): label for text, label in (truth or {}).items()} if role == "pool" else {}
    called_now = {} if project is None else names_by_key(project)
    disputed = _disputed(file.rows, project, called_now)
    rows = []
    for row in file.rows:
        identity = id_of_normalised(row.text)
        label = row.label or row.rejected
        if disputed and label is not None and (identity, _key_now(label, called_now)) in disputed:
            reason = f"accepted and rejected as {label}"
            rows.append(SourceRow(row.row, None, "", left_out=reason, extra={file.columns.text: row.text} | row.extra))
            continue
        is_seed = role == "labelled" and row.label is not None
        if is_seed and seeds is not None:
            is_seed = (identity, name_key(row.label or "")) in seeds
        hidden = row.label if role == "labelled" and not is_seed else by_id.get(identity)
        rejected = row.rejected if role == "labelled" else None
        seed = row.label if is_seed else None
        rows.append(SourceRow(row.row, identity, row.text, seed, hidden, extra=row.extra, rejected=rejected))
    for left in file.left_out:
        begins = {file.columns.text: left.text} if left.text else {}
        rows.append(SourceRow(left.row, None, "", left_out=left.reason, extra=begins | left.extra))
    return sorted(rows, key=lambda r: r.row)


def _key_now(label: str, called_now: Mapping[str, str]) -> str:
    """Return the key of a label that may have been renamed or merged since."""
    return name_key(called_now.get(name_key(label), label))


def _disputed(rows: Sequence[Row], project: Project | None, called_now: Mapping[str, str]) -> set[tuple[str, str]]:
    """Return the pairs (text_id, label key) that some rows accept, or the project has, and others reject."""
    rejected = {(text_id(row.text), _key_now(row.rejected, called_now)) for row in rows if row.rejected is not None}
    if not rejected:
        return set()
    accepted = {(text_id(row.text), _key_now(row.label, called_now)) for row in rows if row.label is not None}
    if project is not None:
        accepted |= {(identity, key) for identity, key, _ in labelled_texts(project)}
    return rejected & accepted


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
    """Raise InputError, before anything is stored, if there are no labels to learn from."""
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
        bare = sorted(spelled[key] for key, count in seeds_of.items() if not count and key in spelled)
        if bare:
            more = f" and {len(bare) - 1} more" if len(bare) > 1 else ""
            rule = f"label {bare[0]!r}{more} would have no text of its own: each of its texts has two labels"
            raise InputError(name, rule, "Give each text one label")


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
    name = shown_file(file.table.name)
    return SourceFile(name, file.table.sha256, role, file.columns.text, file.columns.label, file.notes)


def _summary(project: Project, role: Role, file: Prepared, added: tuple[int, int] | None) -> ImportSummary:
    counts = facts(project)
    source_id = added[0] if added is not None else find_source(project, file.table.sha256, role) or 0
    of_file = row_counts(project, source_id)
    return ImportSummary(
        source_id=source_id,
        file=shown_file(file.table.name),
        rows=of_file["rows"],
        used=of_file["used"],
        folded=of_file["folded"],
        left_out=of_file["left_out"],
        seeds=counts["seeds"],
        pool=counts["pool"],
        labels=counts["labels"],
        already_imported=added is None,
        notes=(*file.notes, *_needs(project)),
    )


def _needs(project: Project) -> list[str]:
    """Return a note on the labels with too few examples to check them against each other."""
    names = labels_with_few_examples(project)
    if not names:
        return []
    listed = ", ".join(names[:5]) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")
    return [f"labels that need you: {listed}. Each has fewer than {FEWEST_EXAMPLES} examples; add some on Label map"]


def labels_with_few_examples(project: Project) -> list[str]:
    """Return the names of the labels with fewer than FEWEST_EXAMPLES examples, sorted."""
    counts, spelled = _seeds_by_label(project, [])
    return sorted(spelled[key] for key, count in counts.items() if count < FEWEST_EXAMPLES)


def write_left_out(project: Project, path: str | Path) -> int:
    """Write every unused row, with its file, row and reason, to a table; return how many."""
    return write_table(path, left_out_rows(project), ["file", "row", "reason", "content"])
