"""One round: select, ask, score, measure; its job, its worker, its status."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from red_core.rounds.jobs import follow_job, mark_interrupted, start_job
from red_core.rounds.status import project_status, recommendation

if TYPE_CHECKING:
    from red_core.rounds.run import prepare, run_round

__all__ = ["follow_job", "mark_interrupted", "prepare", "project_status", "recommendation", "run_round", "start_job"]


def __getattr__(name: str) -> Any:  # noqa: ANN401  a function of a round
    """Import what computes a round when it is first used: to start a job, or to show its state, takes no second."""
    if name in {"prepare", "run_round"}:
        return getattr(import_module("red_core.rounds.run"), name)
    raise AttributeError(f"module 'red_core.rounds' has no attribute {name!r}")
