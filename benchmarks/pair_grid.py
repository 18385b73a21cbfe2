"""Acts a decided text: the table of a pair against single cards, ``python -m benchmarks.pair_grid DATA.csv[.gz] ...``.

After a round with a simulated judge, an analyst who errs never decides the first texts of the most confused pairs: once
in the table, once card by card. In the table, texts next to each other with one answer are a range: a click, a click
with Shift, a key (a single text: a click and a key); texts of a third label are left out. A card takes a key, or the
finder: its key, four letters, Enter. Seconds are those of the keystroke-level model (Card, Moran, Newell 1980: key .28,
pointing 1.1), without reading and thinking, which both ways need for each text.
"""

from __future__ import annotations

import argparse
import tempfile
from itertools import groupby
from pathlib import Path

from benchmarks.deciding import FAST
from benchmarks.quality import project_of
from benchmarks.trial import add_judge_options, draw, judge_of
from red_core.records import NONE_OF_THESE, Project
from red_core.rounds import run_round
from red_core.rounds.metrics import true_labels
from red_core.settings import RECOMMENDED
from red_core.store.audits import best_labels
from red_core.store.pairs import between
from red_core.store.views import confusions

KEY, POINT = 0.28, 1.1
"""Seconds."""
SCREEN, OFFERED = 20, 4
"""Rows of a table on the screen, and labels of a card that have a key of their own."""
BY_FINDER = 6
"""Keys of a label that has none: the finder's, four letters, Enter."""


def acts(project: Project, round_id: int, pairs: int) -> tuple[int, int, float, int, float]:
    """Return the decided texts; acts and seconds in the tables; keys and seconds on cards."""
    truth = true_labels(project)
    texts, grid_acts, grid_seconds, keys = 0, 0, 0.0, 0
    for pair in confusions(project, round_id)[:pairs]:
        first, second = pair.labels
        rows = [row.text for row in between(project, round_id, first, second)][:SCREEN]
        best = best_labels(project, rows) if rows else {}
        for label, run in groupby(rows, key=truth.__getitem__):
            if label not in {first, second, NONE_OF_THESE}:
                continue
            run_of = list(run)
            clicks = 1 if len(run_of) == 1 else 2
            texts += len(run_of)
            grid_acts += clicks + 1
            grid_seconds += clicks * POINT + KEY
            keys += sum(1 if label in {*best[text][:OFFERED], NONE_OF_THESE} else BY_FINDER for text in run_of)
    return texts, grid_acts, grid_seconds, keys, keys * KEY


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--shots", type=int, default=10)
    parser.add_argument("--pool", type=int, default=4000)
    add_judge_options(parser)
    parser.add_argument("--questions", type=float, default=0.2, help="per text")
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "red-benchmarks")
    options = parser.parse_args()
    options.least_texts, options.most_texts, options.oos = options.shots + 1, 10**9, None
    for path in options.data:
        for seed in options.seeds:
            drawn = draw(path, seed, options)
            with tempfile.TemporaryDirectory() as folder:
                project, judge = project_of(drawn, Path(folder)), judge_of(drawn, options)
                settings = RECOMMENDED.model_copy(
                    update=FAST | {"most_questions": round(options.questions * len(drawn.truth))}
                )
                done = run_round(project, settings, make_judge=judge.tested)
                texts, grid, grid_seconds, keys, seconds = acts(project, done.id, options.pairs)
            print(
                f"{drawn.data:14} {seed:3} {texts} texts: table {grid / texts:.2f} acts, {grid_seconds / texts:.2f} s; "
                f"cards {keys / texts:.2f} keys, {seconds / texts:.2f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
