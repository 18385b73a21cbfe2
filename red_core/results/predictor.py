"""Labels for texts that are not in the project: all that takes as one value, and the one function that uses it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from red_core.data.tables import choose_columns, read_table, usable_text, write_table
from red_core.data.tables.cells import as_text
from red_core.records import NONE_OF_THESE, Ints, Project, Report
from red_core.settings import Settings
from red_core.steps.belief import CANDIDATES_KEPT, Calibration, candidates, ranked, with_share_of_none
from red_core.steps.pool_scoring import averaged, blocks, label_log_odds
from red_core.steps.subset_classifiers import Partition
from red_core.store.exports import beside
from red_core.store.labels import label_set_version, labels_now, list_labels
from red_core.store.rereading import read_as_now
from red_core.store.rounds import require_finished_round
from red_core.training import Model, load_model, model_file
from red_core.training.features import NewTexts

TEXTS_AT_ONCE = 8_192
"""Texts whose features are held at once: 42 MB at 1,280 dimensions."""
PREDICTED = pa.schema(
    [
        ("row", pa.int64()), ("text", pa.string()), ("label", pa.string()), ("belief", pa.float64()),
        ("runner_up", pa.string()), ("runner_up_belief", pa.float64()), ("left_out", pa.string()),
    ]
)  # fmt: skip
"""The columns of a prediction, before those the texts came with."""


@dataclass(frozen=True)
class Predictor:
    """All it takes to label texts as a round's classifiers do: arrays and names, without the project; read only.

    Attributes
    ----------
    texts : NewTexts
        What makes features of texts.
    classifiers : Partition
        All partitions averaged, L labels.
    calibration : Calibration
    none_shares : (float, float)
        The share of texts that belong to no label: for which the calibration was fitted, and of the pool.
    label_ids : ndarray of shape (L,), int64
    is_now : mapping of int to int or None
        What each label is now: itself, what it was merged into, None where it is retired.
    names : mapping of int to str
        Of the labels there are now; '' for none of these.
    origin : str
        In words for people: the project, its round, the version of its label set.
    fingerprint : str
        SHA-256 of all of the above but ``origin``: where it is the same, so are the labels.
    """

    texts: NewTexts
    classifiers: Partition
    calibration: Calibration
    none_shares: tuple[float, float]
    label_ids: Ints
    is_now: Mapping[int, int | None]
    names: Mapping[int, str]
    origin: str
    fingerprint: str


def make_predictor(project: Project) -> Predictor:
    """Return what labels new texts: the last round's classifiers, the labels as they are now.

    Raises
    ------
    StateError
        Before the first round.
    StoreError
        If a file of the round is missing or damaged.
    """
    last = require_finished_round(project)
    model = load_model(model_file(project, last.id))
    texts, classifiers = _seen(project, model)
    fitted_for = Settings.model_validate_json(last.settings).none_share
    names = {label.id: label.name for label in list_labels(project)} | {NONE_OF_THESE: ""}
    version = label_set_version(project)
    made = Predictor(
        texts, classifiers, model.calibration, (fitted_for, last.metrics.get("none_share", fitted_for)),
        model.label_ids, labels_now(project), names,
        f"project {project.name}, round {last.id}, label set version {version}", "",
    )  # fmt: skip
    return replace(made, fingerprint=fingerprint(made))


def _seen(project: Project, model: Model) -> tuple[NewTexts, Partition]:
    """Return what makes features and the classifiers; where nothing near counts, neither holds it."""
    classifiers = averaged(model.partitions)
    if not model.features.near or model.features.near_weight:
        return model.features.of_new(project), classifiers
    own = classifiers.weights.shape[1] // 2
    alone = replace(classifiers, weights=np.ascontiguousarray(classifiers.weights[:, :own]))
    return replace(model.features, near="").of_new(project), alone


def fingerprint(made: Predictor) -> str:
    """Return the SHA-256, in hexadecimal, of everything in a predictor that decides a label."""
    found = hashlib.sha256()

    def add(value: object) -> None:
        if is_dataclass(value):
            for field in fields(value):
                add(getattr(value, field.name))
        elif isinstance(value, np.ndarray):
            found.update(f"{value.dtype.str} {value.shape}".encode())
            found.update(np.ascontiguousarray(value).data)
        else:
            found.update(repr(sorted(value.items()) if isinstance(value, dict) else value).encode())

    add(replace(made, origin="", fingerprint=""))
    return found.hexdigest()


def labelled(predictor: Predictor, table: pa.Table, text_column: str, rows: Ints | None = None) -> pa.Table:
    """Return a table's rows with their labels: the columns of PREDICTED, then those it came with.

    A row whose text cannot be used has no label and says why in ``left_out``. A column that is named like one of ours
    gets a prefix. Nothing but the rows themselves decides a label, so any cut of a table gives the same.

    Parameters
    ----------
    table : pyarrow.Table
        Held whole; features are made of TEXTS_AT_ONCE texts at a time.
    text_column : str
    rows : ndarray of int64, optional
        Each row's number as a person counts, from 1 unless given.
    """
    told = [usable_text(as_text(cell)) for cell in table[text_column].to_pylist()]
    usable = [place for place, (_, reason) in enumerate(told) if not reason]
    best: list[tuple[str | None, float | None, str | None, float | None]] = [(None, None, None, None)] * len(told)
    for start in range(0, len(usable), TEXTS_AT_ONCE):
        block = usable[start : start + TEXTS_AT_ONCE]
        for place, found in zip(block, _best_two(predictor, [told[place][0] for place in block]), strict=True):
            best[place] = found
    ours = [
        np.arange(1, len(told) + 1) if rows is None else rows,
        [text or None for text, _ in told],
        *([found[column] for found in best] for column in range(4)),
        [reason or None for _, reason in told],
    ]
    columns = {field.name: pa.array(cells, field.type) for field, cells in zip(PREDICTED, ours, strict=True)}
    theirs = {name: table[name] for name in table.column_names if name != text_column}
    return pa.table(beside(columns, theirs))


def _best_two(predictor: Predictor, texts: Sequence[str]) -> list[tuple[str, float, str, float]]:
    """Return of each text its label, the belief in it, the runner-up and the belief in that."""
    features, found = predictor.texts.features(texts), []
    for block in blocks(len(texts)):
        log_odds = label_log_odds(features[block], (predictor.classifiers,))
        kept = candidates(log_odds, predictor.calibration, CANDIDATES_KEPT)
        ids, beliefs = ranked(predictor.label_ids, with_share_of_none(kept, *predictor.none_shares))
        for one, shares in zip(ids.tolist(), beliefs.tolist(), strict=True):
            (label, belief), (rival, less), *_ = [
                *read_as_now(list(zip(one, shares, strict=True)), predictor.is_now), (NONE_OF_THESE, 0.0),
            ]  # fmt: skip
            found.append((predictor.names[label], round(belief, 5), predictor.names[rival], round(less, 5)))
    return found


def predict(
    project: Project,
    source: str | Path,
    target: str | Path,
    *,
    text_column: str | None = None,
    report: Report = lambda _stage, _done, _total: None,
) -> int:
    """Label the texts of a file with the last round's classifiers, without storing them; return how many.

    Every row of ``source`` is written, those that cannot be used with the reason in ``left_out``. Labels are as they
    are now: of those merged since that round the beliefs add up, in place of a retired one the next best stands.

    Raises
    ------
    StateError
        Before the first round.
    InputError
        If a file cannot be read or written.
    """
    predictor = make_predictor(project)
    table = read_table(source, progress=lambda done, total: report("read", done, total))
    column = choose_columns(table, text_column, need_label=False).text
    whole = pa.table({name: pa.array(cells, pa.string()) for name, cells in table.frame.items()})
    columns = labelled(predictor, whole.slice(0, 0), column).column_names

    def rows() -> Iterator[dict[str, object]]:
        report("predict", 0, len(whole))
        for start in range(0, len(whole), TEXTS_AT_ONCE):
            part = whole.slice(start, TEXTS_AT_ONCE)
            yield from labelled(predictor, part, column, table.rows[start : start + len(part)]).to_pylist()
            report("predict", start + len(part), len(whole))

    return write_table(target, rows(), columns)
