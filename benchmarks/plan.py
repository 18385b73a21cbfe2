"""Judge the forecast of the plan: ``python -m benchmarks.plan DATA.csv[.gz] ... --seeds 0 1 2`` (text,label).

After a first round with few questions, the plan forecasts how many questions to the judge it takes to reach three true
accuracies. Then the rounds go on with a simulated judge until it stops. Printed for every draw: the forecast and the
true number of questions of each target, whether their ratio is within 1.5, and whether the band holds the true number.

The classifiers are plain (no n-grams, neighbours or hidden partitions), so that many draws take minutes;
``--recommended`` uses the recommended settings.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.quality import PLAIN, fed_back, project_of
from benchmarks.trial import add_judge_options, draw, judge_of
from red_core.rounds import run_round
from red_core.rounds.plan import band as band_of
from red_core.rounds.plan import questions_needed
from red_core.settings import RECOMMENDED

FIRST, STEP, ROUNDS = 0.05, 0.1, 12
"""Questions per text of the first round and of every further round, and the most rounds."""
SHARES = (0.3, 0.5, 0.7)
"""Targets: the true accuracy at the start, plus these shares of all that was gained in the end."""
RATIO = 1.5


@dataclass(frozen=True)
class Point:
    """The state after a round: questions so far, estimated and true accuracy."""

    asked: int
    estimated: float
    true: float


def course(path: Path, seed: int, options: argparse.Namespace) -> tuple[list[Point], object]:
    """Run the rounds of a draw; return the points after each, and the forecast of the first round."""
    drawn = draw(path, seed, options)
    changes = {} if options.recommended else {**PLAIN, "regularisation": (10.0,)}
    settings = RECOMMENDED.model_copy(update=changes)
    points, first = [], None
    with tempfile.TemporaryDirectory() as folder:
        project, judge = project_of(drawn, Path(folder)), judge_of(drawn, options)
        for number in range(ROUNDS):
            most = round((STEP if number else FIRST) * len(drawn.truth))
            done = run_round(project, settings.model_copy(update={"most_questions": most}), make_judge=judge.tested)
            first = first or done
            if not number:
                self_test = judge.asked - done.metrics["questions"]
            metrics = done.metrics
            points.append(Point(judge.asked - self_test, metrics["expected_agreement"], metrics["true_agreement"]))
            if not metrics["worth_asking"]:
                break
            fed_back(project)
    return points, first


def questions_to(points: list[Point], target: float) -> float:
    """Return the questions from the first point until the true accuracy is reached, between two points by line."""
    true = np.maximum.accumulate([point.true for point in points])
    asked = np.array([point.asked for point in points]) - points[0].asked
    last = int(np.flatnonzero(true >= target)[0])
    if last == 0:
        return 0.0
    return float(np.interp(target, true[last - 1 : last + 1], asked[last - 1 : last + 1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--shots", type=int, default=10)
    add_judge_options(parser)
    parser.add_argument("--pool", type=int, default=2000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--recommended", action="store_true")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "red-benchmarks")
    options = parser.parse_args()
    options.least_texts, options.most_texts, options.oos = options.shots + 1, 10**9, None
    near, inside, banded, count, draws_near = 0, 0, 0, 0, []
    for path in options.data:
        for seed in options.seeds:
            begun = time.process_time()
            points, first = course(path, seed, options)
            start, gain = points[0], max(point.true for point in points) - points[0].true
            hits = []
            for share in SHARES:
                target = start.true + share * gain
                truth, (forecast, fewest, most) = questions_to(points, target), questions_needed(first, target)
                ratio = np.inf if forecast is None or not truth else forecast / truth
                hits.append(1 / RATIO <= ratio <= RATIO)
                inside += fewest <= truth and (most is None or truth <= most)
                shown = "never" if forecast is None else f"{forecast:,.0f}"
                name = path.name.split(".")[0]
                band = f"{fewest:,.0f} to {'-' if most is None else format(most, ',.0f')}"
                print(f"{name:14} {seed:3} target {target:.3f}: forecast {shown:>6} ({band}), true {truth:6,.0f}")
            for point in points:
                low, high = band_of(point.estimated)
                banded += low <= point.true <= high
            near += sum(hits)
            count += len(points)
            draws_near.append(all(hits))
            errors = " ".join(f"{(1 - p.true) / (1 - p.estimated):.2f}" for p in points)
            seconds = time.process_time() - begun
            print(
                f"  {start.true:.3f} to {start.true + gain:.3f}; error, true over estimated: {errors}; {seconds:.0f} s"
            )
    targets = len(SHARES) * len(draws_near)
    print(
        f"within a factor of {RATIO}: {near} of {targets} targets; all three in {sum(draws_near)} of {len(draws_near)}"
    )
    print(f"band of answers holds the true number: {inside} of {targets}; band of accuracy: {banded} of {count} rounds")


if __name__ == "__main__":
    main()
