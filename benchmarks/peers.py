"""Compare RedClassifier with its peers: ``python -m benchmarks.peers DATA.csv[.gz] ...`` (text,label[,split]).

Every method gets the same labelled examples and predicts the same test texts: the official test split, or a third of
the texts. The others are the unlabelled texts, which only ``red`` uses. Vectors are computed once for all methods but
SetFit, which trains its encoder; their processor seconds are printed apart. SetFit needs an environment of its own:
``--setfit PYTHON`` names its interpreter (``pip install setfit``). Prints accuracy, processor seconds of training, and
milliseconds per text.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegressionCV
from sklearn.neighbors import KNeighborsClassifier

from red_core import RedClassifier
from red_core.encoders import encode
from red_core.encoders.loading import default_model_folder
from red_core.records import Floats
from red_core.settings import DEFAULT_MODEL
from red_core.text import normalise_text
from red_core.training import features, from_texts

METHODS = ("red", "red_labelled_only", "logistic", "knn", "setfit")


@dataclass(frozen=True)
class Task:
    """Labelled examples, unlabelled texts and test texts; everything is normalised."""

    texts: list[str]
    labels: list[str]
    unlabelled: list[str]
    test: list[str]
    truth: list[str]


def make_task(path: Path, options: argparse.Namespace) -> Task:
    frame = pd.read_csv(path, dtype=str).dropna(subset=["text", "label"])
    frame["text"] = frame["text"].map(normalise_text)
    frame = frame.drop_duplicates("text")
    rng = np.random.default_rng(options.seed)
    if options.labels:
        frame = frame[frame["label"].isin(rng.permutation(sorted(frame["label"].unique()))[: options.labels])]
    frame = frame.iloc[rng.permutation(len(frame))]
    is_test = frame["split"] == "test" if "split" in frame else pd.Series(rng.random(len(frame)) < 1 / 3, frame.index)
    test, rest = frame[is_test].iloc[: options.test], frame[~is_test]
    turn = rest.groupby("label").cumcount()
    examples, unlabelled = rest[turn < options.shots], rest[turn >= options.shots].iloc[: options.unlabelled]
    test = test[test["label"].isin(set(examples["label"]))]
    return Task(
        examples["text"].tolist(), examples["label"].tolist(), unlabelled["text"].tolist(),
        test["text"].tolist(), test["label"].tolist(),
    )  # fmt: skip


class Vectors:
    """The default model's vectors of texts; each text is embedded once."""

    def __init__(self) -> None:
        self._known: dict[str, Floats] = {}
        self.seconds, self.embedded = 0.0, 0

    def of(self, _model: str, texts: Sequence[str]) -> Floats:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            begun = time.process_time()
            self._known |= dict(zip(new, encode(DEFAULT_MODEL, new), strict=True))
            self.seconds, self.embedded = self.seconds + time.process_time() - begun, self.embedded + len(new)
        return np.stack([self._known[text] for text in texts])


Fitted = Callable[[list[str]], Sequence[str]]


def red(task: Task, _vectors: Vectors) -> Fitted:
    return RedClassifier().fit(task.texts, task.labels, unlabeled=task.unlabelled).predict


def red_labelled_only(task: Task, _vectors: Vectors) -> Fitted:
    return RedClassifier().fit(task.texts, task.labels).predict


def logistic(task: Task, vectors: Vectors) -> Fitted:
    """Its regularisation is chosen by cross-validation, as that of ``red`` is."""
    model = LogisticRegressionCV(
        Cs=(1.0, 10.0, 100.0), cv=3, max_iter=1000, scoring="accuracy", l1_ratios=(0.0,), use_legacy_attributes=False
    )
    model.fit(vectors.of("", task.texts), task.labels)
    return lambda texts: model.predict(vectors.of("", texts))


def knn(task: Task, vectors: Vectors) -> Fitted:
    model = KNeighborsClassifier(min(5, len(task.texts)), metric="cosine", weights="distance")
    model.fit(vectors.of("", task.texts), task.labels)
    return lambda texts: model.predict(vectors.of("", texts))


FITS = {"red": red, "red_labelled_only": red_labelled_only, "logistic": logistic, "knn": knn}


def setfit(task: Task, options: argparse.Namespace) -> dict[str, float]:
    """Return SetFit's figures, from its own interpreter; its encoder is the same folder."""
    with tempfile.TemporaryDirectory() as name:
        given = Path(name) / "task.json"
        given.write_text(json.dumps(vars(task) | {"encoder": str(default_model_folder())}))
        script = Path(__file__).with_name("peers_setfit.py")
        done = subprocess.run([options.setfit, script, given, "--iterations", str(options.iterations)],
                              capture_output=True, text=True, check=True)  # fmt: skip
    answer = json.loads(done.stdout.splitlines()[-1])
    right = [a == b for a, b in zip(answer.pop("predicted"), task.truth, strict=True)]
    return {"accuracy": float(np.mean(right)), **answer}


def rows(task: Task, vectors: Vectors, options: argparse.Namespace) -> Iterator[tuple[str, dict[str, float]]]:
    for module in (features, from_texts):
        module.encode = vectors.of  # every method gets the same vectors, embedded once
    vectors.of("", [*task.texts, *task.unlabelled, *task.test])
    yield "embedding", {"training": vectors.seconds, "ms": 1000 * vectors.seconds / vectors.embedded}
    for method in options.methods:
        if method == "setfit":
            if options.setfit:
                yield method, setfit(task, options)
            continue
        begun = time.process_time()
        predict = FITS[method](task, vectors)
        trained = time.process_time()
        right = np.asarray(predict(task.test)) == np.array(task.truth)
        ms = 1000 * (time.process_time() - trained) / len(task.test)
        yield method, {"accuracy": float(right.mean()), "training": trained - begun, "ms": ms}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--shots", type=int, nargs="+", default=[10, 30])
    parser.add_argument("--labels", type=int, default=0, help="random labels to use; 0 = all")
    parser.add_argument("--test", type=int, default=10**9, help="at most so many test texts")
    parser.add_argument("--unlabelled", type=int, default=10**9, help="at most so many unlabelled texts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--setfit", metavar="PYTHON", help="the interpreter of an environment with setfit")
    parser.add_argument("--iterations", type=int, default=20, help="SetFit's num_iterations (pairs per example)")
    options = parser.parse_args()
    shots_wanted = options.shots
    vectors = Vectors()
    for path in options.data:
        for options.shots in shots_wanted:
            task = make_task(path, options)
            counts = (len(set(task.labels)), len(task.texts), len(task.unlabelled), len(task.test))
            print(f"\n{path.name}, {options.shots} examples: labels, labelled, unlabelled, test texts: {counts}")
            print(f"{'method':20}{'accuracy':>10}{'training, s':>14}{'ms per text':>14}")
            for method, figures in rows(task, vectors, options):
                accuracy = f"{figures['accuracy']:.3f}" if "accuracy" in figures else ""
                print(f"{method:20}{accuracy:>10}{figures['training']:>14.1f}{figures['ms']:>14.2f}", flush=True)


if __name__ == "__main__":
    main()
