"""The figures of a round: how sure it is, how much it learned, and, in a trial project, how often it is right."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from red_core.records import NONE_OF_THESE, Floats, Ints, Project, Round
from red_core.rounds.scoring import ScoredPool
from red_core.settings import Settings
from red_core.steps.belief import ranked
from red_core.steps.stopping import information_gain
from red_core.store.attempts import spent
from red_core.store.decisions import decided
from red_core.store.labels import active_by_name, list_labels, name_key
from red_core.store.rounds import BEST_STORED, best_beliefs, finished_rounds
from red_core.store.texts import truths
from red_core.store.verdicts import comparison_count, outcome_counts

if TYPE_CHECKING:  # `red status` needs neither, and the client of a judge takes a second to import
    from collections.abc import Mapping

    from red_core.judges import Judge
    from red_core.rounds.querying import Asked


def round_metrics(project: Project, current: Round, scored: ScoredPool, asked: Asked, judge: Judge) -> dict[str, Any]:
    """Return the figures of a round as they are stored and printed.

    Keys
    ----
    pool, uncertain, none_of_these : int
        Numbers of texts: all, those whose best belief is under ``certain_belief``, those that belong to no label.
    none_share : float
        The estimated share of the pool that belongs to no label, before any verdict; in [0, 1].
    questions, failed, worth_asking, worth_judging : int
        See :class:`red_core.rounds.querying.Asked`.
    outcomes : dict of outcome to int
    compared : int
        Those of the questions that asked which of two labels is right.
    information_gain : float or None
        Nats per text; None in the first round, and if no text has a confidence from the round before.
    expected_agreement, expected_alone : float in [0, 1]
        Mean best belief, with verdicts and from the classifiers alone.
    true_agreement, true_alone : float in [0, 1] or None
        Agreement with the truth of a trial project, machine labels only; None where there is no truth.
    judge : str
        Its name.
    judge_rates : dict
        See :class:`red_core.records.JudgeRates`.
    tokens, money : int, float or None
        Cost of this round's questions; money is None where a price is not known.
    decided : int
        Number of texts that a decision had fixed when the round ended.
    """
    final, belief = ranked(scored.label_ids, scored.kept)
    alone, alone_belief = ranked(scored.label_ids, scored.alone)
    truth = true_labels(project)
    settings = Settings.model_validate_json(current.settings)
    cost = spent(project, round_id=current.id)
    return {
        "pool": len(scored.texts),
        "uncertain": int((belief[:, 0] < settings.certain_belief).sum()),
        "none_of_these": int((final[:, 0] == NONE_OF_THESE).sum()),
        "none_share": scored.none_share,
        "questions": asked.questions,
        "failed": asked.failed,
        "worth_asking": asked.worth_asking,
        "worth_judging": asked.worth_judging,
        "complete": not asked.stopped and (asked.questions < settings.most_questions or not asked.worth_judging),
        "outcomes": outcome_counts(project, current.id),
        "compared": comparison_count(project, current.id),
        "information_gain": _gain_since_last(project, current, scored, final, belief),
        "expected_agreement": float(belief[:, 0].mean()),
        "expected_alone": float(alone_belief[:, 0].mean()),
        "true_agreement": agreement(scored.texts, final[:, 0], truth),
        "true_alone": agreement(scored.texts, alone[:, 0], truth),
        "judge": judge.name,
        "judge_rates": asdict(judge.rates),
        "tokens": cost.tokens,
        "money": cost.money,
        "decided": len(decided(project)),
    }


def true_labels(project: Project) -> dict[int, int]:
    """Return text -> true label id of a trial project; -1 where no label of the project has the true name."""
    known = {label.id for label in list_labels(project)}
    ids = {key: label for key, label in active_by_name(project).items() if label in known}
    return {text: ids.get(name_key(name), NONE_OF_THESE) for text, name in truths(project).items()}


def agreement(texts: Ints, labels: Ints, truth: Mapping[int, int]) -> float | None:
    """Return the share of texts with a known truth whose label is the true one; None without any."""
    known = [truth[text] == label for text, label in zip(texts.tolist(), labels.tolist(), strict=True) if text in truth]
    return float(np.mean(known)) if known else None


def _gain_since_last(
    project: Project, current: Round, scored: ScoredPool, labels: Ints, belief: Floats
) -> float | None:
    """Return the mean KL divergence from the last round's beliefs to these, in nats per text.

    Outcomes that both rounds stored are compared one by one, the rest as one outcome. This is a lower bound: merging
    outcomes never raises a divergence.
    """
    earlier = [r for r in finished_rounds(project) if r.id < current.id]
    if not earlier:
        return None
    before = best_beliefs(project, earlier[-1].id)
    rows = {text: row for row, text in enumerate(scored.texts.tolist())}
    shared = [(rows[text], json.loads(top)) for text, top in before if text in rows]
    if not shared:  # the labels of all these texts were retired
        return None
    rows_now = np.array([row for row, _ in shared], dtype=np.int64)
    old_labels = np.full((len(shared), BEST_STORED), -2, dtype=np.int64)
    old_belief = np.zeros((len(shared), BEST_STORED))
    for number, (_, top) in enumerate(shared):
        for rank, (label, share) in enumerate(top):
            old_labels[number, rank], old_belief[number, rank] = label, share
    new_labels, new_belief = labels[rows_now, :BEST_STORED], belief[rows_now, :BEST_STORED]
    same = new_labels[:, :, None] == old_labels[:, None, :]
    after = np.where(same.any(axis=2), new_belief, 0.0)
    matched = np.where(same, old_belief[:, None, :], 0.0).sum(axis=2)
    return float(information_gain(_with_rest(matched), _with_rest(after)).mean())


def _with_rest(shares: Floats) -> Floats:
    return np.asarray(np.c_[shares, np.maximum(1.0 - shares.sum(axis=1), 0.0)])
