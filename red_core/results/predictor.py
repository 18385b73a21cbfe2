"""Predict labels for new texts.

A :class:`Predictor` is a self-contained snapshot of the last round; :func:`labelled` applies it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from red_core.data.tables import choose_columns, read_table, usable_text, write_table
from red_core.data.tables.cells import as_text
from red_core.data.tables.source import refuse_same
from red_core.records import NONE_OF_THESE, Ints, Project, Report
from red_core.settings import Settings
from red_core.steps.belief import CANDIDATES_KEPT, beliefs_in
from red_core.steps.pool_scoring import averaged
from red_core.steps.subset_classifiers import Partition
from red_core.store.exports import beside
from red_core.store.labels import label_set_version, labels_now, list_labels
from red_core.store.rounds import require_finished_round
from red_core.training import Model, load_model, model_file
from red_core.training.features import NewTexts
from red_core.training.text_model import TextModel, without_neighbour_weights

TEXTS_AT_ONCE = 8_192
"""Texts whose features are in memory at once: 42 MB at 1,280 dimensions."""
PREDICTED = pa.schema(
    [
        ("row", pa.int64()), ("text", pa.string()), ("label", pa.string()), ("belief", pa.float64()),
        ("runner_up", pa.string()), ("runner_up_belief", pa.float64()), ("left_out", pa.string()),
    ]
)  # fmt: skip
"""Columns of a prediction; those of the input follow."""


@dataclass(frozen=True)
class Predictor:
    """Everything needed to label texts as a round's classifiers do: arrays and names, but no project; read only.

    Attributes
    ----------
    model : TextModel
    label_ids : ndarray of shape (L,), int64
    is_now : mapping of int to int or None
        Label id -> the label it is now: itself, or the one it was merged into; None if it was retired.
    names : mapping of int to str
        Label id -> name of the labels as they are now; '' for none of these.
    origin : str
        The project, its round and its label set version, as messages show them.
    fingerprint : str
        SHA-256 of all of the above except ``origin``: equal fingerprints give equal labels.
    """

    model: TextModel
    label_ids: Ints
    is_now: Mapping[int, int | None]
    names: Mapping[int, str]
    origin: str
    fingerprint: str


def make_predictor(project: Project) -> Predictor:
    """Return a snapshot of the last round's classifiers, with the labels as they are now.

    Raises
    ------
    StateError
        Before the first round.
    StoreError
        If a file of the round is missing or damaged.
    """
    last = require_finished_round(project)
    model = load_model(model_file(project, last.id))
    assumed = Settings.model_validate_json(last.settings).none_share
    shares = assumed, last.metrics.get("none_share", assumed)
    names = {label.id: label.name for label in list_labels(project)} | {NONE_OF_THESE: ""}
    version = label_set_version(project)
    predictor = Predictor(
        TextModel(*_inputs(project, model), model.calibration, shares),
        model.label_ids, labels_now(project), names,
        f"project {project.name}, round {last.id}, label set version {version}", "",
    )  # fmt: skip
    return replace(predictor, fingerprint=fingerprint(predictor))


def _inputs(project: Project, model: Model) -> tuple[NewTexts, Partition]:
    """Return the feature computation and the classifiers, both without kNN features if those have weight 0."""
    classifiers = averaged(model.partitions)
    if not model.features.neighbours or model.features.neighbour_weight:
        return model.features.of_new(project), classifiers
    return replace(model.features, neighbours="").of_new(project), without_neighbour_weights(classifiers)


def fingerprint(predictor: Predictor) -> str:
    """Return the SHA-256, in hexadecimal, of everything in a predictor that affects a label."""
    digest = hashlib.sha256()

    def add(value: object) -> None:
        if is_dataclass(value):
            for field in fields(value):
                add(getattr(value, field.name))
        elif isinstance(value, np.ndarray):
            digest.update(f"{value.dtype.str} {value.shape}".encode())
            digest.update(np.ascontiguousarray(value).data)
        else:
            digest.update(repr(sorted(value.items()) if isinstance(value, dict) else value).encode())

    add(replace(predictor, origin="", fingerprint=""))
    return digest.hexdigest()


def labelled(predictor: Predictor, table: pa.Table, text_column: str, rows: Ints | None = None) -> pa.Table:
    """Return a table's rows with their labels: the columns of PREDICTED, then the other columns of the table.

    A row whose text cannot be used has no label, and ``left_out`` says why. An input column with one of our names gets
    a prefix. A row's label depends on that row alone, so a table may be labelled in pieces.

    Parameters
    ----------
    table : pyarrow.Table
        In memory; features are computed for TEXTS_AT_ONCE texts at a time.
    text_column : str
    rows : ndarray of int64, optional
        Row numbers for the column ``row``; by default from 1.
    """
    texts = [usable_text(as_text(cell)) for cell in table[text_column].to_pylist()]
    usable = [index for index, (_, reason) in enumerate(texts) if not reason]
    best: list[tuple[str | None, float | None, str | None, float | None]] = [(None, None, None, None)] * len(texts)
    for start in range(0, len(usable), TEXTS_AT_ONCE):
        block = usable[start : start + TEXTS_AT_ONCE]
        for index, labels in zip(block, _best_two(predictor, [texts[index][0] for index in block]), strict=True):
            best[index] = labels
    ours = [
        np.arange(1, len(texts) + 1) if rows is None else rows,
        [text or None for text, _ in texts],
        *([labels[column] for labels in best] for column in range(4)),
        [reason or None for _, reason in texts],
    ]
    columns = {field.name: pa.array(cells, field.type) for field, cells in zip(PREDICTED, ours, strict=True)}
    theirs = {name: table[name] for name in table.column_names if name != text_column}
    return pa.table(beside(columns, theirs))


def _best_two(predictor: Predictor, texts: Sequence[str]) -> list[tuple[str, float, str, float]]:
    """Return for each text its label, the belief in it, the runner-up and the belief in that.

    The belief of a merged label is added to its target, that of a retired label to none of these.
    """
    now = [predictor.is_now[label] for label in predictor.label_ids.tolist()]
    given = sorted({label for label in now if label is not None})
    place = {label: number for number, label in enumerate(given)}
    of_column = np.array([-1 if label is None else place[label] for label in now], dtype=np.int64)
    names = [predictor.names[label] for label in (*given, NONE_OF_THESE)]
    # A sum over merged or retired labels needs all of them.
    keep = CANDIDATES_KEPT if now == predictor.label_ids.tolist() else len(now)
    best = []
    for top in predictor.model.candidates(texts, keep):
        shares = beliefs_in(top, of_column, len(given))
        rows = np.arange(len(shares))
        first = shares.argmax(axis=1)
        belief = shares[rows, first]
        shares[rows, first] = -1.0
        second = shares.argmax(axis=1)
        rows_of_two = zip(first, belief.tolist(), second, shares[rows, second].clip(0.0).tolist(), strict=True)
        best += [(names[n], round(share, 5), names[m], round(less, 5)) for n, share, m, less in rows_of_two]
    return best


def predict(
    project: Project,
    source: str | Path,
    target: str | Path,
    *,
    text_column: str | None = None,
    report: Report = lambda _stage, _done, _total: None,
) -> int:
    """Label the texts of a file with the last round's classifiers; return the number of rows. Nothing is stored.

    Every row of ``source`` is written; ``left_out`` says why a row has no label. Labels are as they are now: beliefs
    in labels merged since that round add up, and that in a retired label counts for none of these.

    Raises
    ------
    StateError
        Before the first round.
    InputError
        If a file cannot be read or written, or both are the same file.
    """
    refuse_same(source, target)
    predictor = make_predictor(project)
    table = read_table(source, progress=lambda done, total: report("read", done, total))
    column = choose_columns(table, text_column, need_label=False).text
    inputs = pa.table({name: pa.array(cells, pa.string()) for name, cells in table.frame.items()})
    columns = labelled(predictor, inputs.slice(0, 0), column).column_names

    def rows() -> Iterator[dict[str, object]]:
        report("predict", 0, len(inputs))
        for start in range(0, len(inputs), TEXTS_AT_ONCE):
            block = inputs.slice(start, TEXTS_AT_ONCE)
            yield from labelled(predictor, block, column, table.rows[start : start + len(block)]).to_pylist()
            report("predict", start + len(block), len(inputs))

    return write_table(target, rows(), columns)
