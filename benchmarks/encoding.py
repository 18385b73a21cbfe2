"""Compare the forms of an encoder with SentenceTransformer.encode: float32 and int8 of the extra `fast`, and bfloat16.

``OMP_NUM_THREADS=1 python -m benchmarks.encoding [--encoder NAME] [--texts N] [DATA.csv.gz ...]``. Prints the processor
seconds of N texts of 8 words, block by block in turns in one process. For each data set (text,label): the cosine of
each form to float32, and the accuracy of logistic regression with 10 examples a label, in three draws.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from benchmarks import synthetic
from red_core.encoders import EncoderSpec
from red_core.encoders.catalogue import shortened
from red_core.encoders.loading import Encoder, SentenceTransformers, default_model_folder
from red_core.encoders.onnx_bert import OnnxBert, is_readable
from red_core.settings import DEFAULT_MODEL

BLOCK, EXAMPLES, DRAWS, TESTED = 200, 10, 3, 2_000


def forms_of(name: str) -> dict[str, Encoder]:
    """Return every form of an encoder, the one of torch in float32 first."""
    spec = EncoderSpec(name)
    forms: dict[str, Encoder] = {"torch float32": SentenceTransformers(spec)}
    if (short := shortened(spec)) is not None:
        forms["torch bfloat16"] = SentenceTransformers(short)
    folder = default_model_folder() if name == DEFAULT_MODEL else Path(name)
    if is_readable(folder):
        forms |= {"onnx float32": OnnxBert(folder, int8=False), "onnx int8": OnnxBert(folder, int8=True)}
    return forms


def speed(encoders: dict[str, Encoder], count: int) -> None:
    calls = {name: encoder.encode for name, encoder in encoders.items()}
    texts = [" ".join(words) for words in np.random.default_rng(0).choice(synthetic.WORDS, (count, 8))]
    spent = dict.fromkeys(calls, 0.0)
    for call in calls.values():
        call(texts[:64])
    for begin in range(0, count, BLOCK):
        for name, call in calls.items():
            processor = time.process_time()
            call(texts[begin : begin + BLOCK])
            spent[name] += time.process_time() - processor
    first = next(iter(spent.values()))
    for name, seconds in spent.items():
        print(f"{name}: {seconds:.2f} processor s for {count:,} texts, {seconds / first:.2f}", flush=True)


def accuracy(encoders: dict[str, Encoder], path: Path) -> None:
    rows = pd.read_csv(path, dtype=str).dropna(subset=["text", "label"]).drop_duplicates("text")
    rows = rows.sample(frac=1, random_state=0)
    rows = rows[rows.groupby("label")["text"].transform("size") >= 35]
    rank = rows.groupby("label").cumcount()
    train, test = rows[rank < EXAMPLES * DRAWS], rows[rank >= EXAMPLES * DRAWS].iloc[:TESTED]
    draw_of = (rank[train.index] // EXAMPLES).to_numpy()
    given = {name: [each.encode(part["text"].tolist()) for part in (train, test)] for name, each in encoders.items()}
    print(f"{path.name}: {rows['label'].nunique()} labels, {len(test):,} texts tested", flush=True)
    whole = next(iter(encoders))
    answers = {
        name: [
            LogisticRegression(C=30, max_iter=300)
            .fit(vectors[draw_of == draw], train["label"][draw_of == draw])
            .predict(tested)
            for draw in range(DRAWS)
        ]
        for name, (vectors, tested) in given.items()
    }
    for name, drawn in answers.items():
        right = [(labels == test["label"].to_numpy()).mean() for labels in drawn]
        cosines = np.sum(given[name][1] * given[whole][1], axis=1)
        same = np.mean(np.array(answers[whole]) == np.array(drawn))
        print(
            f"  {name}: {', '.join(f'{each:.4f}' for each in right)}; mean {np.mean(right):.4f}; same label {same:.4f}"
            f"; cosine {cosines.mean():.5f}, lowest {cosines.min():.4f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="*")
    parser.add_argument("--encoder", default=DEFAULT_MODEL)
    parser.add_argument("--texts", type=int, default=2_000)
    options = parser.parse_args()
    encoders = forms_of(options.encoder)
    if options.texts:
        speed(encoders, options.texts)
    for path in options.data:
        accuracy(encoders, path)


if __name__ == "__main__":
    main()
