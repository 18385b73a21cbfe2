"""BERT encoders on onnxruntime, from the same folder as sentence-transformers: a small start, and 8-bit products.

Texts of one length are read together, so no text is padded, and its vector has the same bits whatever texts are read
beside it. Batches are spread over threads; each batch uses one.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from red_core.records import Floats, Ints

TOKENS_AT_ONCE = 256
"""Tokens of a batch. With more, what one layer hands to the next no longer fits into the processor's cache."""
MODULE = "0.model."
"""What sentence-transformers puts before the names of weights; used here too, so that both have one SHA-256."""
WEIGHTS, TOKENIZER, PROMPTS = "model.safetensors", "tokenizer.json", "config_sentence_transformers.json"
MODULES = (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])


def runtime_is_here() -> bool:
    """Return whether the extra ``fast`` is installed."""
    return all(importlib.util.find_spec(package) is not None for package in ("onnx", "onnxruntime"))


def is_readable(folder: Path) -> bool:
    """Return whether the folder holds what this file computes: BERT in float32, the mean of the tokens, no prompt."""
    try:
        modules, config, limits = _json(folder, "modules.json"), _json(folder, "config.json"), _limits(folder)
        pooling, prompts = (
            _json(folder / modules[1]["path"], "config.json"),
            folder / "config_sentence_transformers.json",
        )
        return (
            [module["type"].rpartition(".")[2] for module in modules] in MODULES
            and {key for key, value in pooling.items() if value is True} == {"pooling_mode_mean_tokens"}
            and config["model_type"] == "bert"
            and config["hidden_act"] == "gelu"
            and config.get("position_embedding_type", "absolute") == "absolute"
            and not limits.get("do_lower_case")
            and 0 < limits["max_seq_length"] <= config["max_position_embeddings"]
            and not (prompts.is_file() and _json(folder, PROMPTS).get("default_prompt_name"))
            and (folder / TOKENIZER).is_file()
            and all(kind == "F32" for name, kind in _kinds(folder).items() if _is_weight(name))
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError):  # not there, or not of this form
        return False


class OnnxBert:
    """A BERT model of sentence-transformers, without torch.

    Parameters
    ----------
    folder : Path
        One that ``is_readable``.
    int8 : bool
        Whether products with weights are computed with 8-bit integers.

    Raises
    ------
    Exception
        What the libraries raise if a file is damaged.
    """

    def __init__(self, folder: Path, *, int8: bool) -> None:
        import onnxruntime  # noqa: PLC0415  an extra
        from safetensors.numpy import load_file  # noqa: PLC0415
        from tokenizers import Tokenizer  # noqa: PLC0415

        from red_core.encoders.bert_graph import bert_graph  # noqa: PLC0415  needs onnx, which is an extra

        self._folder, config = folder, _json(folder, "config.json")
        self.dimensions = int(config["hidden_size"])
        self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(_limits(folder)["max_seq_length"])
        graph, arrays = bert_graph(config, load_file(folder / WEIGHTS), int8=int8)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # What pays is fused in the graph. The runtime would also fuse sums with the normalisation, which is slower.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        self._given = {name: onnxruntime.OrtValue.ortvalue_from_numpy(array) for name, array in arrays.items()}
        options.add_external_initializers(list(self._given), list(self._given.values()))
        self._session: Any = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def encode(self, texts: Sequence[str]) -> Floats:
        """Return unit vectors of shape (n, d), float32."""
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        ids = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        batches = _batches(np.array([len(each) for each in ids], dtype=np.int64))

        def read(rows: Ints) -> None:
            tokens = np.array([ids[row] for row in rows], dtype=np.int64)
            means = self._session.run(["states"], {"ids": tokens})[0].mean(axis=1)
            vectors[rows] = means / np.linalg.norm(means, axis=1, keepdims=True)

        if len(batches) < 2:  # a thread would cost more than it gains
            for rows in batches:
                read(rows)
            return vectors
        with ThreadPoolExecutor(_threads()) as pool:
            list(pool.map(read, batches))
        return vectors

    def weights_sha256(self) -> str:
        """Return the SHA-256 of the names, shapes and values of all weights, as for every encoder."""
        from safetensors import safe_open  # noqa: PLC0415

        digest = hashlib.sha256()
        with safe_open(self._folder / WEIGHTS, "numpy") as file:
            for name in sorted(filter(_is_weight, file.keys())):
                array = file.get_tensor(name)
                digest.update(f"{MODULE}{name} {array.dtype.str} {array.shape}".encode())
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def _batches(lengths: Ints) -> list[Ints]:
    """Return row numbers in batches of texts of one length; the longest texts first, so that threads end together."""
    order = np.argsort(-lengths, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(lengths[order])) + 1) if len(order) else []
    batches = []
    for rows in groups:
        size = max(1, TOKENS_AT_ONCE // int(lengths[rows[0]]))
        batches += [rows[start : start + size] for start in range(0, len(rows), size)]
    return batches


def _threads() -> int:
    """Return the threads this process may use: ``OMP_NUM_THREADS`` limits them as it does those of torch."""
    stated = os.environ.get("OMP_NUM_THREADS", "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return int(stated) if stated.isdecimal() and int(stated) else cores


def _kinds(folder: Path) -> dict[str, str]:
    """Return name -> type of the numbers of every array of the weights."""
    from safetensors import safe_open  # noqa: PLC0415

    with safe_open(folder / WEIGHTS, "numpy") as file:
        return {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118  it is no dict


def _is_weight(name: str) -> bool:
    return not name.endswith("position_ids")  # 0, 1, 2, ...: older versions of transformers stored them


def _limits(folder: Path) -> Any:  # noqa: ANN401
    return _json(folder, "sentence_bert_config.json")


def _json(folder: Path, name: str) -> Any:  # noqa: ANN401
    return json.loads((folder / name).read_text("utf-8"))
