"""BERT on onnxruntime: the vectors of sentence-transformers, the same bits beside any other texts, refusals.

Without the extra `fast`, what needs it is skipped, and the refusal is tested.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from red_core.encoders import EncoderSpec, encode, loading
from red_core.encoders.loading import SentenceTransformers, default_model_folder, loaded_encoder
from red_core.encoders.onnx_bert import OnnxBert, is_readable, runtime_is_here
from red_core.errors import EmbeddingError
from red_core.settings import DEFAULT_MODEL

needs_runtime = pytest.mark.skipif(
    not runtime_is_here(), reason="the extra `fast` (onnx, onnxruntime) is not installed"
)
TEXTS = [
    "my card has not arrived", "what is the exchange rate?", "", "  Two   SPACES\tand a\x00 sign ", "Ünïcödé naïve",
    "日本語のテキスト", "x" * 3_000, "word " * 400, "a", "my card has not arrived yet, where is it now please?",
]  # fmt: skip
INT8 = f"{DEFAULT_MODEL}?precision=int8"


@pytest.fixture(autouse=True)
def _nothing_loaded() -> Iterator[None]:
    loaded_encoder.cache_clear()
    yield
    loaded_encoder.cache_clear()


@pytest.fixture(scope="module")
def bare() -> SentenceTransformers:
    return SentenceTransformers(EncoderSpec(DEFAULT_MODEL))


@pytest.fixture(scope="module")
def many() -> Sequence[str]:
    rng = np.random.default_rng(0)
    words = ["card", "money", "transfer", "unhappy", "refund", "exchange", "rate", "top-up", "pending", "cash"]
    return [" ".join(rng.choice(words, size)) for size in rng.integers(1, 30, size=150)] + TEXTS


@needs_runtime
def test_float32_gives_the_vectors_and_the_sha256_of_sentence_transformers(bare: SentenceTransformers) -> None:
    light = loaded_encoder(EncoderSpec(DEFAULT_MODEL))
    assert isinstance(light, OnnxBert)
    assert light.dimensions == bare.dimensions
    assert light.weights_sha256() == bare.weights_sha256()
    vectors = light.encode(TEXTS)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, bare.encode(TEXTS), atol=1e-5)


@needs_runtime
def test_int8_stays_near_float32_and_is_not_the_same(bare: SentenceTransformers, many: Sequence[str]) -> None:
    exact, rounded = bare.encode(many), encode(INT8, many)
    cosines = (exact * rounded).sum(axis=1)
    assert cosines.min() > 0.98
    assert cosines.mean() > 0.99
    assert cosines.max() < 1 - 1e-6  # it is computed with other numbers
    np.testing.assert_allclose(np.linalg.norm(rounded, axis=1), 1, atol=1e-5)
    neighbours = [(1 - np.eye(len(many))) * (rows @ rows.T) for rows in (exact, rounded)]
    assert np.abs(neighbours[0] - neighbours[1]).max() < 0.1


@needs_runtime
@pytest.mark.parametrize("line", [DEFAULT_MODEL, INT8])
def test_a_text_has_the_same_bits_beside_any_others(line: str, many: Sequence[str]) -> None:
    together = encode(line, many)
    alone = np.concatenate([encode(line, [text]) for text in many])
    shuffled = np.random.default_rng(1).permutation(len(many))
    assert np.array_equal(together, alone)
    assert np.array_equal(encode(line, [many[row] for row in shuffled]), together[shuffled])
    assert encode(line, []).shape == (0, together.shape[1])


@needs_runtime
@pytest.mark.parametrize("line", [DEFAULT_MODEL, INT8])
def test_threads_do_not_change_a_bit(line: str, many: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    one = encode(line, many)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert np.array_equal(encode(line, many), one)


@needs_runtime
@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("config.json", {"model_type": "mpnet"}),
        ("config.json", {"hidden_act": "relu"}),
        ("config.json", {"position_embedding_type": "relative_key"}),
        ("sentence_bert_config.json", {"do_lower_case": True}),
        ("sentence_bert_config.json", {"max_seq_length": None}),
        ("1_Pooling/config.json", {"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}),
        ("config_sentence_transformers.json", {"default_prompt_name": "query"}),
    ],
)
def test_what_it_cannot_compute_is_left_to_sentence_transformers(
    file: str, change: dict[str, object], tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(default_model_folder(), folder, copy_function=_link)
    assert is_readable(folder)
    content = json.loads((folder / file).read_text())
    (folder / file).unlink()
    (folder / file).write_text(json.dumps(content | change))
    assert not is_readable(folder)
    with pytest.raises(EmbeddingError, match="has no 8-bit vectors"):
        encode(f"{folder}?precision=int8", ["text"])


@needs_runtime
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_damaged_weights_are_refused_in_one_line(precision: str, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file  # noqa: PLC0415

    folder = tmp_path / "model"
    shutil.copytree(default_model_folder(), folder, copy_function=_link)
    weights = load_file(folder / "model.safetensors")
    del weights["encoder.layer.3.output.dense.weight"]
    (folder / "model.safetensors").unlink()
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(EmbeddingError, match="cannot be loaded") as refused:
        encode(f"{folder}?precision={precision}", ["text"])
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["universal-sentence-encoder-multilingual-v3", "api:model@http://127.0.0.1:9/v1"])
def test_other_kinds_of_encoders_have_no_8_bit_vectors(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "runtime_is_here", lambda: True)
    with pytest.raises(EmbeddingError, match="has no 8-bit vectors"):
        encode(f"{name}?precision=int8", ["text"])


def test_without_the_extra_int8_is_refused_and_float32_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else found(name))
    with pytest.raises(EmbeddingError, match=r"pip install 'red-workbench\[fast\]'"):
        encode(INT8, ["text"])
    assert isinstance(loaded_encoder(EncoderSpec(DEFAULT_MODEL)), SentenceTransformers)


def _link(source: str, target: str) -> None:
    Path(target).symlink_to(source)


def test_vectors_of_16_bit_numbers_are_unit_vectors_near_the_others():
    short = SentenceTransformers(EncoderSpec(DEFAULT_MODEL, precision="bfloat16")).encode(TEXTS)
    whole = SentenceTransformers(EncoderSpec(DEFAULT_MODEL)).encode(TEXTS)
    assert np.linalg.norm(short, axis=1) == pytest.approx(np.ones(len(TEXTS)), abs=1e-6)
    assert (short * whole).sum(axis=1).min() > 0.99
    assert not np.array_equal(short, whole)
