"""Measure the search of nearest texts: ``python -m benchmarks.neighbours DATA.csv[.gz] ... [--sizes 30000 100000]``.

For each data set with the product's features (MiniLM and n-grams), and for each size: processor seconds of one thread
for comparing every text with every other and for searching the nearest cells, and the share of the ten nearest texts
that the cells find. Both sides answer for the same texts in one process; the seconds of the whole set are projected
from these. A size above that of the data set is reached with mixtures: a text's vector plus a part (.2 to .5) of the
difference of two others, so that the further texts lie where real ones may lie.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.preprocessing import normalize
from threadpoolctl import threadpool_limits

from benchmarks.timing import Figures, timed
from benchmarks.trial import embedded
from red_core.records import Floats, Ints
from red_core.settings import RECOMMENDED
from red_core.steps.lexical_features import fit_lexical, lexical_vectors
from red_core.steps.neighbour_features import NEAREST, Neighbourhood

EMBEDDING = 384


def features_of(path: Path, most: int, cache: Path) -> Floats:
    """Return the features of at most so many different texts, drawn at random."""
    every = pd.read_csv(path, dtype=str)["text"].dropna().drop_duplicates()
    texts = every.sample(min(most, len(every)), random_state=0).tolist()
    lexical = fit_lexical(texts, RECOMMENDED.lexical_dimensions, random_state=0)
    own = np.float32(RECOMMENDED.lexical_weight) * lexical_vectors(lexical, texts)
    return np.hstack([embedded(texts, cache), own])


def enlarged(real: Floats, count: int) -> Floats:
    """Return the real rows and, after them, mixtures up to ``count`` rows."""
    more = count - len(real)
    if more <= 0:
        return real[:count]
    rng = np.random.default_rng(0)
    one, two, three = rng.integers(len(real), size=(3, more))
    mixed = real[one] + rng.uniform(0.2, 0.5, (more, 1)).astype(np.float32) * (real[two] - real[three])
    for half in (slice(None, EMBEDDING), slice(EMBEDDING, None)):
        mixed[:, half] = normalize(mixed[:, half]) * np.linalg.norm(real[:, half], axis=1).mean()
    return np.vstack([real, mixed])


def measure(everything: Floats, queries: int) -> Figures:
    """Return the figures of both searches; seconds are processor seconds of one thread."""
    asked = everything[np.sort(np.random.default_rng(1).choice(len(everything), queries, replace=False))]
    figures: Figures = {"texts": float(len(everything))}
    near: dict[str, Ints] = {}
    for name, exact_up_to in (("exact", len(everything)), ("cells", 0)):
        with timed(figures, f"{name}, prepare"):
            around = Neighbourhood(everything, exact_up_to=exact_up_to)
        with timed(figures, f"{name}, search"):
            around.means(asked)
        near[name] = around.nearest(asked)
        each = figures[f"{name}, search, processor"] / queries
        figures[f"{name}, ms per text"] = 1000 * each
        figures[f"{name}, all texts"] = figures[f"{name}, prepare, processor"] + each * len(everything)
    others = zip(near["exact"][:, 1:], near["cells"][:, 1:], strict=True)  # the first one is the text itself
    figures["recall"] = float(np.mean([len(np.intersect1d(a, b)) / NEAREST for a, b in others]))
    figures["cells / exact"] = figures["cells, all texts"] / figures["exact, all texts"]
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--sizes", type=int, nargs="+", default=[30_000, 100_000])
    parser.add_argument("--most", type=int, default=30_000, help="real texts of a set")
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "red-benchmarks")
    options = parser.parse_args()
    shown = ("exact, all texts", "cells, all texts", "cells / exact", "exact, ms per text", "cells, ms per text")
    print("| set | texts | recall | " + " | ".join(shown) + " |")
    for path in options.data:
        real = features_of(path, options.most, options.cache)
        for size in [len(real), *(size for size in options.sizes if size > len(real))]:
            with threadpool_limits(1):
                figures = measure(enlarged(real, size), options.queries)
            cells = [f"{figures[name]:.3f}" for name in ("recall", *shown)]
            print(f"| {path.name.split('.')[0]} | {size:,} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
