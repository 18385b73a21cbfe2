"""How good the demo's labels are: without a question, and after ten minutes of reviewing.

A simulated analyst decides the texts of the desk's queues, the most useful first. The analyst is right in a given share
of the answers; a wrong answer is the likeliest of the other labels. Then the round is fed back and round 2 is run.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from red_core.data.demo import NAME, make_demo
from red_core.records import NONE_OF_THESE, Project
from red_core.review import decide, feed_back, plan_feed_back
from red_core.rounds import project_status, run_round
from red_core.rounds.changes import what_changed
from red_core.rounds.metrics import true_labels
from red_core.store.database import open_project
from red_core.store.desk import QUEUES, Card, cards, queue
from red_core.store.labels import list_labels
from red_core.store.rounds import predicted_labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decisions", type=int, default=120)
    parser.add_argument("--right", type=float, default=0.97, help="share of the analyst's answers that are right")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="one simulated analyst per random seed")
    parser.add_argument("--labels", action="store_true", help="also print what each label's texts got in round 1")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        reviewed = Path(folder) / "round-1"
        project = make_demo(reviewed)
        first = run_round(project)
        print(
            f"Without a question: {first.metrics['true_agreement']:.3f} "
            f"(estimated {first.metrics['expected_agreement']:.3f}).",
            flush=True,
        )
        if options.labels:
            print(*per_label(project), sep="\n")
        for seed in options.seeds:
            copy = Path(shutil.copytree(reviewed, Path(folder) / f"analyst-{seed}"))
            rng = np.random.default_rng(seed)
            print(after_reviewing(open_project(copy, NAME), options.decisions, options.right, rng), flush=True)


def after_reviewing(project: Project, decisions: int, right: float, rng: np.random.Generator) -> str:
    """Review, feed back, run round 2; return in a sentence what that gave."""
    wrong = review(project, decisions, right, rng)
    feed_back(project, plan_feed_back(project), who="simulated")
    run_round(project)
    changes = what_changed(project)
    accuracy = project_status(project)["true_agreement"]
    return (
        f"After {decisions} decisions, {wrong} of them wrong, and round 2: {accuracy:.3f}. "
        f"{changes.sentence('simulated') if changes else ''}"
    )


def review(project: Project, decisions: int, right: float, rng: np.random.Generator) -> int:
    """Decide this many texts after round 1; return how many answers were wrong."""
    truth, wrong = true_labels(project), 0
    for card in most_useful(project, decisions):
        answer = truth[card.text]
        if rng.random() >= right:
            answer, wrong = next(label for label, _ in card.best if label != answer), wrong + 1
        if answer == NONE_OF_THESE:
            decide(project, card.text, "none", who="simulated")
        else:
            decide(project, card.text, "relabel", label=answer, who="simulated")
    return wrong


def most_useful(project: Project, count: int) -> list[Card]:
    """Return the first cards of the desk's queues after round 1, one per text."""
    items = {text: proposal for name in QUEUES[::-1] for text, proposal in queue(project, 1, name)}
    ordered = dict.fromkeys(text for name in QUEUES for text, _ in queue(project, 1, name))
    return cards(project, [(text, items[text]) for text in list(ordered)[:count]], lambda _text, _label: ())


def per_label(project: Project) -> Iterator[str]:
    """Yield a line per label: how many of its texts got it in round 1, and which labels the others got."""
    names = {label.id: label.name for label in list_labels(project)} | {NONE_OF_THESE: "none of these"}
    truth, (texts, labels) = true_labels(project), predicted_labels(project, 1)
    got: dict[int, Counter[str]] = {label: Counter() for label in names}
    for text, label in zip(texts.tolist(), labels.tolist(), strict=True):
        got[truth[text]][names[label]] += 1
    for label, name in names.items():
        others = "".join(f"; {other} {count}" for other, count in got[label].most_common() if other != name)
        yield f"{name}: {got[label][name]} of {got[label].total()}{others}"


if __name__ == "__main__":
    main()
