"""One round: select, ask, score, measure; its job, its worker, its status."""

from red_core.rounds.jobs import follow_job, mark_interrupted, start_job
from red_core.rounds.run import prepare, run_round
from red_core.rounds.status import project_status, recommendation

__all__ = ["follow_job", "mark_interrupted", "prepare", "project_status", "recommendation", "run_round", "start_job"]
