"""What came out: the state of a project, every row with its label and where it comes from, labels for new texts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from red_core.auditing import summary
from red_core.importing import Report
from red_core.metrics import agreement, true_labels
from red_core.predicting import TEXTS_AT_ONCE, labelled, make_predictor
from red_core.records import Project, Round
from red_core.settings import Settings
from red_core.steps.stopping import Recommendation, RoundSignals, recommend
from red_core.store.decisions import decided
from red_core.store.exports import opened_export
from red_core.store.labels import label_set_version, labels
from red_core.store.rounds import current_training_rows, predicted_labels, rounds
from red_core.store.texts import facts, remembered
from red_core.tables import choose_columns, read_table, write_table
from red_core.tables.source import ending
from red_core.worker import mark_interrupted


def status(project: Project) -> dict[str, Any]:
    """Return the facts of a project: counts, the last round, what it says about stopping, how sure and how right.

    ``expected_agreement`` is the mean best belief over the pool; ``true_agreement``, of a trial project only, the
    share of the pool whose label, decisions included, is the true one; ``audit`` what blind audits say, see
    :class:`red_core.auditing.AuditSummary`. All three are None before the first round.
    """
    done = [r for r in rounds(project) if r.metrics]
    job = mark_interrupted(project)
    counts = facts(project)
    trained = len(current_training_rows(project))
    return {
        "project": project.name,
        "trial": counts.pop("truths") > 0,
        "embedding": remembered(project, "embedding"),
        "label_set_version": label_set_version(project),
        **counts,
        "fed_back": trained - counts["seeds"],
        "decided": len(decided(project)),
        "round": _round_facts(rounds(project)[-1]) if rounds(project) else None,
        "expected_agreement": done[-1].metrics["expected_agreement"] if done else None,
        "true_agreement": _true_agreement(project, done[-1].id) if done else None,
        "audit": asdict(summary(project)) if done else None,
        "stopping": asdict(recommendation(project)) if done else None,
        "job": {"id": job.id, "kind": job.kind, "state": job.state, "stage": job.stage, "error": job.error}
        if job
        else None,
    }


def recommendation(project: Project) -> Recommendation:
    """Return whether to run another round, from the signals of all finished rounds (article step 4)."""
    done = [r for r in rounds(project) if r.metrics]
    if not done:
        return Recommendation(False, "No round is finished yet: run one.")
    return recommend(_signals(done), least_information=_settings(done[-1]).least_information)


def _round_facts(last: Round) -> dict[str, Any]:
    return {
        "number": last.id,
        "state": last.state,
        "preset": _settings(last).preset,
        "judge": last.judge,
        "started_at": last.started_at,
        **last.metrics,
    }


def _settings(one: Round) -> Settings:
    return Settings.model_validate_json(one.settings)


def _signals(done: list[Round]) -> list[RoundSignals]:
    wanted = ("uncertain", "information_gain", "worth_asking", "failed", "complete")
    return [RoundSignals(asked=r.metrics["questions"], **{name: r.metrics[name] for name in wanted}) for r in done]


def _true_agreement(project: Project, round_id: int) -> float | None:
    texts, machine = predicted_labels(project, round_id)
    fixed = decided(project)
    final = np.array([fixed.get(text, label) for text, label in zip(texts.tolist(), machine.tolist(), strict=True)])
    return agreement(texts, final, true_labels(project, labels(project)))


def export(project: Project, path: str | Path) -> int:
    """Write every source row with its label and its provenance; return how many rows were written.

    JSONL is lossless: it holds every decision as well, and :func:`red_core.restoring.restore_decisions` reads it.

    Parameters
    ----------
    path : path
        .csv, .tsv, .jsonl, each also with .gz, or .parquet.

    Raises
    ------
    InputError
        If it cannot be written there.
    """
    last = [r for r in rounds(project) if r.metrics]
    lossless = ending(str(path)) == "jsonl"
    with opened_export(project, last[-1].id if last else 0, lossless=lossless) as (columns, rows):
        return write_table(path, rows, columns)


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
