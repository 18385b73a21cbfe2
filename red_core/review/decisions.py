"""The analyst's decisions: decide, undo, and feed back what is valid. A decision beats a verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from red_core.errors import StateError
from red_core.records import (
    EVIDENCE_CHECK,
    NAMES_LABEL,
    NONE_OF_THESE,
    Decision,
    FeedBackItem,
    NewDecisionKind,
    Project,
    Round,
    Verdict,
)
from red_core.settings import Settings
from red_core.store import decisions as stored
from red_core.store.audits import in_the_audit
from red_core.store.rounds import beliefs_of_judged_valid, current_training_rows, list_rounds
from red_core.store.texts import has_text, seeds
from red_core.store.verdicts import comparisons, verdicts

AUDITED = "in the blind audit"
"""Why a text is withheld that was dealt for an audit: what measures the machine never trains it."""
DECIDED_NONE = "decided as none of these: the decision counts, but there is no label to learn"


@dataclass(frozen=True)
class Provenance:
    """How a decision came about: the card it was made on, and the request that carried it.

    Attributes
    ----------
    proposal : int or None
        The proposal on the card.
    reason : str
        In the person's words.
    queue : str
        The queue of the card.
    seconds : float or None
        How long the card was on the screen.
    request_id : str or None
        A unique name of the request (idempotency key): a request that arrives twice is stored once.
    seen : (int, int) or None
        ``Card.seen`` of the card; the decision is refused if the card has changed since.
    own_requests : sequence of str
        Request ids of decisions by the same desk about this text, which do not count as changes.
    """

    proposal: int | None = None
    reason: str = ""
    queue: str = ""
    seconds: float | None = None
    request_id: str | None = None
    seen: tuple[int, int] | None = None
    own_requests: Sequence[str] = ()


NO_PROVENANCE = Provenance()


@dataclass(frozen=True)
class FeedBackPlan:
    """What would be fed back now, and what would be withheld.

    Attributes
    ----------
    round_id : int
    items : tuple of FeedBackItem
        By ascending row id of the text.
    withheld : dict of str to int
        Reason -> number of decisions or valid verdicts that are not fed back for it.
    accept_evidence_check : bool
        Whether valid verdicts of the similarity check are fed back without a decision.
    made_on : int
        The newest decision when the plan was made.
    """

    round_id: int
    items: tuple[FeedBackItem, ...]
    withheld: dict[str, int]
    accept_evidence_check: bool
    made_on: int


def decide(
    project: Project,
    text: int,
    kind: NewDecisionKind,
    *,
    label: int | None = None,
    who: str = "analyst",
    provenance: Provenance = NO_PROVENANCE,
) -> int:
    """Store a decision about a text and return its id.

    Parameters
    ----------
    text : int
        Row id of the text.
    kind : {"accept", "relabel", "none", "reject", "skip"}
        *accept* and *relabel* fix the label; *none* says that it belongs to no label; *reject* rules out the label;
        *skip* changes nothing.
    label : int, optional
        The label's id; needed to accept, relabel and reject.
    who : str
        The person's name.
    provenance : Provenance, optional

    Raises
    ------
    CardChanged
        If somebody decided about the text, or edited the label's meaning, after the card was made.
    StateError
        If there is no such text, label, proposal or kind, or the label is missing.
    """
    if kind not in get_args(NewDecisionKind):
        raise StateError(f"there is no decision {kind!r}. Choose one of: {', '.join(get_args(NewDecisionKind))}.")
    if (label is None) == (kind in NAMES_LABEL):
        raise StateError(f"to {kind} a text takes {'a' if kind in NAMES_LABEL else 'no'} label.")
    if not has_text(project, text):
        raise StateError(f"there is no text {text} in project {project.name}.")
    decision = Decision(
        text, kind, label, provenance.proposal, who, provenance.reason,
        provenance.request_id, provenance.seconds, provenance.queue,
    )  # fmt: skip
    return stored.add_decision(project, decision, seen=provenance.seen, own=provenance.own_requests)


def undo(
    project: Project,
    *,
    decision: int | None = None,
    who: str = "analyst",
    of_request: str | None = None,
    request_id: str | None = None,
) -> tuple[int, str]:
    """Undo a decision; return the row id of its text and its kind. A batch is undone as a whole.

    Parameters
    ----------
    decision : int, optional
        Its id; by default this person's newest decision that is not undone.
    of_request : str, optional
        Undo this person's decision with this request id instead.
    request_id : str, optional
        A unique name of this undo: a request that arrives twice undoes once.

    Raises
    ------
    StateError
        If there is nothing to undo.
    """
    undone = stored.undo_decision(project, who=who, decision=decision, of_act=of_request, act=request_id)
    if undone is None:
        raise StateError("there is no decision to undo.")
    return undone


def plan_feed_back(project: Project, *, accept_evidence_check: bool = False) -> FeedBackPlan:
    """Return what would be fed back now.

    Eligible are labels fixed by a decision, and a judge's *valid* on exactly this text and label with a belief of at
    least ``feed_back_belief``. A verdict of the similarity check counts only with ``accept_evidence_check``, and with a
    belief of at least ``certain_belief``.

    Raises
    ------
    StateError
        If no round is to review.
    """
    made_on = stored.last_decision(project)
    current = _round_to_review(project)
    fixed = stored.decided(project)
    trained = {(text, label) for text, label, _ in current_training_rows(project)}
    seed_texts = set(seeds(project)[0].tolist())
    in_bulk = stored.decided_in_bulk(project)
    items = {
        text: FeedBackItem(text, label, in_bulk.get(text, 1.0), "decision")
        for text, label in fixed.items()
        if label != NONE_OF_THESE and text not in seed_texts and (text, label) not in trained
    }
    audited = in_the_audit(project)
    withheld = Counter(AUDITED for text in items.keys() & audited)
    if nothing := sum(label == NONE_OF_THESE and text not in audited for text, label in fixed.items()):
        withheld[DECIDED_NONE] = nothing
    items = {text: item for text, item in items.items() if text not in audited}
    for item, reason in _judged_valid(project, current, fixed, audited, accept_evidence_check=accept_evidence_check):
        if reason or (item.text, item.label) in trained:
            withheld[reason or "already fed back"] += 1
        elif item.text in items and items[item.text].weight >= item.weight:
            withheld["judged valid for a likelier label too"] += 1
        else:
            items[item.text] = item
    ordered = tuple(items[text] for text in sorted(items))
    return FeedBackPlan(current.id, ordered, dict(withheld), accept_evidence_check, made_on)


def feed_back(project: Project, plan: FeedBackPlan, *, who: str = "analyst") -> None:
    """Feed back exactly what the plan shows; the round is then *fed back*.

    Raises
    ------
    StateError
        If the round is no longer to review, a job is running, or somebody decided about one of its texts since.
    """
    stored.add_feed_back(
        project, plan.round_id, plan.items,
        made_on=plan.made_on, accept_evidence_check=plan.accept_evidence_check, who=who,
    )  # fmt: skip


def _round_to_review(project: Project) -> Round:
    last = list_rounds(project)
    if not last or last[-1].state != "to review":
        raise StateError(f"no round is to review. Run one: `red round {project.name}`.")
    return last[-1]


def _judged_valid(
    project: Project, current: Round, fixed: dict[int, int], audited: set[int], *, accept_evidence_check: bool
) -> list[tuple[FeedBackItem, str]]:
    """Return every valid verdict as an item, with the reason to withhold it ('' if none).

    A comparison is valid for the label that it prefers, unless that label has a verdict of its own.
    """
    settings = Settings.model_validate_json(current.settings)
    belief = beliefs_of_judged_valid(project, current.id)
    ruled_out = stored.rejected(project)
    judged = []
    own = verdicts(project)
    for verdict in own + _preferred(project, {(v.text, v.label) for v in own}):
        if verdict.outcome != "valid":
            continue
        share = belief.get((verdict.text, verdict.label), 0.0)
        least = settings.confirmed_belief if verdict.judge == EVIDENCE_CHECK else settings.feed_back_belief
        item = FeedBackItem(verdict.text, verdict.label, max(share, 1e-3), "verdict")
        reason = ""
        if verdict.text in fixed:
            reason = "a decision counts instead"
        elif verdict.text in audited:
            reason = AUDITED
        elif (verdict.text, verdict.label) in ruled_out:
            reason = "rejected by an analyst"
        elif verdict.stale:
            reason = "outdated: the label changed after the verdict"
        elif verdict.judge == EVIDENCE_CHECK and not accept_evidence_check:
            reason = "the similarity check needs a decision"
        elif share < least:
            reason = f"confidence under {least:.0%}"
        judged.append((item, reason))
    return judged


def _preferred(project: Project, known: set[tuple[int, int]]) -> list[Verdict]:
    """Return comparisons as verdicts on the labels that they prefer, one for each pair that is not known."""
    found: dict[tuple[int, int], Verdict] = {}
    for c in comparisons(project):
        label = {"valid": c.label, "invalid": c.rival}.get(c.outcome)
        if label is not None and not c.stale and (c.text, label) not in known:
            found[c.text, label] = Verdict(c.id, c.round_id, c.text, label, c.judge, "valid", c.chance, 0.0)
    return list(found.values())
