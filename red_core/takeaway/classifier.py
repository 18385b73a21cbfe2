"""R.E.D. as a scikit-learn classifier: fit on texts and labels, or load a model folder; no project is needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from red_core.encoders import parse_spec, pinned
from red_core.errors import InputError, one_line
from red_core.records import Floats, Ints
from red_core.settings import DEFAULT_MODEL, make_settings
from red_core.steps.belief import beliefs_in
from red_core.takeaway.card import card_of_fit
from red_core.takeaway.compact import compact
from red_core.takeaway.contents import (
    NAMES_OF_LABELS,
    NO_LABEL,
    Contents,
    LabelEntry,
    contents_of,
    is_name,
    is_name_of_number,
)
from red_core.takeaway.encoder import same_encoder
from red_core.takeaway.folder import read_folder, write_folder
from red_core.text import LONGEST_TEXT, normalise_text
from red_core.training.from_texts import fit_texts
from red_core.training.text_model import TextModel

TEXTS_AT_ONCE = 4_096
"""Texts whose features are in memory at once."""
Labels = npt.NDArray[Any]


class RedClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """Recursive Expert Delegation as a scikit-learn classifier of texts.

    Parameters
    ----------
    encoder : str or Path
        A name of `red encoders`, a folder, or a model that was downloaded from the hub.
    settings : mapping, optional
        Settings of a round that differ from the preset *recommended*; see docs/settings.md.
    none_of_these : bool
        Whether *none of these* is a class: "none of these" beside labels that are text, -1 beside whole numbers.
        Without this class, both are labels like any other.
    random_state : int

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
        The labels and, if wanted, *none of these*; sorted. The columns of ``predict_proba``.
    contents_ : Contents
        Names, meanings and numbers, as in ``config.json`` of a model folder.
    """

    def __init__(
        self,
        encoder: str | Path = DEFAULT_MODEL,
        settings: Mapping[str, object] | None = None,
        *,
        none_of_these: bool = True,
        random_state: int = 0,
    ) -> None:
        self.encoder = encoder
        self.settings = settings
        self.none_of_these = none_of_these
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401  scikit-learn ships no types
        """Tell scikit-learn that a sample is a text, and not a row of numbers."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.one_d_array, tags.input_tags.two_d_array = True, True, False
        return tags

    def fit(self, texts: Iterable[str], labels: Iterable[Any], unlabeled: Iterable[str] | None = ()) -> RedClassifier:
        """Fit as a round of the workbench does; return self.

        Parameters
        ----------
        texts : iterable of n str
        labels : iterable of n str or int
            At least two different ones; all text, or all whole numbers of 64 bits.
        unlabeled : iterable of str, optional
            Texts of the kind that will be classified: they shape the features, and give the share of *none of these*.

        Raises
        ------
        InputError
            If texts, labels or a parameter cannot be used; the row is counted from 1. Nothing is fitted then.
        SettingsError
            If a setting is unknown or out of its range.
        EmbeddingError
            If the encoder cannot be loaded.
        """
        if not isinstance(self.none_of_these, bool | np.bool_):
            raise InputError("none_of_these", f"it is {self.none_of_these!r}", "Give True or False")
        given = {} if self.settings is None else self.settings
        if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
            raise InputError("settings", f"it is {one_line(repr(given), 40)}", "Give a dict of names and values")
        settings = make_settings("recommended", {**given, "random_state": self.random_state})
        examples, kinds = usable_texts(texts), usable_labels(labels)
        if len(kinds) != len(examples):
            raise InputError("labels", f"{len(examples):,} texts and {len(kinds):,} labels", "Give one for each")
        check_classification_targets(kinds)
        known, positions = np.unique(kinds, return_inverse=True)
        label_type: Literal["str", "int"] = "str" if kinds.dtype.kind == "U" else "int"
        if len(known) < 2:
            raise InputError("labels", "one label", "Give examples of two or more labels")
        if self.none_of_these and NO_LABEL[label_type] in known.tolist():
            rule = f"{NO_LABEL[label_type]!r} means that a text has no label"
            raise InputError("labels", rule, "Leave such texts out, or set none_of_these=False if it is a label")
        names = [str(label) for label in known.tolist()]
        pairs = list(zip(examples, positions.tolist(), strict=True))
        pool = usable_texts(() if unlabeled is None else unlabeled)
        model = fit_texts(pairs, names, pool, str(pinned(parse_spec(str(self.encoder)))), settings)
        facts = {"examples": len(set(pairs)), "unlabelled_texts": len(set(pool))}
        self._set(model, contents_of(
            model, label_type=label_type, none_of_these=bool(self.none_of_these),
            labels=tuple(LabelEntry(name=name) for name in names), of_column=tuple(range(len(names))),
            settings=settings.model_dump(mode="json"), facts=facts,
        ))  # fmt: skip
        return self

    @classmethod
    def from_folder(cls, path: str | Path, *, encoder: str | Path | None = None) -> RedClassifier:
        """Return the classifier of a model folder, and load its encoder.

        Parameters
        ----------
        encoder : str or Path, optional
            Another place of the same encoder, such as a folder.

        Raises
        ------
        InputError
            If the folder is damaged or is no model folder.
        EmbeddingError
            If the encoder cannot be loaded, or is not the one that the classifiers were trained with.
        """
        model, contents = read_folder(Path(path))
        name = same_encoder(contents.encoder, None if encoder is None else str(encoder))
        loaded = cls(name, contents.settings, none_of_these=contents.none_of_these)
        loaded.random_state = contents.settings.get("random_state", 0)
        loaded._set(replace(model, texts=replace(model.texts, embedding=name)), contents)
        return loaded

    def to_folder(self, path: str | Path, card: str | None = None) -> str:
        """Write a model folder without texts (about 25 MB at most); return its fingerprint.

        Parameters
        ----------
        card : str, optional
            The model card, in Markdown; by default one is written.

        Raises
        ------
        InputError
            If the folder exists and is not empty, or cannot be written.
        """
        check_is_fitted(self)
        contents: Contents = self.contents_
        small = compact(self.model_, self.random_state)
        contents = contents.model_copy(update={"copy_distance": small.texts.copy})
        return write_folder(Path(path), small, contents, card_of_fit(contents) if card is None else card)

    def predict(self, texts: Iterable[str]) -> Labels:
        """Return the label of each text, shape (n,), of the type of the labels.

        Raises
        ------
        InputError
            If a text is empty, too long or no string.
        """
        shares = self.predict_proba(texts)
        return np.asarray(self.classes_[shares.argmax(axis=1)])

    def predict_proba(self, texts: Iterable[str]) -> Floats:
        """Return calibrated probabilities, shape (n, K), float64; the columns are ``classes_``, rows sum to 1.

        What the classifiers give to a label that was retired before the export counts for *none of these*.
        """
        check_is_fitted(self)
        usable = usable_texts(texts)
        shares = [self._shares(usable[n : n + TEXTS_AT_ONCE]) for n in range(0, len(usable), TEXTS_AT_ONCE)]
        return np.concatenate(shares) if shares else np.zeros((0, len(self.classes_)))

    def predict_top(self, texts: Iterable[str], k: int = 3) -> tuple[Labels, Floats]:
        """Return the ``k`` most probable classes of each text and their probabilities, both (n, k), best first.

        Raises
        ------
        InputError
            If ``k`` is less than 1; more than all classes are all classes.
        """
        if not _is_whole(k) or k < 1:
            raise InputError("k", f"it is {one_line(repr(k), 40)}", "Give 1 or more")
        shares = self.predict_proba(texts)
        best = np.argsort(-shares, axis=1, kind="stable")[:, :k]
        return np.asarray(self.classes_[best]), np.take_along_axis(shares, best, axis=1)

    def _shares(self, texts: Sequence[str]) -> Floats:
        classes, blocks = len(self.classes_), []
        for top in self.model_.candidates(texts, len(self.class_of_column_)):
            shares = beliefs_in(top, self.class_of_column_, classes)
            # Without that class, its place is the last column too, which is left out.
            shares[:, self.class_of_none_] += shares[:, -1]
            blocks.append(shares[:, :classes] / shares[:, :classes].sum(axis=1, keepdims=True))
        return np.concatenate(blocks)

    def _set(self, model: TextModel, contents: Contents) -> None:
        """Set what a fitted classifier has."""
        convert = int if contents.label_type == "int" else str
        names = [convert(label.name) for label in contents.labels]
        none = [NO_LABEL[contents.label_type]] if contents.none_of_these else []
        self.model_, self.contents_ = model, contents
        self.classes_ = np.unique([*names, *none])
        place = {name: number for number, name in enumerate(self.classes_.tolist())}
        of_column = [-1 if label is None else place[names[label]] for label in contents.of_column]
        self.class_of_column_: Ints = np.array(of_column, dtype=np.int64)
        self.class_of_none_ = place[none[0]] if none else -1


def usable_texts(texts: Iterable[str]) -> list[str]:
    """Return the texts in their normal form.

    Raises
    ------
    InputError
        If one is empty, too long or no string, or if ``texts`` is one string or a table.
    """
    if isinstance(texts, str | bytes) or not isinstance(texts, Iterable) or getattr(texts, "ndim", 1) != 1:
        raise InputError("texts", "they are one text, or a table", "Give a list or a column of texts")
    usable = []
    for number, text in enumerate(texts, start=1):
        if not isinstance(text, str):
            raise InputError("texts", f"it is {type(text).__name__} and no text", "Leave it out", number)
        if len(text) > 3 * LONGEST_TEXT or len(normal := normalise_text(text)) > LONGEST_TEXT:
            raise InputError("texts", f"more than {LONGEST_TEXT:,} characters", "Cut it", number)
        if not normal:
            raise InputError("texts", "an empty text", "Leave it out", number)
        usable.append(normal)
    return usable


def usable_labels(labels: Iterable[Any]) -> Labels:
    """Return the labels as an array of text or of int64, shape (n,).

    Raises
    ------
    InputError
        If one is missing, is neither text nor a whole number, or cannot be the name of a label; if some are text and
        others numbers; or if ``labels`` is one string or a table.
    """
    if isinstance(labels, str | bytes) or not isinstance(labels, Iterable) or getattr(labels, "ndim", 1) != 1:
        raise InputError("labels", "they are one label, or a table", "Give a list or a column of labels")
    values = list(labels)
    numbers = bool(values) and _is_whole(values[0])
    for row, label in enumerate(values, start=1):
        if not isinstance(label, str) and not _is_whole(label):
            raise InputError("labels", f"it is {one_line(repr(label), 40)}", "Give text or whole numbers", row)
        if _is_whole(label) != numbers:
            raise InputError("labels", f"some are text and others numbers, such as {label!r}", "Give one kind", row)
        if not (is_name_of_number(str(label)) if numbers else is_name(label)):
            raise InputError("labels", f"{one_line(repr(label), 40)} cannot be a label", NAMES_OF_LABELS, row)
    return np.array(values, dtype=np.int64 if numbers else np.str_)


def _is_whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
