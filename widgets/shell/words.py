"""The words that several pages share: counts, stages of a job, names of judges."""

from __future__ import annotations

from math import exp

from red_core.records import JudgeRates

STAGES = {
    "": "Starting",
    "embed": "Turning texts into vectors",
    "form subsets": "Forming subsets and the map",
    "words and characters": "Reading words and characters",
    "neighbours": "Finding what stands near each text",
    "fit": "Fitting the subset classifiers",
    "score": "Scoring the pool",
    "test the judge": "Testing the judge on known pairs",
    "write meanings": "Writing the meanings of labels",
    "ask": "Asking the judge",
    "believe": "Adding up beliefs",
}
ENDED = {"cancelled": "was cancelled", "failed": "failed", "interrupted": "was interrupted"}
JUDGES = {"evidence": "Evidence check (no LLM)", "llm": "LLM judge"}


def counted(count: int, one: str, many: str = "") -> str:
    """Return ``1 text``, ``2,000 texts``; ``many`` where an s will not do."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def in_points(share: float) -> str:
    """Return a gain in percentage points: ``12 points`` of 0.12, ``0.5 points`` of 0.005, ``1 point`` of 0.01."""
    points = f"{100 * share:.1f}".removesuffix(".0")
    return f"{points} {'point' if points == '1' else 'points'}"


def judge_name(judge: str) -> str:
    """Return what people call a judge; the evidence check is never taken for an LLM."""
    return JUDGES.get(judge, judge)


def passes(rates: JudgeRates) -> str:
    """Return what a judge lets through, of right and of wrong proposals; short, since every page shows it."""
    right, wrong = rates.passes or (rates.right.get("valid", 0.0), rates.wrong.get("valid", 0.0))
    return f"passes {right:.0%} of right, {wrong:.0%} of wrong"


def made_of(prior: float, outcome: str, log_likelihood_ratio: float) -> str:
    """Return what a belief is made of: what the classifiers alone say, and how far a verdict multiplies its odds."""
    judged = f", judge {outcome} x{exp(log_likelihood_ratio):.2g}" if outcome else ""
    return f"classifiers {prior:.2f}{judged}"
