"""What the array files of a project may hold: names, types, shapes and ranges, for files from a backup."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from red_core.records import Project
from red_core.steps.neighbour_features import NEAREST, unpacked
from red_core.steps.refitting import Fitted
from red_core.store.arrays import Array, array_files, arrays_in, vector_file
from red_core.store.checksums import vector_blocks
from red_core.store.database import connection
from red_core.store.labels import all_label_ids
from red_core.store.stored_json import LARGEST, LARGEST_INTEGER
from red_core.store.vectors import NEIGHBOUR_LISTS, vector_dimensions

LEXICAL = re.compile(r"lexical-\d{1,4}-\d{1,18}-\d{1,12}", re.ASCII)
"""The name of a lexical model: its dimensions, its random state, and how many texts it was made for."""
MOST_WEIGHT = 1.001
"""Of a neighbour; the weights of a text add up to 1."""
_WORDS, _WHOLE, _FRACTIONS, _TRUTHS = "U", "i", "f", "b"
"""Kinds of numpy types."""


@dataclass(frozen=True)
class _Facts:
    """What the database says: the ids of all labels, the dimensions of all vectors, and the numbers of all rounds.

    The vectors of rounds before ``used_from`` may have been removed.
    """

    labels: set[int]
    dimensions: Mapping[str, int]
    rounds: set[int]
    used_from: int


@dataclass(frozen=True)
class _Kind:
    """A kind of array file.

    Attributes
    ----------
    path : pattern
        Of its path in the project's folder.
    arrays : dict of str to (str, tuple)
        Name -> kind of type and shape. A length in words is the same wherever the word stands in one file.
    fits : callable(path, arrays, facts)
        Whether the arrays fit each other and the project; it may raise ValueError, KeyError or IndexError instead.
    newer : frozenset of str
        Arrays that an earlier version did not store. Without one of them, the file is read as too old.
    """

    path: re.Pattern[str]
    arrays: Mapping[str, tuple[str, tuple[str | int, ...]]]
    fits: Callable[[str, Mapping[str, Array], _Facts], bool]
    newer: frozenset[str] = field(default=frozenset())


def _names_fit(_path: str, stored: Mapping[str, Array], facts: _Facts) -> bool:
    width = facts.dimensions.get(str(stored["model"]))
    return width is None or stored["vectors"].shape[1] == width


def _lexical_fits(path: str, stored: Mapping[str, Array], facts: _Facts) -> bool:
    width = facts.dimensions.get(Path(path).stem)
    return _ascends(stored["seen"]) and (width is None or len(stored["components"]) == width)


def _map_fits(_path: str, stored: Mapping[str, Array], _facts: _Facts) -> bool:
    return (
        _ascends(stored["texts"])
        and bool((stored["counts"] >= 0).all())
        and bool((stored["low"] < stored["high"]).all())
        and stored["counts"].size > 0
    )


def _model_fits(path: str, stored: Mapping[str, Array], facts: _Facts) -> bool:
    labels = stored["label_ids"]
    if int(Path(path).stem) not in facts.rounds or not (_ascends(labels) and facts.labels.issuperset(labels.tolist())):
        return False
    known = stored["known_labels"]
    if not ((known >= 0) & (known < len(labels))).all() or stored["calibration"][0] <= 0:
        return False
    parts = {name.rsplit("_samples", 1)[0] for name in stored if name.endswith("_samples")}
    fitted = [Fitted.of(stored, part, labels) for part in parts]
    for one in fitted:
        for partition in one.partitions:
            kinds = [getattr(partition, name).dtype.kind for name in type(partition).__dataclass_fields__]
            subset_of = partition.subset_of
            if kinds != [_WHOLE, _FRACTIONS, _FRACTIONS, _FRACTIONS] or one.samples.dtype.kind != _WHOLE:
                return False
            if not ((subset_of >= -1) & (subset_of < len(facts.labels))).all():
                return False
    if not _MODEL_NEWER.issubset(stored):
        return True
    widths = {partition.weights.shape[-1] for one in fitted for partition in one.partitions}
    if int(Path(path).stem) < facts.used_from and any(name and name not in facts.dimensions for name in _read(stored)):
        return "partitions" in parts and stored["extent"][1].isdecimal() and len(widths) == 1
    return "partitions" in parts and stored["extent"][1].isdecimal() and widths == {_width(stored, facts)}


def _read(stored: Mapping[str, Array]) -> list[str]:
    """Return the names of the vectors that a model reads: embedding, lexical features, neighbours."""
    return [str(name) for name in stored["words"].tolist()[:3]]


def _width(stored: Mapping[str, Array], facts: _Facts) -> int:
    """Return how many features a model reads; KeyError or ValueError if some have no vectors."""
    embedding, lexical, neighbours = _read(stored)
    width = facts.dimensions[embedding]
    if lexical:
        if LEXICAL.fullmatch(lexical) is None:
            raise ValueError("a lexical model is a file of the project")
        width += facts.dimensions[lexical]
    stored_width = 2 * NEAREST if neighbours.startswith(NEIGHBOUR_LISTS) else width
    if neighbours and facts.dimensions[neighbours] != stored_width:
        raise ValueError("neighbours have the features of texts")
    return 2 * width if neighbours else width


def _ascends(ids: Array) -> bool:
    return bool((np.diff(ids) > 0).all() and (ids >= 0).all())


_MODEL_NEWER = frozenset({"seeds", "numbers", "extent", "words"})
KINDS = (
    _Kind(
        re.compile(r"label-names\.npz"),
        {"model": (_WORDS, ()), "names": (_WORDS, ("n",)), "vectors": (_FRACTIONS, ("n", "d"))},
        _names_fit,
    ),
    _Kind(
        re.compile(rf"{LEXICAL.pattern}\.npz", re.ASCII),
        {"seen": (_WHOLE, ("m",)), "idf": (_FRACTIONS, ("m",)), "components": (_FRACTIONS, ("k", "m"))},
        _lexical_fits,
    ),
    _Kind(
        re.compile(r"map/pool-[0-9a-f]{16}\.npz"),
        {
            "texts": (_WHOLE, ("n",)), "spots": (_FRACTIONS, ("n", 2)), "counts": (_WHOLE, ("c", "c")),
            "low": (_FRACTIONS, (2,)), "high": (_FRACTIONS, (2,)),
        },
        _map_fits,
    ),
    _Kind(
        re.compile(r"rounds/\d{1,12}\.npz", re.ASCII),
        {
            "label_ids": (_WHOLE, ("l",)), "fed_back": (_WHOLE, ("f",)), "seeds": (_WHOLE, ("s",)),
            "calibration": (_FRACTIONS, (2,)), "known_texts": (_WHOLE, ("n",)), "known_labels": (_WHOLE, ("n",)),
            "known_right": (_TRUTHS, ("n",)), "known_prior_logit": (_FRACTIONS, ("n",)), "words": (_WORDS, (4,)),
            "numbers": (_FRACTIONS, (3,)), "extent": (_WORDS, (3,)),
        },
        _model_fits,
        _MODEL_NEWER,
    ),
)  # fmt: skip
"""The files that are read again. No reader looks for another one, whatever it holds."""


def array_faults(project: Project) -> Iterator[str]:
    """Yield what is wrong with the vectors and the array files of a project, each in a few words; it reads all."""
    for model, dimensions in vector_dimensions(project).items():
        path = vector_file(project, model)
        if not all(_is_in_range(block, LARGEST) for _, block in vector_blocks(path, dimensions)):
            yield f"{path.name} has a number that is not finite"
        if model.startswith(NEIGHBOUR_LISTS) and not _are_lists(project, path, dimensions):
            yield f"{path.name} has a neighbour that is no text, or a weight that is no share"
    facts = _facts(project)
    for path in array_files(project):
        name, stored = path.relative_to(project.folder).as_posix(), {}
        kind = next((kind for kind in KINDS if kind.path.fullmatch(name)), None)
        for array_name, array in arrays_in(path):
            whole = array.dtype.kind == _WHOLE and not array_name.endswith("_samples")  # those are hashes
            if (whole or array.dtype.kind == _FRACTIONS) and not _is_in_range(
                array, LARGEST_INTEGER if whole else LARGEST
            ):
                yield f"{name} has a number that is not finite, or too large"
            if kind is not None:
                stored[array_name] = array
        if kind is not None and not _fits(kind, name, stored, facts):
            yield f"{name} does not hold the arrays that this program stores there"


def _facts(project: Project) -> _Facts:
    with connection(project) as db:
        rounds = {int(number): metrics != "{}" for number, metrics in db.execute("SELECT id, metrics FROM round")}
    finished = max((number for number, is_finished in rounds.items() if is_finished), default=0)
    files = (path.stem for path in (project.folder / "rounds").glob("*.npz"))
    used = max((int(stem) for stem in files if stem.isdecimal() and int(stem) <= finished), default=0)
    return _Facts(all_label_ids(project), vector_dimensions(project), set(rounds), used)


def _are_lists(project: Project, path: Path, dimensions: int) -> bool:
    """Return whether the vectors of a file are lists of neighbours."""
    if dimensions != 2 * NEAREST:
        return False
    with connection(project) as db:
        texts = np.array(db.execute("SELECT id FROM text").fetchall(), dtype=np.int64).reshape(-1)
    for _, block in vector_blocks(path, dimensions):
        near, weights = unpacked(block)
        if not np.isin(near, texts).all() or not ((weights >= 0) & (weights <= MOST_WEIGHT)).all():
            return False
    return True


def _is_in_range(array: Array, most: float) -> bool:
    low, high = float(array.min(initial=0)), float(array.max(initial=0))
    return -most <= low and high <= most  # False if one of them is not a number


def _fits(kind: _Kind, path: str, stored: Mapping[str, Array], facts: _Facts) -> bool:
    lengths: dict[str | int, int] = {}
    for name, (of_type, shape) in kind.arrays.items():
        if name not in stored and name in kind.newer:
            continue
        array = stored.get(name)
        if array is None or array.dtype.kind != of_type or array.ndim != len(shape):
            return False
        for length, size in zip(shape, array.shape, strict=True):
            if size != (length if isinstance(length, int) else lengths.setdefault(length, size)):
                return False
    try:
        return kind.fits(path, stored, facts)
    except (KeyError, ValueError, TypeError, IndexError):
        return False
