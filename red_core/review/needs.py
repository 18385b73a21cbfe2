"""The labels that need the analyst most, each with the reason and the one action that helps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from red_core.store.views import Confusion

FEW_EXAMPLES = 5
"""A label with fewer training texts than this needs examples first."""
CONFUSED_SHARE = 0.2
"""A label counts as confused with another if at least this share of its wrong texts lies between the two."""
LEAST_OVERTURNED, OVERTURNED_SHARE = 3, 0.25
"""Verdicts on a label are overturned often if they are so many, and this share of those that a person checked."""
LEAST_WRONG = 1.0
"""Labels with fewer texts that are expected to be wrong need nobody."""

Action = Literal["examples", "outdated", "guideline", "drift", "pair", "decide"]


@dataclass(frozen=True)
class Need:
    """A label that needs the analyst.

    Attributes
    ----------
    label : int
    wrong : float
        The expected number of its texts whose label is wrong: what its action can gain, at most.
    action : Action
        ``examples``: add some. ``outdated``: decide texts whose verdicts are older than the meaning. ``guideline``:
        edit its guideline, since the judge's verdicts on it are overturned often. ``drift``: decide its texts, since
        its new texts differ from the earlier ones. ``pair``: decide texts between this label and ``rival``. ``decide``:
        decide its least certain texts.
    count : int
        What the reason counts: its examples, outdated verdicts, overturned verdicts, new texts, the texts between the
        two labels, or uncertain texts.
    rival : int or None
        The label that it is confused with; only for ``pair``.
    """

    label: int
    wrong: float
    action: Action
    count: int
    rival: int | None = None


def needs(
    table: Sequence[Mapping[str, Any]],
    confused: Sequence[Confusion],
    outdated: Mapping[int, int],
    drifting: Mapping[int, int] | None = None,
    overturned: Mapping[int, tuple[int, int]] | None = None,
) -> list[Need]:
    """Return the labels with at least LEAST_WRONG wrong texts, most wrong texts first.

    Parameters
    ----------
    table : sequence of mapping
        See :func:`red_core.store.views.label_table`.
    confused : sequence of Confusion
        Pairs of labels, most confused texts first.
    outdated : mapping of label id to int
        Verdicts that are older than the meaning of their label, on texts that are not decided.
    drifting : mapping of label id to int, optional
        Labels whose new texts differ from the earlier ones, and how many new texts nobody has decided.
    overturned : mapping of label id to (int, int), optional
        See :func:`red_core.store.views.overturned_verdicts`.
    """
    worst: dict[int, Confusion] = {}
    for pair in confused:
        for label in pair.labels:
            worst.setdefault(label, pair)
    found = []
    for row in table:
        wrong = row["labelled"] * (1.0 - row["belief"]) if row["labelled"] else 0.0
        if wrong >= LEAST_WRONG:
            times, of = (overturned or {}).get(row["id"], (0, 0))
            often = times if times >= LEAST_OVERTURNED and times >= OVERTURNED_SHARE * of else 0
            changed = (outdated.get(row["id"], 0), often, (drifting or {}).get(row["id"], 0))
            found.append(_need(row, wrong, worst.get(row["id"]), changed))
    return sorted(found, key=lambda need: (-need.wrong, need.label))


def _need(row: Mapping[str, Any], wrong: float, pair: Confusion | None, changed: tuple[int, int, int]) -> Need:
    """Return what a label needs first; ``changed``: outdated and overturned verdicts, new texts if it drifts."""
    examples, (outdated, often, new) = row["seeds"] + row["fed_back"], changed
    if examples < FEW_EXAMPLES:
        return Need(row["id"], wrong, "examples", examples)
    if outdated:
        return Need(row["id"], wrong, "outdated", outdated)
    if often:
        return Need(row["id"], wrong, "guideline", often)
    if new:
        return Need(row["id"], wrong, "drift", new)
    if pair is not None and pair.texts >= CONFUSED_SHARE * wrong:
        return Need(row["id"], wrong, "pair", round(pair.texts), pair.other(row["id"]))
    return Need(row["id"], wrong, "decide", round(wrong))
