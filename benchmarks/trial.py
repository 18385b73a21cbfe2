"""The trial of the quality benchmark: a draw of seeds and pool, and a judge with simulated errors."""

from __future__ import annotations

import argparse
import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit, ndtri

from red_core.data.tables import text_id
from red_core.encoders import encode
from red_core.judges.comparing import shows_first
from red_core.judges.replies import Band
from red_core.judges.self_test import SelfTest, compared_pairs, self_test_pairs, summed_up
from red_core.records import NONE_OF_THESE, PROMPT_VERSION, Answer, Floats, Ints, JudgeRates, Project, Question
from red_core.settings import DEFAULT_MODEL, RECOMMENDED
from red_core.steps.judge_reliability import log_likelihood_ratio
from red_core.steps.label_map import label_vectors
from red_core.steps.pool_scoring import blocks
from red_core.store.labels import list_labels
from red_core.store.self_tests import Tested
from red_core.training import ValidSamples
from red_core.training.model import Model

NOTHING = "(none of these)"
MOST_OF_A_LABEL = 40
"""Texts of a label whose vectors make its mean."""
TOKENS = {False: 290, True: 166}
"""Tokens of a question, by whether it compares; as measured (docs/judge.md)."""


@dataclass(frozen=True)
class Draw:
    """Seeds and pool of one data set. Labels are numbers; a true label of -1 means none of them."""

    data: str
    seed: int
    names: list[str]
    seed_texts: list[str]
    seed_labels: Ints
    pool_texts: list[str]
    truth: Ints
    seed_vectors: Floats
    pool_vectors: Floats
    encoder: str = DEFAULT_MODEL


def draw(path: Path, seed: int, options: argparse.Namespace) -> Draw:
    """Read a data set and draw its seeds and its pool at random."""
    frame = pd.read_csv(path, dtype=str).dropna(subset=["text", "label"])
    frame["id"] = frame["text"].map(text_id)
    frame = frame.drop_duplicates("id").reset_index(drop=True)
    sizes = frame["label"].value_counts()
    frame = frame[frame["label"].isin(sizes.index[sizes >= options.least_texts])]
    rng = np.random.default_rng(seed)
    frame = frame.iloc[rng.permutation(len(frame))]
    turn = frame.groupby("label").cumcount()
    seeds, rest = frame[turn < options.shots], frame[(turn >= options.shots) & (turn < options.most_texts)]
    rest = rest.iloc[: options.pool]
    names = sorted(seeds["label"].unique())
    number = {name: index for index, name in enumerate(names)}
    pool_texts, truth = rest["text"].tolist(), rest["label"].map(number).to_numpy(dtype=np.int64)
    if options.oos is not None:
        foreign = pd.read_csv(options.oos, dtype=str)["text"].dropna().unique().tolist()
        pool_texts, truth = pool_texts + foreign, np.r_[truth, np.full(len(foreign), NONE_OF_THESE)]
    seed_texts = seeds["text"].tolist()
    encoder = getattr(options, "encoder", DEFAULT_MODEL)
    vectors = embedded([*seed_texts, *pool_texts], options.cache, encoder)
    return Draw(
        path.name.split(".")[0], seed, names, seed_texts, seeds["label"].map(number).to_numpy(dtype=np.int64),
        pool_texts, truth, vectors[: len(seed_texts)], vectors[len(seed_texts) :], encoder,
    )  # fmt: skip


def composed(centres_of: Sequence[Path], differences_of: Path, seed: int, options: argparse.Namespace) -> Draw:
    """Compose a project of any size from the vectors of data sets, with confusions as real ones.

    A label is a label of the first sets: its vector is the mean of its texts. A text is its label's vector plus the
    differences of two texts of the last set from the means of *their* labels, times ``spread / sqrt(2)``, divided by
    its length. So labels are alike as those of the first sets are, and texts vary in the directions in which those of
    the last set vary. The texts are numbers: nothing can be learned from their words.
    """
    rng = np.random.default_rng([seed, 2026])
    read = [_centres(path, options.cache) for path in centres_of]
    names, centres = [name for names, _, _ in read for name in names], np.concatenate([means for _, means, _ in read])
    _, _, differences = _centres(differences_of, options.cache)
    chosen = np.sort(rng.permutation(len(names))[: options.labels])
    count = len(chosen)
    labels = np.r_[np.repeat(np.arange(count), options.shots), rng.integers(count, size=options.texts)]
    own = np.empty((len(labels), centres.shape[1]), dtype=np.float32)
    for block in blocks(len(labels)):
        two = rng.integers(len(differences), size=(2, len(labels[block])))
        moved = (differences[two[0]] + differences[two[1]]) * (options.spread / math.sqrt(2))
        moved += centres[chosen[labels[block]]]
        own[block] = moved / np.linalg.norm(moved, axis=1, keepdims=True)
    texts = [f"text {seed}-{number}" for number in range(len(labels))]
    first = count * options.shots
    return Draw(
        f"composed of {', '.join(path.name.split('.')[0] for path in (*centres_of, differences_of))}", seed,
        [names[index] for index in chosen.tolist()], texts[:first], labels[:first], texts[first:], labels[first:],
        own[:first], own[first:],
    )  # fmt: skip


def _centres(path: Path, cache: Path) -> tuple[list[str], Floats, Floats]:
    """Return the labels of a set, the means of their vectors, and each text's difference from its mean."""
    frame = pd.read_csv(path, dtype=str).dropna(subset=["text", "label"]).drop_duplicates("text")
    frame = frame[frame.groupby("label").cumcount() < MOST_OF_A_LABEL]
    names, of_label = np.unique(frame["label"].to_numpy(dtype=str), return_inverse=True)
    vectors = embedded(frame["text"].tolist(), cache)
    means = np.zeros((len(names), vectors.shape[1]), dtype=np.float32)
    np.add.at(means, of_label, vectors)
    means /= np.bincount(of_label)[:, None]
    return names.tolist(), means, vectors - means[of_label]


def embedded(texts: Sequence[str], cache: Path, encoder: str = DEFAULT_MODEL) -> Floats:
    """Return the vectors of an encoder, shape (n, d); they are cached under the hash of the texts and the encoder."""
    cache.mkdir(parents=True, exist_ok=True)
    content = json.dumps(sorted(texts)) + ("" if encoder == DEFAULT_MODEL else encoder)
    path = cache / f"{hashlib.sha256(content.encode()).hexdigest()[:16]}.npz"
    order = np.argsort(np.array(texts, dtype=object), kind="stable")
    if not path.is_file():
        np.savez(path, vectors=encode(encoder, [texts[row] for row in order]))
    vectors = np.empty((len(texts), np.load(path)["vectors"].shape[1]), dtype=np.float32)
    vectors[order] = np.load(path)["vectors"]
    return vectors


def add_judge_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of :class:`SimulatedJudge`."""
    parser.add_argument("--judge-tpr", type=float, default=0.95, help="valid to so many of the right labels")
    parser.add_argument("--judge-tnr", type=float, default=0.95, help="invalid to so many of the wrong labels")
    parser.add_argument("--judge-errors", choices=("independent", "persistent"), default="independent")
    parser.add_argument("--judge-auc", type=float, help="calibrated probabilities with this AUC, instead of words")
    parser.add_argument("--compare-auc", type=float, help="the same judge, also asked which of two labels")


class SimulatedJudge:
    """A judge with given error rates: independent for each pair, or persistent for some texts.

    With persistent errors, the judge always takes the nearest rival as the truth for a share of the texts.
    """

    name, free = "simulated", False

    def __init__(self, drawn: Draw, options: argparse.Namespace) -> None:
        self.rates = JudgeRates({}, {}, 0)
        self.asked = 0
        self._options, self._seed = options, drawn.seed
        vectors = label_vectors(drawn.seed_vectors, drawn.seed_labels, len(drawn.names))
        self._truth: dict[str, tuple[str, str]] = {}
        for texts, truth, own in (
            (drawn.pool_texts, drawn.truth, drawn.pool_vectors),
            (drawn.seed_texts, drawn.seed_labels, drawn.seed_vectors),
        ):
            similarity = own @ vectors.T
            inside = np.flatnonzero(truth >= 0)
            similarity[inside, truth[inside]] = -np.inf
            for text, label, rival in zip(texts, truth.tolist(), similarity.argmax(axis=1).tolist(), strict=True):
                self._truth[text_id(text)] = (drawn.names[label] if label >= 0 else "", drawn.names[rival])

    @property
    def kind(self) -> str:
        """What the judge's answers are like."""
        return str(self._options.judge_errors)

    def says_valid(self, text: str, label: str) -> bool:
        self.asked += 1
        key = text_id(text)
        truth, rival = self._truth[key]
        if self._options.judge_errors == "persistent":
            return label == (rival if self._coin(key) < 1 - self._options.judge_tpr else truth)
        right = label == truth
        correct = self._coin(key + label) < (self._options.judge_tpr if right else self._options.judge_tnr)
        return right == correct

    def _coin(self, key: str) -> float:
        return int.from_bytes(hashlib.sha256(f"{self._seed} {key}".encode()).digest()[:7], "big") / 256**7

    def tested(self, project: Project, _model: Model, samples: ValidSamples) -> SimulatedJudge:
        """Run the self-test once, as the product does before the first round; return the judge."""
        if not self.rates.pairs:
            settings = RECOMMENDED.model_copy(update={"canaries": 0})
            pairs = self_test_pairs(samples, list_labels(project), settings)
            answers = [(kind, q, self._answer(q).outcome) for kind, q in pairs]
            self.rates = summed_up(
                [Tested(q.text, q.label.id, kind, outcome, None, "") for kind, q, outcome in answers]
            ).rates
        return self

    def answers(self, questions: Sequence[Question]) -> Iterator[list[tuple[int, Answer]]]:
        yield [(index, self._answer(question)) for index, question in enumerate(questions)]

    def _answer(self, question: Question) -> Answer:
        outcome = "valid" if self.says_valid(question.content, question.label.name) else "invalid"
        ratio = log_likelihood_ratio(self.rates, outcome) if self.rates.pairs else 0.0
        return Answer(outcome, None, ratio, "", "simulated", PROMPT_VERSION)


class ProbableJudge(SimulatedJudge):
    """A judge with calibrated probabilities of a given AUC, for one label and, if asked, for which of two labels.

    The evidence of a question is normal, with equal variance for right and wrong labels. It is independent for each
    question. For two labels that are both wrong it is that of neither.
    """

    def __init__(self, drawn: Draw, options: argparse.Namespace) -> None:
        super().__init__(drawn, options)
        self.tokens = 0
        self._test: SelfTest | None = None

    @property
    def kind(self) -> str:
        """What the judge's answers are like."""
        compares = f", comparing {self._options.compare_auc}" if self._options.compare_auc else ""
        return f"probabilities of AUC {self._options.judge_auc}{compares}"

    def tested(self, project: Project, _model: Model, samples: ValidSamples) -> ProbableJudge:
        """Run the self-test once, as the product does before the first round; return the judge."""
        if self._test is None:
            pairs = self_test_pairs(samples, list_labels(project), RECOMMENDED.model_copy(update={"canaries": 0}))
            pairs += compared_pairs(pairs) if self._options.compare_auc else []
            told = [
                Tested(
                    q.text, q.label.id, kind, "valid", self._probability(q), "",
                    q.runner_up.id if q.compares else None, TOKENS[q.compares],
                )
                for kind, q in pairs
            ]  # fmt: skip
            self._test = summed_up(told)
            self.rates = self._test.rates
        return self

    def _probability(self, question: Question) -> float:
        """Return the calibrated probability of the label, at even odds."""
        self.asked += 1
        self.tokens += TOKENS[question.compares]
        truth = self._truth[text_id(question.content)][0]
        names = question.label.name, question.runner_up.name
        key = f"{text_id(question.content)} {' '.join(sorted(names)) if question.compares else names[0]}"
        distance = float(2**0.5 * ndtri(self._options.compare_auc if question.compares else self._options.judge_auc))
        chance = float(ndtri(np.clip(self._coin(key), 1e-6, 1 - 1e-6)))
        if question.compares:
            toward = (truth == names[0]) - (truth == names[1])
            return float(expit(distance * (toward * distance / 2 + (chance if names[0] < names[1] else -chance))))
        return float(expit(distance * ((distance if truth == names[0] else -distance) / 2 + chance)))

    def _answer(self, question: Question) -> Answer:
        test, own = self._test, self._probability(question)
        assert test is not None
        if question.compares:
            assert test.comparing is not None
            first = shows_first(question.text, question.label.id, question.runner_up.id)
            ratio = test.comparing.ratio(own if first else 1 - own, label_first=first)
            label, rival = test.comparing.toward(ratio)
            outcome = Band().outcome(float(expit(ratio)))
            return Answer(outcome, float(expit(ratio)), label, "", "simulated", PROMPT_VERSION, toward_rival=rival)
        ratio = test.scale(own) if test.scale is not None else 0.0
        return Answer("valid" if own >= 0.5 else "invalid", own, ratio, "", "simulated", PROMPT_VERSION)


def judge_of(drawn: Draw, options: argparse.Namespace) -> SimulatedJudge:
    """Return the judge that the options name."""
    return SimulatedJudge(drawn, options) if options.judge_auc is None else ProbableJudge(drawn, options)
