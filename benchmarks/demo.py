"""How good the demo is: without a question, and after ten minutes of reviewing. Run ``python -m benchmarks.demo``.

A simulated analyst decides the texts of the most useful queue first. A wrong answer is the likeliest of the other labels.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from red_core.data.demo import make_demo
from red_core.records import NONE_OF_THESE, Project
from red_core.review import decide, feed_back, plan_feed_back
from red_core.rounds import project_status, run_round
from red_core.rounds.metrics import true_labels
from red_core.store.desk import QUEUES, Card, cards, queue
from red_core.store.labels import list_labels
from red_core.store.rounds import predicted_labels


@dataclass(frozen=True)
class Figures:
    """What one analyst reached; every accuracy is a share of the pool."""

    alone: float
    estimated: float
    decided: int
    wrong: int
    after: float
    turned_right: int
    turned_wrong: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decisions", type=int, default=120)
    parser.add_argument("--right", type=float, default=0.97, help="share of the analyst's answers that are right")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="one analyst per random seed")
    parser.add_argument("--workspace", type=Path, help="a new folder; the default is a temporary one")
    parser.add_argument("--labels", action="store_true", help="also print the accuracy of every label in round 1")
    options = parser.parse_args()
    logging.getLogger().setLevel(logging.ERROR)
    for seed in options.seeds:
        with tempfile.TemporaryDirectory() as folder:
            project = make_demo(options.workspace or folder, f"demo-{seed}")
            figures = review(project, options.decisions, options.right, np.random.default_rng(seed))
            print(sentence(figures), flush=True)
            if options.labels:
                print(*per_label(project), sep="\n")


def sentence(figures: Figures) -> str:
    """Return the figures in words."""
    return (
        f"Without a question: {figures.alone:.3f} (estimated {figures.estimated:.3f}). "
        f"After {figures.decided} decisions, {figures.wrong} of them wrong, and round 2: {figures.after:.3f}. "
        f"Of the other texts, {figures.turned_right} changed to the right label and {figures.turned_wrong} away from it."
    )


def review(project: Project, decisions: int, right: float, rng: np.random.Generator) -> Figures:
    """Run round 1, decide, feed back, run round 2."""
    first = run_round(project)
    truth, fixed, wrong = true_labels(project), dict[int, int](), 0
    for card in most_useful(project, first.id, decisions):
        answer = truth[card.text]
        if rng.random() >= right:
            answer, wrong = next(label for label, _ in card.best if label != answer), wrong + 1
        if answer == NONE_OF_THESE:
            decide(project, card.text, "none", who="simulated")
        else:
            kind = "accept" if answer == card.label.id else "relabel"
            decide(project, card.text, kind, label=answer, who="simulated")
        fixed[card.text] = answer
    feed_back(project, plan_feed_back(project), who="simulated")
    second = run_round(project)
    before, after = (
        dict(zip(*map(np.ndarray.tolist, predicted_labels(project, r.id)), strict=True)) for r in (first, second)
    )
    others = [text for text in truth if text not in fixed]
    return Figures(
        alone=first.metrics["true_agreement"],
        estimated=first.metrics["expected_agreement"],
        decided=len(fixed),
        wrong=wrong,
        after=project_status(project)["true_agreement"],
        turned_right=sum(before[t] != truth[t] == after[t] for t in others),
        turned_wrong=sum(before[t] == truth[t] != after[t] for t in others),
    )


def most_useful(project: Project, round_id: int, most: int) -> Iterator[Card]:
    """Yield the cards of the queues in the order of the desk, each text once."""
    seen: set[int] = set()
    for name in QUEUES:
        for item in queue(project, round_id, name):
            if item[0] not in seen and len(seen) < most:
                seen.add(item[0])
                yield from cards(project, [item], lambda _text, _label: ())


def per_label(project: Project) -> Iterator[str]:
    """Yield a line per label: how many of its texts got it in round 1, and which labels the others got."""
    names = {label.id: label.name for label in list_labels(project)} | {NONE_OF_THESE: "none_of_these"}
    truth, first = true_labels(project), dict(zip(*map(np.ndarray.tolist, predicted_labels(project, 1)), strict=True))
    for label, name in names.items():
        got = Counter(names[first[text]] for text in truth if truth[text] == label)
        others = ", ".join(f"{other} {count}" for other, count in got.most_common() if other != name)
        yield f"{name}: {got[name]} of {got.total()}{f'; {others}' if others else ''}"


if __name__ == "__main__":
    main()
