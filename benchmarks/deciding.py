"""Which texts should the analyst decide first? ``python -m benchmarks.deciding DATA.csv[.gz] ... --seeds 0 1 2``.

A simulated judge is asked in the first round. Then a simulated analyst decides texts of the queue *to decide*, feeds
back and runs a round without a judge, again and again, until the labels are as right as the goal, decisions included.
Printed: the decisions it takes, in the order of the desk (``desk``) and in that of version 0.1 (``gain``: by what one
more answer *valid* or *invalid* gains). *Outside five*: the true label was not among the five best of the card.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.quality import fed_back, project_of
from benchmarks.trial import Draw, add_judge_options, draw, judge_of
from red_core.records import NONE_OF_THESE, Project, Round
from red_core.review import decide
from red_core.rounds import project_status, run_round
from red_core.rounds.metrics import true_labels
from red_core.settings import RECOMMENDED
from red_core.store.audits import best_labels
from red_core.store.desk import cards, queue

WHO = "analyst"
FAST = {"alike_partitions": 0, "regularisation": (10.0,)}
"""Settings that make a round cheap."""
CARDS = 2000
"""The most cards that the order ``gain`` reads at once."""


def by_desk(project: Project, last: Round, most: int) -> list[int]:
    """Return the first texts of the queue."""
    return [text for text, _ in queue(project, last.id, "to decide", who=WHO)[:most]]


def by_gain(project: Project, last: Round, most: int) -> list[int]:
    """Return the texts of the queue whose proposal has the largest gain."""
    items = queue(project, last.id, "to decide", who=WHO)[:CARDS]
    gains = {card.text: card.gain for card in cards(project, items, lambda *_: ())}
    return sorted(gains, key=lambda text: -gains[text])[:most]


ORDERS: dict[str, Callable[[Project, Round, int], list[int]]] = {"desk": by_desk, "gain": by_gain}


def decisions_to(goal: float, drawn: Draw, order: str, options: argparse.Namespace) -> tuple[float | None, int, int]:
    """Return the decisions to the goal, None if it is not reached; all decisions, and those outside the best five."""
    rng = np.random.default_rng([drawn.seed, 9])
    settings = RECOMMENDED.model_copy(update={} if options.recommended else FAST)
    asked, decided, outside = round(options.questions * len(drawn.truth)), 0, 0
    counts, reached = [], []
    with tempfile.TemporaryDirectory() as folder:
        project, judge = project_of(drawn, Path(folder)), judge_of(drawn, options)
        truth = true_labels(project)
        while True:
            last = run_round(project, settings.model_copy(update={"most_questions": asked}), make_judge=judge.tested)
            asked = 0
            counts.append(decided)
            reached.append(project_status(project)["true_agreement"])
            texts = ORDERS[order](project, last, options.at_once)
            if reached[-1] >= goal or decided >= options.most or not texts:
                break
            best = best_labels(project, texts)
            for text in texts:
                outside += truth[text] not in best[text][:5]
                label = truth[text]
                if rng.random() < options.analyst_error:
                    label = next((likely for likely in best[text] if likely != label), label)
                given = {"kind": "none"} if label == NONE_OF_THESE else {"kind": "relabel", "label": label}
                decide(project, text, **given, who=WHO)
            decided += len(texts)
            fed_back(project)
    needed = float(np.interp(goal, reached, counts)) if reached[-1] >= goal else None
    return needed, decided, outside


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--shots", type=int, default=10)
    parser.add_argument("--pool", type=int, default=2000)
    add_judge_options(parser)
    parser.add_argument("--questions", type=float, default=0.2, help="per text, in the first round")
    parser.add_argument("--goal", type=float, default=0.95)
    parser.add_argument("--at-once", type=int, default=40, help="decisions before every further round")
    parser.add_argument("--most", type=int, default=800, help="decisions in all")
    parser.add_argument("--analyst-error", type=float, default=0.03)
    parser.add_argument("--orders", nargs="+", choices=list(ORDERS), default=list(ORDERS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--recommended", action="store_true", help="with hidden partitions, as the product has them")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "red-benchmarks")
    options = parser.parse_args()
    options.least_texts, options.most_texts, options.oos = options.shots + 1, 10**9, None
    for path in options.data:
        for seed in options.seeds:
            drawn = draw(path, seed, options)
            for order in options.orders:
                needed, decided, outside = decisions_to(options.goal, drawn, order, options)
                said = f"not in {decided}" if needed is None else f"{needed:.0f}"
                print(
                    f"{drawn.data:14} {seed:3} {order:5} decisions to {options.goal}: {said}; outside five: "
                    f"{outside} of {decided}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
