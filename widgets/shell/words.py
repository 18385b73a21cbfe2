"""Words that several pages share: counts, the stages of a job, the names of judges."""

from __future__ import annotations

from red_core.records import JudgeRates

STAGES = {
    "": "Starting",
    "download the encoder": "Downloading the encoder",
    "compare encoders": "Comparing encoders on your examples",
    "embed": "Preparing the texts",
    "form subsets": "Forming subsets and the map",
    "words and characters": "Reading words and characters",
    "neighbours": "Finding the most similar texts of each text",
    "fit": "Training the subset classifiers",
    "score": "Labelling the unlabelled texts",
    "test the judge": "Testing the judge on known labels (self-test)",
    "write meanings": "Writing the meanings of labels",
    "ask": "Asking the judge",
    "wait for the batch": "Waiting for the replies of a batch (at most 24 hours)",
    "believe": "Computing the confidences",
}
ENDED = {"cancelled": "was cancelled", "failed": "failed", "interrupted": "was interrupted"}
SOURCE_NAMES = {
    "seed": "label from your file",
    "decision": "chosen by a person",
    "decision: none of these": "a person: no label fits",
    "bulk": "decided with a whole list",
    "audit": "chosen in a blind audit",
    "audit: none of these": "blind audit: no label fits",
    "verdict": "the judge agrees",
    "classifiers": "no judge agrees yet",
    "none of these": "no label seems to fit",
    "no round yet": "waits for the next round",
    "left out": "not used; see Data",
}
"""The sources of a final label, and what they mean."""
JUDGES = {"evidence": "Similarity check (no LLM)", "llm": "LLM judge"}


def counted(count: int, singular: str, plural: str = "") -> str:
    """Return ``1 text``, ``2,000 texts``; give ``plural`` where an s is not enough."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def answers_in_words(count: float, what: str = "answer") -> str:
    """Return a forecast of answers, rounded as coarsely as it is uncertain: ``120 answers``, ``1,300 answers``."""
    step = 1 if count < 20 else 5 if count < 100 else 10 if count < 1_000 else 100
    return counted(max(1, round(count / step) * step), what)


def in_points(share: float) -> str:
    """Return a gain in percentage points: ``12 points`` of 0.12, ``0.5 points`` of 0.005, ``1 point`` of 0.01."""
    points = f"{100 * share:.1f}".removesuffix(".0")
    return f"{points} {'point' if points == '1' else 'points'}"


def judge_name(judge: str) -> str:
    """Return the short name of a judge on screens, without its address; it says that the similarity check is no LLM."""
    return JUDGES.get(judge, judge.partition(" at ")[0])


def acceptance(rates: JudgeRates) -> str:
    """Return the shares of right and of wrong labels that a judge accepts; short, because every page shows it."""
    right, wrong = rates.passes or (rates.right.get("valid", 0.0), rates.wrong.get("valid", 0.0))
    return f"says valid to {right:.0%} of right and {wrong:.0%} of wrong labels"
