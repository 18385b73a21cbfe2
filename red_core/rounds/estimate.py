"""What the next round asks its judge: how many questions, and why so many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from red_core.judges import stored_self_test
from red_core.judges.cost import cost_of_question
from red_core.judges.project import judge_of
from red_core.judges.server_settings import JudgeServer
from red_core.records import Project
from red_core.rounds.query_strategies import can_tell
from red_core.settings import Settings
from red_core.steps.stopping import useless_judge
from red_core.store.labels import current_layout
from red_core.store.rounds import last_finished_round
from red_core.store.texts import facts


@dataclass(frozen=True)
class Expected:
    """How many questions the next round asks at most, and the sentence that says so."""

    questions: int
    sentence: str


def expected_questions(project: Project, settings: Settings, counts: Mapping[str, int], judge: str) -> Expected:
    """Return how many questions a round with these settings asks at most.

    Parameters
    ----------
    counts : mapping of str to int
        The facts ``pool`` and ``labels`` of the project; see :func:`red_core.store.texts.facts`.
    judge : str
        The identity of the LLM judge that is connected; '' before its first trial, and for the similarity check.
    """
    last = last_finished_round(project)
    test = stored_self_test(project, judge) if judge else None
    if test is not None and not can_tell(test.rates, settings):
        return Expected(0, useless_judge(test.rates, None if last is None else last.metrics["worth_asking"]))
    if settings.selection == "entropy":
        subsets = _subset_count(project, settings, counts["labels"])
        count = min(subsets * settings.questions_per_subset, settings.most_questions)
        classifiers = "1 classifier" if subsets == 1 else f"{subsets:,} classifiers"
        return Expected(count, f"About {_questions(count)}: {settings.questions_per_subset} for each of {classifiers}.")
    if last is None:
        count = min(settings.most_questions, counts["pool"])
        least = f"{100 * settings.least_gain:.1f}".removesuffix(".0")
        limit = f"{least} {'point' if least == '1' else 'points'}"
        stop = f"The round stops earlier if the next answer would help too little (less than {limit})."
        return Expected(count, f"At most {_questions(count)}. {stop}")
    left = last.metrics["worth_asking"]
    if judge and last.metrics.get("judge") == judge:  # what one judge may still be asked says nothing about another
        left = last.metrics.get("worth_judging", left)
    count = min(settings.most_questions, left)
    if not count:
        return Expected(0, "No further question would improve the labels enough.")
    return Expected(count, f"About {_questions(count)}, as estimated in the last round.")


def estimate_in_words(project: Project, settings: Settings, server: JudgeServer) -> str:
    """Return how many questions an LLM judge is asked in a round, and what they cost: tokens, money and time."""
    found = expected_questions(project, settings, facts(project), judge_of(project, server))
    if not found.questions:
        return found.sentence
    cost = cost_of_question(project, server, batch=settings.batch)
    return f"{found.sentence} {cost.in_words(found.questions)}"


def _subset_count(project: Project, settings: Settings, labels: int) -> int:
    """Return the number of subsets, or the number that will be formed."""
    existing = int(current_layout(project)[1].max(initial=-1)) + 1
    return existing or ceil(labels / settings.subset_size)


def _questions(count: int) -> str:
    return "1 question" if count == 1 else f"{count:,} questions"
