"""The analyst's acts: decide, undo, and feed back what is valid. A decision beats a verdict."""

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
)
from red_core.settings import Settings
from red_core.store import decisions as stored
from red_core.store.audits import in_the_audit
from red_core.store.rounds import beliefs_of_judged_valid, current_training_rows, list_rounds
from red_core.store.texts import has_text, seeds
from red_core.store.verdicts import verdicts

AUDITED = "in the blind audit"
"""Why a text is withheld that was dealt for an audit: what measures the machine never trains it."""


@dataclass(frozen=True)
class FeedBackPlan:
    """What would be fed back now, and what is withheld.

    Attributes
    ----------
    round_id : int
    items : tuple of FeedBackItem
        In the order of the texts.
    withheld : dict of reason to int
        Valid verdicts that are not fed back, by reason.
    accept_evidence_check : bool
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
    proposal: int | None = None,
    who: str = "analyst",
    reason: str = "",
    act: str | None = None,
    seconds: float | None = None,
    queue: str = "",
    seen: tuple[int, int] | None = None,
    own: Sequence[str] = (),
) -> int:
    """Record a decision about a text and return its id.

    Parameters
    ----------
    text : int
        Row id of the text.
    kind : {"accept", "relabel", "none", "reject", "skip"}
        Accept and relabel fix the label; none says it belongs to no label; reject rules out the pair; skip
        changes nothing.
    label : int, optional
        The label's id; needed to accept, relabel and reject.
    proposal : int, optional
        The proposal the person was looking at.
    act : str, optional
        A name no other act has: sent twice, it is stored once.
    seconds : float, optional
        How long the card was on the desk.
    queue : str
        The queue it was in.
    seen : (int, int), optional
        ``Card.seen`` of the card that was looked at.
    own : sequence of str
        Acts of the same desk about this text, which may be newer than ``seen``.

    Raises
    ------
    CardChanged
        If somebody decided about the text, or edited the label's meaning, since that card was made.
    StateError
        If there is no such text, label, proposal or kind, or the label is missing.
    """
    if kind not in get_args(NewDecisionKind):
        raise StateError(f"there is no decision {kind!r}. Choose one of: {', '.join(get_args(NewDecisionKind))}.")
    if (label is None) == (kind in NAMES_LABEL):
        raise StateError(f"to {kind} a text takes {'a' if kind in NAMES_LABEL else 'no'} label.")
    if not has_text(project, text):
        raise StateError(f"there is no text {text} in project {project.name}.")
    made = Decision(text, kind, label, proposal, who, reason, act, seconds, queue)
    return stored.add_decision(project, made, seen=seen, own=own)


def undo(
    project: Project,
    *,
    decision: int | None = None,
    who: str = "analyst",
    of_act: str | None = None,
    act: str | None = None,
) -> tuple[int, str]:
    """Undo a decision, by default this person's newest that stands; return the text it was about and its kind.

    A decision of a batch is undone with its whole batch.

    Raises
    ------
    StateError
        If there is nothing to undo.
    """
    found = stored.undo_decision(project, who=who, decision=decision, of_act=of_act, act=act)
    if found is None:
        raise StateError("there is no decision to undo.")
    return found


def plan_feed_back(project: Project, *, accept_evidence_check: bool = False) -> FeedBackPlan:
    """Return what would be fed back now.

    Eligible is a label that a decision fixed, and a judge's *valid* on exactly this text and label whose belief
    reaches the setting; a verdict of the evidence check only where ``accept_evidence_check`` says so.

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
    items = {text: item for text, item in items.items() if text not in audited}
    for item, reason in _judged_valid(project, current, fixed, audited, accept_evidence_check=accept_evidence_check):
        if reason or (item.text, item.label) in trained:
            withheld[reason or "already fed back"] += 1
        elif item.text in items and items[item.text].weight >= item.weight:
            withheld["judged valid under a likelier label too"] += 1
        else:
            items[item.text] = item
    ordered = tuple(items[text] for text in sorted(items))
    return FeedBackPlan(current.id, ordered, dict(withheld), accept_evidence_check, made_on)


def feed_back(project: Project, plan: FeedBackPlan, *, who: str = "analyst") -> None:
    """Feed back exactly what the plan shows; the round is then *fed back*.

    Raises
    ------
    StateError
        If the round is not to review any more, a job is running, or a decision was made since the plan.
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
    """Return every valid verdict as an item, with the reason to withhold it ('' if none)."""
    least = Settings.model_validate_json(current.settings).feed_back_belief
    belief = beliefs_of_judged_valid(project, current.id)
    ruled_out = stored.rejected(project)
    found = []
    for verdict in verdicts(project):
        if verdict.outcome != "valid":
            continue
        share = belief.get((verdict.text, verdict.label), 0.0)
        item = FeedBackItem(verdict.text, verdict.label, max(share, 1e-3), "verdict")
        reason = ""
        if verdict.text in fixed:
            reason = "settled by a decision, which counts instead"
        elif verdict.text in audited:
            reason = AUDITED
        elif (verdict.text, verdict.label) in ruled_out:
            reason = "rejected by an analyst"
        elif verdict.judge == EVIDENCE_CHECK and not accept_evidence_check:
            reason = "the evidence check needs a decision"
        elif share < least:
            reason = f"belief under {least:g}"
        found.append((item, reason))
    return found
