"""What is known of each label beyond its counts: how its texts fared in audits, and the judge's record on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from red_core.judges.prompt import VERSION
from red_core.records import Project
from red_core.steps.audit_statistics import Share, share_of
from red_core.store import audits
from red_core.store.self_tests import tested


def audited_accuracy(project: Project) -> dict[int, Share]:
    """Return label id -> of the audited texts the machine gives it, how many have it, with the interval.

    Certificate sample and extras alike: within a label both are drawn at random. A label without an answered audit is
    left out.
    """
    answered = [audit for audit in audits.audits(project) if audit.kind is not None]
    return _shares((audit.machine, audit.right) for audit in answered)


def judge_record(project: Project, judge: str) -> dict[int, Share]:
    """Return label id -> of a judge's verdicts on it whose truth is known, how many were right, with the interval.

    They are those of its self-test, canaries left out, and those about texts that were audited blind; never about
    texts that somebody decided with the verdict before her eyes. *Unsure* and the like are neither right nor wrong.

    Parameters
    ----------
    judge : str
        As a finished round names it.
    """
    known = [(label, outcome, right) for label, outcome, right in audits.judged_pairs(project, judge)]
    known += [(t.label, t.outcome, t.kind == "right") for t in tested(project, judge, VERSION) if t.kind != "canary"]
    said = {"valid": True, "invalid": False}
    return _shares((label, said[outcome] == truth) for label, outcome, truth in known if outcome in said)


def _shares(pairs: Iterable[tuple[int, bool]]) -> dict[int, Share]:
    pairs = list(pairs)
    of, right = Counter(label for label, _ in pairs), Counter(label for label, hit in pairs if hit)
    return {label: share_of(right[label], count) for label, count in of.items()}
