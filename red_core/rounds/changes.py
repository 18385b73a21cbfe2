"""What the last round changed: the decisions it learned from, and the other texts that got another label."""

from __future__ import annotations

from dataclasses import dataclass

from red_core.records import Project
from red_core.rounds.metrics import true_labels
from red_core.store.changes import changed_labels, decided_between
from red_core.store.rounds import finished_rounds


@dataclass(frozen=True)
class Changes:
    """What happened from one round to the next.

    Attributes
    ----------
    since : int
        The earlier round.
    decided : int
        Texts that were decided between the two rounds.
    people : frozenset of str
        Who decided them.
    changed : int
        Other texts whose label changed.
    turned_right, turned_wrong : int or None
        In a trial, how many of the other texts changed to the right label, and away from it.
    """

    since: int
    decided: int
    people: frozenset[str]
    changed: int
    turned_right: int | None = None
    turned_wrong: int | None = None

    def sentence(self, you: str) -> str:
        """Return the changes in one sentence; ``you`` is the person who reads it."""
        if not self.decided:
            return f"Since round {self.since}, {self._others('text', 'texts')}."
        if self.people == {you}:
            decided = f"You decided {_counted(self.decided, 'text', 'texts')}"
        else:
            decided = _counted(self.decided, "text was decided", "texts were decided")
        return f"{decided}; {self._others('other', 'others')}."

    def _others(self, singular: str, plural: str) -> str:
        if not self.changed:
            return f"no {singular} changed its label"
        if self.turned_right is None:
            return _counted(self.changed, f"{singular} changed its label", f"{plural} changed their label")
        if not self.turned_right:
            changed = _counted(self.changed, f"{singular} changed its label", f"{plural} changed their label")
            return f"{changed}, none of them to the right one"
        right = _counted(self.turned_right, f"{singular} changed", f"{plural} changed") + " to the right label"
        return f"{right}, and {self.turned_wrong:,} away from it" if self.turned_wrong else right


def what_changed(project: Project) -> Changes | None:
    """Return what the last finished round changed; None before the second.

    Decisions count from the opening of the round before it until its own opening. It learned from those that were fed
    back.
    """
    finished = finished_rounds(project)
    if len(finished) < 2:
        return None
    before, after = finished[-2].id, finished[-1].id
    decided = decided_between(project, before, after)
    changed = changed_labels(project, before, after)
    truth = true_labels(project)
    in_a_trial = bool(truth)
    return Changes(
        since=before,
        decided=len(decided),
        people=frozenset(decided.values()),
        changed=len(changed),
        turned_right=sum(truth.get(text) == new for text, _, new in changed) if in_a_trial else None,
        turned_wrong=sum(truth.get(text) == old for text, old, _ in changed) if in_a_trial else None,
    )


def _counted(count: int, singular: str, plural: str) -> str:
    return f"{count:,} {singular if count == 1 else plural}"
