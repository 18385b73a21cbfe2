"""Article step 2: one cheap classifier per subset with n+1 classes, the last one noise.

Each is a multinomial logistic regression. Only the difference between a label's logit and the noise logit matters. So
the classifiers of a whole partition are one (L, d) matrix, whatever the subsets.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import ThreadpoolController

from red_core.records import Booleans, Floats, Ints
from red_core.steps.noise_oversampling import draw_noise

if TYPE_CHECKING:
    from collections.abc import Callable, Collection


@dataclass(frozen=True)
class Partition:
    """One split of all labels into subsets, with its fitted classifiers.

    Attributes
    ----------
    subset_of : ndarray of shape (L,), int64
        The subset number of each label; -1 for a label left out.
    weights : ndarray of shape (L, d), float32
        Coefficients of log p(label | x) - log p(noise | x) within the label's subset.
    bias : ndarray of shape (L,), float32
    correction : ndarray of shape (L,), float32
        log(training weight of the label / training weight of its noise): the effect of class sizes on the log-odds.
    """

    subset_of: Ints
    weights: Floats
    bias: Floats
    correction: Floats


@dataclass(frozen=True)
class TrainingSet:
    """Training rows: features (n, d) float32, labels (n,) int64, weights (n,) float32 in (0, 1].

    ``identity`` (n,) int64 is a hash of each sample; only an incremental fit needs it. ``background`` (m, d) float32
    are texts of no label, which are noise for every classifier.
    """

    features: Floats
    labels: Ints
    weights: Floats
    identity: Ints | None = None
    background: Floats | None = None

    def only(self, rows: Booleans) -> TrainingSet:
        """Return the rows where ``rows``, shape (n,), is True."""
        identity = None if self.identity is None else self.identity[rows]
        return TrainingSet(self.features[rows], self.labels[rows], self.weights[rows], identity, self.background)


BESIDE_BACKGROUND = 0.5
"""Share of the noise's weight that texts of other labels keep beside a background."""


@dataclass(frozen=True)
class NoiseRule:
    """How the noise is drawn; see :func:`red_core.steps.noise_oversampling.draw_noise`."""

    factor: float
    rows: int | None


def fit_subset(
    training: TrainingSet,
    inside: Ints,
    noise: NoiseRule,
    *,
    regularisation: float,
    rng: np.random.Generator,
    start: tuple[Floats, Floats] | None = None,
) -> tuple[Floats, Floats, Floats]:
    """Return the fitted classifier of one subset, with its n labels and noise.

    Parameters
    ----------
    training : TrainingSet
    inside : ndarray of shape (n,), int64
        The labels of the subset; each needs at least one training row.
    noise : NoiseRule
    regularisation : float
        Inverse strength of the L2 penalty, scikit-learn's C.
    rng : numpy.random.Generator
    start : weights (n, d) and bias (n,), optional
        An earlier fit to start from: fewer iterations to the same optimum.

    Returns
    -------
    weights (n, d), bias (n,), correction (n,) : float32
        Rows in the order of ``inside``, all relative to the noise class.
    """
    noise_rows, noise_weights = draw_noise(
        training.labels, training.weights, inside, factor=noise.factor, rows=noise.rows, rng=rng
    )
    label_rows = np.flatnonzero(np.isin(training.labels, inside))
    class_of = np.full(int(training.labels.max()) + 1, -1, dtype=np.int64)
    class_of[inside] = np.arange(len(inside))
    rows = np.r_[label_rows, noise_rows]
    classes = np.r_[class_of[training.labels[label_rows]], np.full(len(noise_rows), len(inside))]
    weights = np.r_[training.weights[label_rows], noise_weights].astype(np.float32)
    features = np.take(training.features, rows, axis=0)
    if training.background is not None:
        features = np.vstack([features, training.background])
        count, foreign = len(training.background), len(noise_rows)
        total = noise.factor * float(weights[: len(label_rows)].sum()) / len(inside)
        weights[len(label_rows) :] *= BESIDE_BACKGROUND
        share = 1.0 - BESIDE_BACKGROUND if foreign else 1.0
        weights = np.r_[weights, np.full(count, share * total / count)].astype(np.float32)
        classes = np.r_[classes, np.full(count, len(inside))]
    elif not len(noise_rows):
        return _fit_without_noise(features, classes, weights, regularisation, start)
    if start is not None:
        start = np.vstack([start[0], np.zeros_like(start[0][:1])]), np.append(start[1], 0.0)
    coefficients, bias = _fit(features, classes, weights, regularisation, start)
    class_weights = np.bincount(classes, weights=weights, minlength=len(inside) + 1)
    correction = np.log(class_weights[:-1] / class_weights[-1])
    return _relative(coefficients, bias, correction)


def _fit(
    features: Floats, classes: Ints, weights: Floats, regularisation: float, start: tuple[Floats, Floats] | None
) -> tuple[Floats, Floats]:
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415  scikit-learn takes a second to import

    model = LogisticRegression(C=regularisation, max_iter=1000, tol=1e-4, warm_start=start is not None)
    if start is not None and len(start[1]) > 2:  # for two classes scikit-learn has one row
        model.coef_, model.intercept_ = start[0] - start[0].mean(axis=0), start[1] - start[1].mean()
    model.fit(features, classes, sample_weight=weights)
    if len(model.classes_) == 2:
        return np.vstack([np.zeros_like(model.coef_), model.coef_]), np.r_[0.0, model.intercept_]
    return model.coef_, model.intercept_


def _relative(coefficients: Floats, bias: Floats, correction: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the labels' rows minus the noise row, the last one."""
    relative = coefficients[:-1] - coefficients[-1]
    return relative.astype(np.float32), (bias[:-1] - bias[-1]).astype(np.float32), correction.astype(np.float32)


def _fit_without_noise(
    features: Floats, classes: Ints, weights: Floats, regularisation: float, start: tuple[Floats, Floats] | None
) -> tuple[Floats, Floats, Floats]:
    """Return the fit of a subset of all labels: there is no noise, so logits are relative to their mean."""
    coefficients, bias = _fit(features, classes, weights, regularisation, start)
    class_weights = np.bincount(classes, weights=weights)
    correction = np.log(class_weights / class_weights.mean())
    centred, level = coefficients - coefficients.mean(axis=0), bias - bias.mean()
    return centred.astype(np.float32), level.astype(np.float32), correction.astype(np.float32)


# A step of the article takes its arrays and settings by name.
def fit_partition(
    training: TrainingSet,
    subset_of: Ints,
    noise: NoiseRule,
    *,
    regularisation: float,
    random_state: int,
    previous: Partition | None = None,
    touched: Collection[int] | None = None,
    workers: int = 2,
    fitted: Callable[[int, int], None] | None = None,
) -> Partition:
    """Return a partition with its classifiers fitted, all of them or only the touched ones.

    Parameters
    ----------
    training : TrainingSet
    subset_of : ndarray of shape (L,), int64
        -1 leaves a label out; it must have no training rows.
    noise : NoiseRule
    regularisation : float
    random_state : int
        Each subset has a random stream of its own. So refitting one gives what a full fit would give, except for the
        last digits, because it starts from the classifier of ``previous``.
    previous, touched : Partition, collection of int
        Keep the classifiers of ``previous`` for every subset number not in ``touched``.
    workers : int
        Subsets fitted at once, each on one core, in threads unless ``joblib.parallel_config`` sets another backend.
    fitted : callable(done, total), optional
        Called after each subset.
    """
    labels, dimensions = len(subset_of), training.features.shape[1]
    weights = np.zeros((labels, dimensions), dtype=np.float32)
    bias, correction = np.zeros(labels, dtype=np.float32), np.zeros(labels, dtype=np.float32)
    if previous is not None:
        weights, bias, correction = previous.weights.copy(), previous.bias.copy(), previous.correction.copy()
    present = set(np.unique(subset_of[subset_of >= 0]).tolist())
    numbers = sorted(present if touched is None or previous is None else present & set(touched))

    insides = [np.flatnonzero(subset_of == number) for number in numbers]
    # Separate arrays: a backend with other processes sends each array once, not with every subset.
    arrays = (training.features, training.labels, training.weights, training.background)
    options = (noise, regularisation, random_state)

    def start(inside: Ints) -> tuple[Floats, Floats] | None:
        return None if previous is None else (previous.weights[inside], previous.bias[inside])

    from joblib import Parallel, delayed  # noqa: PLC0415  as below

    # Set once around all threads: a thread that ends would lift the limit for the others.
    with _numerical_libraries().limit(limits=1):
        fits = Parallel(n_jobs=workers, prefer="threads", batch_size=1, return_as="generator")(
            delayed(_fit_on_one_core)(*arrays, inside, number, *options, start(inside))
            for inside, number in zip(insides, numbers, strict=True)
        )
        for done, (inside, (w, b, c)) in enumerate(zip(insides, fits, strict=True), start=1):
            weights[inside], bias[inside], correction[inside] = w, b, c
            if fitted is not None:
                fitted(done, len(numbers))
    return Partition(subset_of, weights, bias, correction)


# joblib hands each value to another process.
def _fit_on_one_core(
    features: Floats,
    labels: Ints,
    weights: Floats,
    background: Floats | None,
    inside: Ints,
    number: int,
    noise: NoiseRule,
    regularisation: float,
    random_state: int,
    start: tuple[Floats, Floats] | None,
) -> tuple[Floats, Floats, Floats]:
    """Return the fit of one subset, perhaps in another process, where the thread limit has to be set again."""
    rng = np.random.default_rng([random_state, number])
    with _numerical_libraries().limit(limits=1):
        training = TrainingSet(features, labels, weights, background=background)
        return fit_subset(training, inside, noise, regularisation=regularisation, rng=rng, start=start)


@cache
def _numerical_libraries() -> Any:  # noqa: ANN401  threadpoolctl ships no types
    """Return this process's numerical libraries, cached: the search takes as long as fitting a small subset."""
    import sklearn.linear_model  # noqa: F401, PLC0415  it loads the libraries that are to be found

    return ThreadpoolController()
