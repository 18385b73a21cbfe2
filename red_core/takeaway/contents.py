"""What a model folder holds besides its arrays: config.json, checked strictly."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from red_core.steps.lexical_features import COLUMNS
from red_core.takeaway.encoder import EncoderFacts, encoder_facts
from red_core.text import LONGEST_LABEL, LONGEST_MEANING, storable
from red_core.training.text_model import TextModel

MOST_LABELS = 100_000
NO_LABEL: Mapping[str, str | int] = {"str": "none of these", "int": -1}
"""The class of texts that belong to no label, by the type of the labels."""
NAMES_OF_LABELS = f"A label is text of 1 to {LONGEST_LABEL} characters, or a whole number of 64 bits"
_WHOLE = re.compile("0|-?[1-9][0-9]{0,18}")


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


GroupName = Annotated[str, Field(min_length=1, max_length=LONGEST_LABEL)]


def is_name(name: str) -> bool:
    """Return whether text can be the name of a label. numpy takes a null character at its end for no character."""
    return 0 < len(name) <= LONGEST_LABEL and "\0" not in name and storable(name) == name


def is_name_of_number(name: str) -> bool:
    """Return whether text is a whole number of 64 bits as Python writes it, so that no two names are one number."""
    return _WHOLE.fullmatch(name) is not None and -(2**63) <= int(name) < 2**63


class LabelEntry(_Strict):
    """A label that the model gives: name, meaning ('' for none), number of its subset, its groups from the top."""

    name: Annotated[str, Field(min_length=1, max_length=LONGEST_LABEL)]
    meaning: Annotated[str, Field(max_length=LONGEST_MEANING)] = ""
    subset: Annotated[int, Field(ge=-1)] = -1
    path: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=LONGEST_LABEL)], ...], Field(max_length=50)
    ] = ()


class Contents(_Strict):
    """The model without its arrays.

    Attributes
    ----------
    label_type : "str" or "int"
        The type of the labels that ``predict`` returns.
    none_of_these : bool
        Whether *none of these* is one of the classes.
    of_column : tuple of L (int or None)
        For each column of the classifiers, the label that it stands for now: merged labels share one, None is retired
        (its share goes to none of these).
    beta, none_score : float
        The calibration.
    none_shares : (float, float)
        The share of *none of these* that was calibrated for, and the share in use.
    lexical_columns : int
        Hash buckets of the word n-grams, and as many of the character n-grams; 0 without these features.
    lexical_weight, neighbour_weight, copy_distance : float
    settings, facts : dict
        The settings of the fit, and what the model card says in numbers.
    """

    format: Literal["red-classifier/1"] = "red-classifier/1"
    encoder: EncoderFacts
    label_type: Literal["str", "int"]
    none_of_these: bool
    labels: Annotated[tuple[LabelEntry, ...], Field(min_length=2, max_length=MOST_LABELS)]
    of_column: Annotated[tuple[int | None, ...], Field(min_length=2, max_length=MOST_LABELS)]
    beta: Annotated[float, Field(gt=0, le=1e6)]
    none_score: Annotated[float, Field(ge=-1e6, le=1e6)]
    none_shares: tuple[Annotated[float, Field(gt=0, lt=1)], Annotated[float, Field(gt=0, lt=1)]]
    lexical_columns: Annotated[int, Field(ge=0, le=COLUMNS)]
    lexical_weight: Annotated[float, Field(ge=0, le=100)]
    neighbour_weight: Annotated[float, Field(ge=0, le=100)]
    copy_distance: Annotated[float, Field(ge=0, le=1)]
    settings: dict[str, Any]
    facts: dict[str, Any]

    @model_validator(mode="after")
    def _labels_fit(self) -> Contents:
        names = [label.name for label in self.labels]
        if len(set(names)) < len(names):
            raise ValueError("two labels have the same name")
        if not all(column is None or 0 <= column < len(names) for column in self.of_column):
            raise ValueError("of_column names a label that is not there")
        if all(column is None for column in self.of_column):
            raise ValueError("of_column names no label")
        if len({column for column in self.of_column if column is not None}) < len(names):
            raise ValueError("of_column has no column for a label, which could never be given")
        if self.lexical_columns not in {0, COLUMNS}:
            raise ValueError(f"this version computes word and character features of {COLUMNS} columns only")
        if self.label_type == "int" and not all(map(is_name_of_number, names)):
            raise ValueError("a label is no whole number of 64 bits, or is written in another way than 7 or -7")
        if not all(map(is_name, names)):
            raise ValueError("a name has a null character")
        if self.none_of_these and str(NO_LABEL[self.label_type]) in names:
            raise ValueError(f"a label is called {str(NO_LABEL[self.label_type])!r}, the class of no label")
        state = self.settings.get("random_state", 0)
        if type(state) is not int or state < 0:
            raise ValueError("settings: random_state is no whole number from 0 on")
        return self


def contents_of(
    model: TextModel,
    # What the model does not know:
    *,
    label_type: Literal["str", "int"],
    none_of_these: bool,
    labels: tuple[LabelEntry, ...],
    of_column: tuple[int | None, ...],
    settings: dict[str, Any],
    facts: dict[str, Any],
) -> Contents:
    """Return the contents of a model's folder; the encoder is loaded to identify it.

    Raises
    ------
    EmbeddingError
        If it cannot be loaded.
    """
    texts = model.texts
    return Contents(
        encoder=encoder_facts(texts.embedding), label_type=label_type, none_of_these=none_of_these,
        labels=labels, of_column=of_column, settings=settings, facts=facts,
        beta=model.calibration.beta, none_score=model.calibration.none_score, none_shares=model.none_shares,
        lexical_columns=0 if texts.lexical is None else COLUMNS, lexical_weight=texts.lexical_weight,
        neighbour_weight=0.0 if texts.reference is None else texts.neighbour_weight, copy_distance=texts.copy,
    )  # fmt: skip
