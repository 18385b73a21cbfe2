"""Write and read a model folder. Nothing is pickled, and every byte that is read was checked before.

FOLDER/ holds ``model.safetensors`` (arrays), ``config.json`` (:class:`Contents`), ``SHA256SUMS`` (of these two, for
``sha256sum -c``) and ``README.md``, the model card.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save

from red_core.errors import InputError
from red_core.steps.belief import Calibration
from red_core.steps.lexical_features import COLUMNS, LexicalModel
from red_core.steps.subset_classifiers import Partition
from red_core.takeaway.compact import Rounded, rounded
from red_core.takeaway.contents import Contents
from red_core.text import storable
from red_core.training.features import NewTexts
from red_core.training.text_model import TextModel

WEIGHTS, CONFIG, SUMS, CARD = "model.safetensors", "config.json", "SHA256SUMS", "README.md"
LARGEST = {WEIGHTS: 2_000_000_000, CONFIG: 50_000_000, SUMS: 1_000}
"""Most bytes of each file."""
_SUM = re.compile(r"([0-9a-f]{64})  (model\.safetensors|config\.json)")
Array = np.ndarray[Any, Any]


def write_folder(folder: Path, model: TextModel, contents: Contents, card: str) -> str:
    """Write a compact model; return its fingerprint, the SHA-256 of ``SHA256SUMS``.

    Raises
    ------
    InputError
        If the folder exists and is not empty, or cannot be written.
    """
    files = {WEIGHTS: save(_tensors(model)), CONFIG: contents.model_dump_json(indent=1).encode()}
    files[SUMS] = "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in (CONFIG, WEIGHTS)).encode()
    files[CARD] = storable(card).encode()
    try:
        _write(folder, files)
    except OSError as error:
        raise InputError(str(folder), f"it cannot be written ({error.strerror})", "Name another folder") from error
    except ValueError as error:  # a null byte, or a character that no path has
        raise InputError(str(folder), "it is no path", "Name another folder") from error
    return hashlib.sha256(files[SUMS]).hexdigest()


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write all files or none. A folder that is there is kept: it can be the current one, or a mount."""
    os.fsencode(folder)
    is_there = folder.is_dir()
    if folder.is_symlink() or (folder.exists() and not (is_there and not any(folder.iterdir()))):
        raise InputError(str(folder), "it exists and is not an empty folder", "Name another folder")
    partial = (folder if is_there else folder.parent) / f".model-{uuid.uuid4().hex}.partial"
    try:
        partial.mkdir(parents=True)
        for name, content in files.items():
            (partial / name).write_bytes(content)
        if not is_there:
            partial.replace(folder)  # complete or absent
            return
        for name in (CARD, WEIGHTS, CONFIG, SUMS):  # without the last one it is no model
            (partial / name).replace(folder / name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def read_folder(folder: Path) -> tuple[TextModel, Contents]:
    """Return the model of a folder; the caller checks and names its encoder.

    Raises
    ------
    InputError
        If a file is missing or damaged, was changed, or does not fit the others.
    """
    sums = _SUM.findall(_read(folder, SUMS).decode("ascii", "replace"))
    if sorted(name for _, name in sums) != sorted([WEIGHTS, CONFIG]):
        raise _refused(folder, SUMS, "it does not list the two files of a model")
    digests = {name: digest for digest, name in sums}
    files = {name: _read(folder, name) for name in (CONFIG, WEIGHTS)}
    for name, content in files.items():
        if hashlib.sha256(content).hexdigest() != digests[name]:
            raise _refused(folder, name, f"it is not the file that {SUMS} lists")
    try:
        contents = Contents.model_validate_json(files[CONFIG])
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _refused(folder, CONFIG, f"{where}: {first['msg']}" if where else first["msg"]) from error
    try:
        return _model(load(files[WEIGHTS]), contents), contents
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise _refused(folder, WEIGHTS, f"its arrays cannot be used ({error})") from error


def _read(folder: Path, name: str) -> bytes:
    path = folder / name
    try:
        with open(path, "rb", opener=_open) as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode) or facts.st_size > LARGEST[name]:
                raise _refused(folder, name, "it is no file, or it is too large")
            return file.read(LARGEST[name])
    except OSError as error:
        raise _refused(folder, name, f"it cannot be read ({error.strerror})") from error
    except ValueError as error:  # a null byte in the path
        raise _refused(folder, name, "it cannot be read") from error


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # never wait for a named pipe


def _refused(folder: Path, name: str, rule: str) -> InputError:
    return InputError(str(folder / name), rule, "Export the model again with `red export-model`")


def _tensors(model: TextModel) -> dict[str, Array]:
    classifiers, texts = model.classifiers, model.texts
    tensors: dict[str, Array] = {
        "label_weights": np.ascontiguousarray(classifiers.weights, dtype=np.float32),
        "label_bias": np.asarray(classifiers.bias - classifiers.correction, dtype=np.float32),
    }
    if texts.lexical is not None:
        components = rounded(texts.lexical.components)
        tensors |= {
            "lexical_seen": texts.lexical.seen.astype(np.int32), "lexical_idf": texts.lexical.idf.astype(np.float32),
            "lexical_components": components.values, "lexical_scale": components.scale,
        }  # fmt: skip
    if texts.reference is not None:
        representatives = rounded(texts.reference)
        tensors |= {"neighbours": representatives.values, "neighbours_scale": representatives.scale}
    return tensors


def _model(tensors: Mapping[str, Array], contents: Contents) -> TextModel:
    """Return the model of these arrays, after checking names, types, shapes and values."""
    left, labels, width = dict(tensors), len(contents.of_column), contents.encoder.dimensions
    lexical = None
    if contents.lexical_columns:
        idf = _taken(left, "lexical_idf", np.float32, (None,))
        seen = _taken(left, "lexical_seen", np.int32, idf.shape).astype(np.int64)
        if not len(seen) or (np.diff(seen) <= 0).any() or seen[0] < 0 or seen[-1] >= 2 * COLUMNS or (idf <= 0).any():
            raise ValueError("lexical_seen or lexical_idf is out of range")
        lexical = LexicalModel(seen, idf, _rows(left, "lexical_components", "lexical_scale", len(seen)))
        width += len(lexical.components)
    reference = _rows(left, "neighbours", "neighbours_scale", width) if contents.neighbour_weight else None
    columns = width if reference is None else 2 * width
    weights = _taken(left, "label_weights", np.float32, (labels, columns))
    bias = _taken(left, "label_bias", np.float32, (labels,))
    if left:
        raise ValueError(f"unknown array {min(left)[:60]!r}")
    texts = NewTexts(
        "", lexical, contents.lexical_weight, reference, contents.neighbour_weight, contents.copy_distance
    )  # fmt: skip
    one, none = np.zeros(labels, dtype=np.int64), np.zeros(labels, dtype=np.float32)
    calibration = Calibration(contents.beta, contents.none_score)
    return TextModel(texts, Partition(one, weights, bias, none), calibration, contents.none_shares)


def _rows(left: dict[str, Array], name: str, scale: str, width: int) -> Array:
    values = _taken(left, name, np.int8, (None, width))
    if not len(values):
        raise ValueError(f"{name} is empty")
    return Rounded(values, _taken(left, scale, np.float32, (len(values),))).rows


def _taken(left: dict[str, Array], name: str, dtype: type, shape: tuple[int | None, ...]) -> Array:
    """Take an array out of ``left`` after checking it; None in ``shape`` is any length."""
    array = left.pop(name, None)
    if array is None:
        raise ValueError(f"{name} is missing")
    fits = array.ndim == len(shape) and all(n in {None, m} for n, m in zip(shape, array.shape, strict=True))
    if array.dtype != dtype or not fits:
        wanted = tuple("any" if n is None else n for n in shape)
        raise ValueError(f"{name} is {array.dtype} {array.shape} and not {np.dtype(dtype)} {wanted}")
    if array.dtype.kind == "f" and not (np.abs(array) < 1e6).all():  # False for NaN
        raise ValueError(f"{name} has values that are not finite, or too large")
    return array
