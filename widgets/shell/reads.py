"""Reads of the store, kept until something they show has changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import streamlit as st

from red_core.errors import StateError
from red_core.labels import draw_pool_map
from red_core.records import Floats, Label, Project, Round
from red_core.review import FeedBackPlan, plan_feed_back, summary
from red_core.review.audits import TARGET, AuditSummary, audited_accuracy, judge_record
from red_core.steps.audit_statistics import Share
from red_core.steps.label_map import cosine_similarities
from red_core.store import desk, final_labels, views
from red_core.store.labels import list_labels as stored_labels
from red_core.store.rounds import last_finished_round
from red_core.store.texts import facts as stored_facts
from red_core.store.texts import remembered
from red_core.store.views import Confusion, confusions
from red_core.training import ValidSamples, valid_samples
from red_core.training.samples import seed_label_vectors

Version = tuple[int, ...]


def round_number(project: Project) -> int:
    """Return the newest round that has beliefs, 0 before the first: what views take."""
    last = last_finished_round(project)
    return last.id if last else 0


def facts(project: Project) -> dict[str, int]:
    """Return the counts of the project's texts."""
    version = views.version(project)
    return _facts(project.folder.as_posix(), version[:2], project)


@st.cache_data(max_entries=20, show_spinner=False)
def _facts(folder: str, version: Version, _project: Project) -> dict[str, int]:  # noqa: ARG001  they are the key
    return stored_facts(_project)


def label_table(project: Project) -> list[dict[str, Any]]:
    """Return a row per label; see :func:`red_core.store.views.label_table`."""
    return _label_table(project.folder.as_posix(), views.version(project), project, round_number(project))


@st.cache_data(max_entries=20, show_spinner=False)
def _label_table(folder: str, version: Version, _project: Project, round_id: int) -> list[dict[str, Any]]:  # noqa: ARG001
    return views.label_table(_project, round_id)


def labels(project: Project) -> dict[int, Label]:
    """Return all labels by id."""
    version = views.version(project)
    return _labels(project.folder.as_posix(), (version[1], version[2]), project)


@st.cache_data(max_entries=20, show_spinner=False)
def _labels(folder: str, version: Version, _project: Project) -> dict[int, Label]:  # noqa: ARG001
    return {label.id: label for label in stored_labels(_project)}


def similarities(project: Project) -> Floats | None:
    """Return the cosine similarity of every two labels, shape (L, L), in the order of the label ids.

    None where a label has no seed, or a seed no vector yet: the texts are still to be prepared.
    """
    try:
        return _similarities(project.folder.as_posix(), views.version(project)[:2], project)
    except (StateError, KeyError):  # what a cached function raises is not kept
        return None


@st.cache_resource(max_entries=4, show_spinner="Comparing the labels")
def _similarities(folder: str, version: Version, _project: Project) -> Floats:  # noqa: ARG001
    found = cosine_similarities(seed_label_vectors(_project, remembered(_project, "embedding")))
    found.flags.writeable = False  # every session reads the same array
    return found


def pool_drawn(project: Project) -> Mapping[str, Any] | None:
    """Return the pool on the map (:func:`red_core.labels.pool_map.pool_map`); None before there is a map."""
    try:
        return _pool_drawn(project.folder.as_posix(), views.version(project)[:2], project)
    except (StateError, KeyError):
        return None


@st.cache_resource(max_entries=4, show_spinner="Drawing the pool")
def _pool_drawn(folder: str, version: Version, _project: Project) -> Mapping[str, Any]:  # noqa: ARG001
    drawn = draw_pool_map(_project, remembered(_project, "embedding"))
    for array in drawn.values():
        array.flags.writeable = False  # every session reads the same arrays
    return drawn


def confused(project: Project) -> list[Confusion]:
    """Return the pairs of labels that are confused; see :func:`red_core.store.confusions.confusions`."""
    return _confused(project.folder.as_posix(), views.version(project), project, round_number(project))


@st.cache_resource(max_entries=3, show_spinner=False)  # megabytes each, and every decision makes another version
def _confused(folder: str, version: Version, _project: Project, round_id: int) -> list[Confusion]:  # noqa: ARG001
    return confusions(_project, round_id)


def label_records(project: Project) -> tuple[dict[int, Share], dict[int, Share]]:
    """Return each label's audited accuracy, and the judge's record on it; see :mod:`red_core.label_facts`."""
    return _label_records(project.folder.as_posix(), views.version(project), project, last_finished_round(project))


@st.cache_resource(max_entries=3, show_spinner=False)
def _label_records(
    folder: str,  # noqa: ARG001  it is the key, as the version is
    version: Version,  # noqa: ARG001
    _project: Project,
    _last: Round | None,
) -> tuple[dict[int, Share], dict[int, Share]]:
    if _last is None:
        return {}, {}
    return audited_accuracy(_project), judge_record(_project, str(_last.metrics.get("judge", _last.judge)))


def source_counts(project: Project) -> dict[str, int]:
    """Return how many rows each source labels; see :func:`red_core.store.final_labels.source_counts`."""
    return _source_counts(project.folder.as_posix(), views.version(project), project, round_number(project))


@st.cache_data(max_entries=20, show_spinner=False)
def _source_counts(folder: str, version: Version, _project: Project, round_id: int) -> dict[str, int]:  # noqa: ARG001
    return final_labels.source_counts(_project, round_id)


def results_page(project: Project, page: int, filters: dict[str, Any]) -> tuple[list[dict[str, Any]], int]:
    """Return one page of results and how many rows match; see :func:`red_core.store.final_labels.results_page`."""
    version = views.version(project)
    return _results_page(project.folder.as_posix(), version, project, round_number(project), page, filters)


@st.cache_data(max_entries=50, show_spinner=False)
def _results_page(
    folder: str,  # noqa: ARG001  it is the key, as the version is
    version: Version,  # noqa: ARG001
    _project: Project,
    round_id: int,
    page: int,
    filters: dict[str, Any],
) -> tuple[list[dict[str, Any]], int]:
    return final_labels.results_page(_project, round_id, page=page, **filters)


def queue_counts(project: Project) -> dict[str, int]:
    """Return how many texts are in each queue of the review desk; see :func:`red_core.store.desk.queue_counts`."""
    return _queue_counts(project.folder.as_posix(), views.version(project), project, round_number(project))


@st.cache_data(max_entries=20, show_spinner=False)
def _queue_counts(folder: str, version: Version, _project: Project, round_id: int) -> dict[str, int]:  # noqa: ARG001
    return desk.queue_counts(_project, round_id)


def feed_back_plan(project: Project, *, accept: bool = False) -> FeedBackPlan:
    """Return what would be fed back now; see :func:`red_core.review.decisions.plan_feed_back`."""
    return _feed_back_plan(project.folder.as_posix(), views.version(project), project, accept=accept)


@st.cache_data(max_entries=20, show_spinner=False)
def _feed_back_plan(folder: str, version: Version, _project: Project, *, accept: bool) -> FeedBackPlan:  # noqa: ARG001
    return plan_feed_back(_project, accept_evidence_check=accept)


def audit_summary(project: Project) -> AuditSummary:
    """Return what the blind audits say; see :func:`red_core.review.audits.summary`."""
    return _audit_summary(project.folder.as_posix(), views.version(project), remembered(project, TARGET, ""), project)


@st.cache_data(max_entries=20, show_spinner=False)
def _audit_summary(folder: str, version: Version, target: str, _project: Project) -> AuditSummary:  # noqa: ARG001
    return summary(_project)


def audit_target(project: Project) -> float:
    """Return the accuracy the certificate is about."""
    return audit_summary(project).target


def evidence(project: Project) -> ValidSamples:
    """Return the valid samples as they were when the last round ended: what a card without a proposal shows."""
    version = views.version(project)
    return _evidence(project.folder.as_posix(), (*version[:3], *version[-2:]), project)


@st.cache_resource(max_entries=2, show_spinner="Reading the valid samples")
def _evidence(folder: str, version: Version, _project: Project) -> ValidSamples:  # noqa: ARG001
    ids = np.array([label.id for label in stored_labels(_project)], dtype=np.int64)
    return valid_samples(_project, remembered(_project, "embedding"), ids)
