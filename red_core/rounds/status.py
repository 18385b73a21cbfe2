"""The state of a project as facts, and the recommendation whether to run another round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from red_core.records import JudgeRates, Project, Round
from red_core.review import summary
from red_core.rounds.accuracy import accuracy_now
from red_core.rounds.jobs import mark_interrupted
from red_core.rounds.plan import plan
from red_core.rounds.query_strategies import can_tell
from red_core.settings import RECOMMENDED, Settings
from red_core.steps.stopping import Recommendation, RoundSignals, recommend
from red_core.store.decisions import decided
from red_core.store.labels import label_set_version
from red_core.store.rounds import (
    current_training_rows,
    finished_rounds,
    last_finished_round,
    list_rounds,
)
from red_core.store.texts import facts, remembered
from red_core.training.background import DOUBT, wants_background

NOT_CALIBRATED = (
    "Each label has a single example, so no example was left to check the confidences: they are guesses, and so is the "
    "estimate. Decide some texts, feed back, and run another round."
)
"""What a person should know if no example could be held out."""


def project_status(project: Project) -> dict[str, Any]:
    """Return the facts of a project: counts, the last round, the recommendation, the accuracies.

    ``expected_agreement`` and, of a trial, ``true_agreement`` are :func:`red_core.rounds.accuracy.accuracy_now`;
    ``audit`` is the result of blind audits, see :class:`red_core.review.audits.AuditSummary`. All three are None before
    the first round. ``plan`` is what it takes to reach the goal; None also after a round of an earlier version.
    """
    last = last_finished_round(project)
    job = mark_interrupted(project)
    counts = facts(project)
    trained = len(current_training_rows(project))
    estimated, true = accuracy_now(project)
    return {
        "project": project.name,
        "trial": counts.pop("truths") > 0,
        "embedding": remembered(project, "embedding"),
        "label_set_version": label_set_version(project),
        **counts,
        "fed_back": trained - counts["seeds"],
        "decided": len(decided(project)),
        "round": _round_facts(list_rounds(project)[-1]) if list_rounds(project) else None,
        "expected_agreement": estimated,
        "true_agreement": true,
        "audit": asdict(summary(project)) if last else None,
        "stopping": asdict(recommendation(project)) if last else None,
        "plan": _plan_facts(project),
        "job": {"id": job.id, "kind": job.kind, "state": job.state, "stage": job.stage, "error": job.error}
        if job
        else None,
    }


def doubts(labels: int, metrics: Mapping[str, Any]) -> list[str]:
    """Return what to know about the estimated accuracy, in sentences; ``metrics`` are those of the last round."""
    found = [DOUBT] if wants_background(RECOMMENDED, labels) else []
    return [*found, NOT_CALIBRATED] if metrics.get("calibrated_on") == 0 else found


def _plan_facts(project: Project) -> dict[str, Any] | None:
    """Return the goal, the estimated accuracy now, and what each way takes; without the curves."""
    current = plan(project)
    if current is None:
        return None
    ways = {"you": current.you, "judge": current.judge, "both": current.both}
    taken = {
        name: {
            "decisions": way.needed.decisions if way.needed else None,
            "questions": way.needed.questions if way.needed else None,
            "reaches": way.reaches,
        }
        for name, way in ways.items()
    }
    return {"goal": current.goal, "now": current.now, "assumed_judge": current.assumed, **taken}


def recommendation(project: Project) -> Recommendation:
    """Return whether to run another round, from the signals of all finished rounds (article step 4)."""
    done = finished_rounds(project)
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
        **{name: value for name, value in last.metrics.items() if name != "forecast"},  # long: `plan` says it
    }


def _settings(finished: Round) -> Settings:
    return Settings.model_validate_json(finished.settings)


def _signals(done: list[Round]) -> list[RoundSignals]:
    wanted = ("uncertain", "information_gain", "worth_asking", "failed", "complete")
    return [
        RoundSignals(asked=r.metrics["questions"], useless=_useless(r), **{name: r.metrics[name] for name in wanted})
        for r in done
    ]


def _useless(finished: Round) -> JudgeRates | None:
    """Return how often a judge gave each answer, if it cannot tell wrong from right labels; else None."""
    rates = JudgeRates(**finished.metrics.get("judge_rates", {"right": {}, "wrong": {}, "pairs": 0}))
    return None if can_tell(rates, _settings(finished)) else rates
