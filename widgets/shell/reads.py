"""What the pages read of a project. Every result is cached until something that it shows has changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from math import ceil
from typing import Any

import numpy as np

from red_core.data import importing
from red_core.errors import StateError
from red_core.labels import draw_pool_map
from red_core.labels.kept_drift import KEPT_OF, KeptDrift, kept_drift
from red_core.records import Floats, Label, Project
from red_core.review import FeedBackPlan, outlook, plan_feed_back, summary
from red_core.review.audit_report import AuditSummary, audited_accuracy, judge_record
from red_core.review.audits import TARGET
from red_core.rounds import accuracy
from red_core.rounds.accuracy import RoundLabels
from red_core.rounds.changes import Changes
from red_core.rounds.changes import what_changed as last_changes
from red_core.rounds.plan import Plan
from red_core.rounds.plan import plan as plan_from_now
from red_core.steps.audit_statistics import Share
from red_core.steps.label_map import cosine_similarities
from red_core.store import desk, final_labels, source_columns, views
from red_core.store.labels import list_labels as stored_labels
from red_core.store.rounds import current_training_rows, last_finished_round
from red_core.store.texts import facts as stored_facts
from red_core.store.texts import remembered
from red_core.store.views import Believed, Confusion, believed_pairs, confusions
from red_core.training import ValidSamples, valid_samples
from red_core.training.samples import seed_label_vectors
from widgets.shell.caching import EDITS, IMPORTS, MEANINGS, ROUNDS, cached_read


def round_number(project: Project) -> int:
    """Return the number of the newest round that has confidences, 0 before the first: what ``views`` takes."""
    last = last_finished_round(project)
    return last.id if last else 0


@cached_read((IMPORTS, EDITS))
def facts(project: Project) -> dict[str, int]:
    """Return the counts of the project's texts; see :func:`red_core.store.texts.facts`."""
    return stored_facts(project)


@cached_read((IMPORTS, EDITS))
def labels_with_few_examples(project: Project) -> list[str]:
    """Return names of labels; see :func:`red_core.data.importing.labels_with_few_examples`."""
    return importing.labels_with_few_examples(project)


@cached_read((IMPORTS,))
def sources(project: Project) -> list[dict[str, Any]]:
    """Return a row per imported file; see :func:`red_core.store.views.sources`."""
    return views.sources(project)


@cached_read((IMPORTS,))
def column_names(project: Project) -> list[str]:
    """Return the names of the columns of the source files; see :func:`red_core.store.source_columns.column_names`."""
    return source_columns.column_names(project)


@cached_read()
def label_table(project: Project) -> list[dict[str, Any]]:
    """Return a row per label; see :func:`red_core.store.views.label_table`."""
    number = round_number(project)
    return views.label_table(project, number, _labelled_texts(project, number))


@cached_read((EDITS, *ROUNDS), entries=2, shared=True)
def _labelled_texts(project: Project, number: int) -> views.LabelledTexts:
    return views.labelled_texts_of(project, number)


@cached_read((EDITS, MEANINGS))
def labels(project: Project) -> dict[int, Label]:
    """Return all labels by id."""
    return {label.id: label for label in stored_labels(project)}


def similarities(project: Project) -> Floats | None:
    """Return the cosine similarity of every two labels, shape (L, L), in the order of the label ids.

    None where a label has no labelled example, or an example has no vector yet: the texts are not prepared.
    """
    try:
        return _similarities(project)
    except (StateError, KeyError):
        return None


@cached_read((IMPORTS, EDITS), entries=4, shared=True, spinner="Comparing the labels")
def _similarities(project: Project) -> Floats:
    similarity = cosine_similarities(seed_label_vectors(project, remembered(project, "embedding")))
    similarity.flags.writeable = False  # every session reads the same array
    return similarity


def pool_drawn(project: Project) -> Mapping[str, Any] | None:
    """Return the unlabelled texts on the map (:mod:`red_core.labels.pool_map`); None before there is a map."""
    try:
        return _pool_drawn(project)
    except (StateError, KeyError):
        return None


@cached_read((IMPORTS, EDITS), entries=4, shared=True, spinner="Painting the unlabelled texts on the map")
def _pool_drawn(project: Project) -> Mapping[str, Any]:
    drawn = draw_pool_map(project, remembered(project, "embedding"))
    for array in drawn.values():
        array.flags.writeable = False  # every session reads the same arrays
    return drawn


@cached_read(entries=3, shared=True)  # megabytes each, and every decision makes another version
def confused(project: Project) -> list[Confusion]:
    """Return the pairs of labels that are confused; see :func:`red_core.store.views.confusions`."""
    number = round_number(project)
    return confusions(project, number, _believed_pairs(project, number))


@cached_read(entries=3, shared=True)
def confused_by_label(project: Project) -> dict[int, tuple[float, Confusion]]:
    """Return the number of confused texts of each label that is confused, and its worst pair."""
    texts: dict[int, float] = defaultdict(float)
    worst: dict[int, Confusion] = {}
    for pair in confused(project):
        for label in pair.labels:
            texts[label] += pair.texts
            worst.setdefault(label, pair)
    return {label: (texts[label], pair) for label, pair in worst.items()}


@cached_read((EDITS, *ROUNDS), entries=2, shared=True)
def _believed_pairs(project: Project, number: int) -> Believed:
    return believed_pairs(project, number)


def drift(project: Project) -> KeptDrift | None:
    """Return the comparison of imports; see :func:`red_core.labels.kept_drift.kept_drift`."""
    return _drift(project, remembered(project, KEPT_OF))


@cached_read(entries=3, shared=True)
def _drift(project: Project, of: str) -> KeptDrift | None:  # noqa: ARG001  another comparison is a new key
    return kept_drift(project)


@cached_read()
def overturned(project: Project) -> dict[int, tuple[int, int]]:
    """Return how often the verdicts on each label were overturned; see ``views.overturned_verdicts``."""
    return views.overturned_verdicts(project)


@cached_read(entries=3, shared=True)
def label_records(project: Project) -> tuple[dict[int, Share], dict[int, Share]]:
    """Return each label's accuracy in the audits, and the judge's accuracy on it, by label id.

    See :func:`red_core.review.audits.audited_accuracy` and :func:`red_core.review.audits.judge_record`. Both are
    empty before the first round.
    """
    last = last_finished_round(project)
    if last is None:
        return {}, {}
    return audited_accuracy(project), judge_record(project, str(last.metrics.get("judge", last.judge)))


@cached_read()
def source_counts(project: Project) -> dict[str, int]:
    """Return how many rows each source labels; see :func:`red_core.store.final_labels.source_counts`."""
    number = round_number(project)
    return final_labels.source_counts(project, number, _counts_without_answers(project, number))


@cached_read((IMPORTS, EDITS, MEANINGS, *ROUNDS), entries=4)
def _counts_without_answers(project: Project, number: int) -> dict[str, int]:
    return final_labels.counts_without_answers(project, number)


@cached_read()
def what_changed(project: Project) -> Changes | None:
    """Return what the last round changed; see :func:`red_core.rounds.changes.what_changed`."""
    return last_changes(project)


@cached_read(entries=50)
def results_page(project: Project, page: int, filters: dict[str, Any]) -> tuple[list[dict[str, Any]], int]:
    """Return one page of results and how many rows match; see :func:`red_core.store.final_labels.results_page`."""
    return final_labels.results_page(project, round_number(project), page=page, **filters)


@cached_read()
def queue_counts(project: Project) -> dict[str, int]:
    """Return how many texts are in each queue of the review desk; see :func:`red_core.store.desk.queue_counts`."""
    return desk.queue_counts(project, round_number(project))


@cached_read()
def training_texts(project: Project) -> int:
    """Return how many texts would train a round now; see :func:`red_core.store.rounds.current_training_rows`."""
    return len(current_training_rows(project))


@cached_read(shared=True)
def feed_back_plan(project: Project, *, accept: bool = False) -> FeedBackPlan:
    """Return what would be fed back now; see :func:`red_core.review.decisions.plan_feed_back`."""
    return plan_feed_back(project, accept_evidence_check=accept)


def audit_summary(project: Project) -> AuditSummary:
    """Return the measured accuracy and the certificate; see :func:`red_core.review.audit_report.summary`."""
    return _audit_summary(project, remembered(project, TARGET, ""))


@cached_read()
def _audit_summary(project: Project, target: str) -> AuditSummary:  # noqa: ARG001  a changed target is a new key
    return summary(project)


@cached_read()
def accuracy_now(project: Project) -> tuple[float | None, float | None]:
    """Return the estimated and the true accuracy; see :func:`red_core.rounds.accuracy.accuracy_now`."""
    return accuracy.accuracy_now(project, _round_labels(project, round_number(project)))


@cached_read((IMPORTS, EDITS, *ROUNDS), entries=2, shared=True)
def _round_labels(project: Project, _number: int) -> RoundLabels | None:
    return accuracy.round_labels(project)


def plan(project: Project) -> Plan | None:
    """Return what it takes to reach the goal; see :func:`red_core.rounds.plan.plan`."""
    return _plan(project, remembered(project, TARGET, ""))


@cached_read()
def _plan(project: Project, target: str) -> Plan | None:  # noqa: ARG001  a changed target is a new key
    return plan_from_now(project, accuracy_now(project)[0])


def work_to_certify(project: Project) -> tuple[int, int] | None:
    """Return decisions and audits to a certificate; see :func:`red_core.review.outlook.work_to_certify`."""
    return _work_to_certify(project, remembered(project, TARGET, ""))


@cached_read()
def _work_to_certify(project: Project, target: str) -> tuple[int, int] | None:  # noqa: ARG001  as above
    return outlook.work_to_certify(project)


def part_to_certify(project: Project) -> tuple[float, int] | None:
    """Return the part to certify and its answers; see :func:`red_core.review.outlook.part_to_certify`.

    None also if a part is certified.
    """
    return None if audit_summary(project).selective else _part_to_certify(project, remembered(project, TARGET, ""))


@cached_read((IMPORTS, EDITS, *ROUNDS))  # the plan of a page, and .2 s among 100,000 texts: a decision changes little
def _part_to_certify(project: Project, target: str) -> tuple[float, int] | None:  # noqa: ARG001  as above
    return outlook.part_to_certify(project)


@cached_read((IMPORTS, EDITS, *ROUNDS))  # as above
def second_answers(project: Project) -> float:
    """Return the share of second answers; see :func:`red_core.review.outlook.second_answers`."""
    return outlook.second_answers(project)


def worth_doing(project: Project) -> int:
    """Return how many decisions the plan takes to the goal; 0 without a plan, or where none are needed or enough."""
    current = plan(project)
    if current is None or current.reached or current.you.needed is None:
        return 0
    return min(ceil(current.you.needed.decisions), queue_counts(project)["to decide"])


def audit_target(project: Project) -> float:
    """Return the accuracy that the certificate is about, from 0 to 1."""
    return audit_summary(project).target


@cached_read((IMPORTS, EDITS, MEANINGS, *ROUNDS), entries=2, shared=True, spinner="Reading the valid examples")
def evidence(project: Project) -> ValidSamples:
    """Return the valid samples as they were when the last round ended: what a card without a suggested label shows."""
    ids = np.array([label.id for label in stored_labels(project)], dtype=np.int64)
    return valid_samples(project, remembered(project, "embedding"), ids)
