"""A BERT encoder as an ONNX graph, made from its weights on this machine: in float32 or with 8-bit products.

The graph takes texts of one length, so that there is no padding and a text's vector does not depend on other texts.
With int8, every token has its own scale and zero point for the same reason. Weights are integers within 64 of zero:
then no sum of two products overflows 16 bits, and processors with and without VNNI compute the same integers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import NodeProto, TensorProto, helper, numpy_helper

Array = npt.NDArray[Any]
LARGEST_WEIGHT = 64
STEPS = 255
"""Steps between the smallest and the largest number of a token."""
SMALLEST_STEP = 1e-30
GIVEN_APART = 1_024
"""Bytes from which an array is handed to the runtime beside the graph, so that it is not copied."""
OPERATORS, FUSED_OPERATORS, FORMAT = 21, 1, 10
"""Versions: of ONNX's operators, of those of onnxruntime, and of the file."""
FUSED = "com.microsoft"


def bert_graph(
    config: Mapping[str, Any], weights: Mapping[str, Array], *, int8: bool
) -> tuple[bytes, dict[str, Array]]:
    """Return the serialised graph, and by name the arrays that the runtime has to be given.

    The graph's input ``ids`` are token ids, int64 of shape (n, m): n texts of m tokens. Its output ``states`` are the
    last layer's, float32 of shape (n, m, d).

    Parameters
    ----------
    config : mapping
        ``config.json`` of a model of the type *bert*.
    weights : mapping of str to ndarray
        By the names of transformers' ``BertModel``, float32.
    int8 : bool
        Whether the products with weights are computed with 8-bit integers.

    Raises
    ------
    KeyError
        If a weight is missing.
    """
    epsilon, width, heads = config["layer_norm_eps"], config["hidden_size"], config["num_attention_heads"]
    graph = _Graph(weights, epsilon, int8=int8)
    first_type = weights["embeddings.token_type_embeddings.weight"][0]
    places = graph.array("places", weights["embeddings.position_embeddings.weight"] + first_type)
    words = graph.array("words", weights["embeddings.word_embeddings.weight"])
    zero, rows = graph.array("zero", np.array([0])), graph.array("rows", np.array([-1, width]))
    length = graph.node("Shape", ["ids"], start=1, end=2)
    shape = graph.node("Concat", [graph.node("Shape", ["ids"]), graph.array("rest", np.array([-1]))], axis=0)
    spoken = graph.node("Gather", [words, "ids"])
    summed = graph.node("Add", [spoken, graph.node("Slice", [places, zero, length, zero])])
    norm = graph.weight_and_bias("embeddings.LayerNorm")
    state = graph.node("LayerNormalization", [summed, *norm], axis=-1, epsilon=epsilon)
    state = graph.node("Reshape", [state, rows])
    for layer in range(config["num_hidden_layers"]):
        of = f"encoder.layer.{layer}"
        three = [f"{of}.attention.self.{name}" for name in ("query", "key", "value")]
        read = graph.product(state, f"{of}.three", np.concatenate([weights[f"{name}.weight"] for name in three]))
        parts = graph.nodes("Split", [graph.node("Reshape", [read, shape])], 3, axis=-1, num_outputs=3)
        bias = graph.array(f"{of}.three.bias", np.concatenate([weights[f"{name}.bias"] for name in three]))
        seen = graph.node("MultiHeadAttention", [*parts, bias], domain=FUSED, num_heads=heads)
        state = graph.added(graph.node("Reshape", [seen, rows]), f"{of}.attention.output", state)
        inner = graph.node("BiasGelu", graph.dense(state, f"{of}.intermediate"), domain=FUSED)
        state = graph.added(inner, f"{of}.output", state)
    graph.node("Reshape", [state, shape], name="states")
    return graph.finished(width)


class _Graph:
    """Collects nodes and arrays. Methods return the names of what they add."""

    def __init__(self, weights: Mapping[str, Array], epsilon: float, *, int8: bool) -> None:
        self._nodes: list[NodeProto] = []
        self._arrays: dict[str, Array] = {}
        self._weights, self._epsilon, self._int8 = weights, epsilon, int8

    def array(self, name: str, values: Array) -> str:
        self._arrays[name] = np.ascontiguousarray(values)
        return name

    def number(self, name: str, value: float) -> str:
        return self.array(name, np.array([value], dtype=np.float32))

    def node(self, kind: str, inputs: Sequence[str], name: str = "", **settings: Any) -> str:  # noqa: ANN401
        name = name or f"{kind}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [name], **settings))
        return name

    def nodes(self, kind: str, inputs: Sequence[str], count: int, **settings: Any) -> list[str]:  # noqa: ANN401
        names = [f"{kind}_{len(self._nodes)}_{number}" for number in range(count)]
        self._nodes.append(helper.make_node(kind, inputs, names, **settings))
        return names

    def weight_and_bias(self, name: str) -> list[str]:
        return [self.array(f"{name}.{part}", self._weights[f"{name}.{part}"]) for part in ("weight", "bias")]

    def dense(self, rows: str, name: str) -> list[str]:
        """Apply a layer; return its product and the bias that is still to be added."""
        bias = self.array(f"{name}.dense.bias", self._weights[f"{name}.dense.bias"])
        return [self.product(rows, f"{name}.dense", self._weights[f"{name}.dense.weight"]), bias]

    def added(self, rows: str, name: str, state: str) -> str:
        """Apply a layer to rows, add the state, and normalise the sum."""
        summed = self.node("Add", [self.node("Add", self.dense(rows, name)), state])
        norm = self.weight_and_bias(f"{name}.LayerNorm")
        return self.node("LayerNormalization", [summed, *norm], axis=-1, epsilon=self._epsilon)

    def product(self, rows: str, name: str, matrix: Array) -> str:
        """Multiply rows, shape (t, k), with a matrix of shape (n, k), transposed."""
        if not self._int8:
            return self.node("Gemm", [rows, self.array(name, matrix)], transB=1)
        scale = np.maximum(np.abs(matrix).max(axis=1), SMALLEST_STEP) / LARGEST_WEIGHT
        whole = np.rint(matrix / scale[:, None]).astype(np.int64)
        below = _in_parts(-whole.sum(axis=1))
        kernel = self.array(name, np.concatenate([whole, below], axis=1).T.astype(np.int8))
        numbers, step, zero = self._whole_numbers(rows)
        # The product has the zero point times the sum of the weights too much. The last columns subtract it.
        again = self.node("Expand", [zero, self.array(f"{name}.again", np.array([1, below.shape[1]]))])
        numbers = self.node("Concat", [numbers, again], axis=1)
        scales = [self.number("one", 1), self.array(f"{name}.scale", scale.astype(np.float32))]
        return self.node("Mul", [self.node("MatMulIntegerToFloat", [numbers, kernel, *scales], domain=FUSED), step])

    def _whole_numbers(self, rows: str) -> tuple[str, str, str]:
        """Round every row to 0 ... STEPS; return the numbers, and of each row its step and its zero point."""
        last, nought = self.array("last", np.array([-1])), self.number("nought", 0)
        least = self.node("Min", [self.node("ReduceMin", [rows, last], keepdims=1), nought])
        most = self.node("Max", [self.node("ReduceMax", [rows, last], keepdims=1), nought])
        step = self.node("Mul", [self.node("Sub", [most, least]), self.number("part", 1 / STEPS)])
        step = self.node("Max", [step, self.number("smallest", SMALLEST_STEP)])
        zero = self.node("Round", [self.node("Neg", [self.node("Div", [least, step])])])
        zero = self.node("Cast", [zero], to=TensorProto.UINT8)
        flat = [self.node("Reshape", [each, last]) for each in (step, zero)]
        return self.node("QuantizeLinear", [rows, *flat], axis=0), step, zero

    def finished(self, width: int) -> tuple[bytes, dict[str, Array]]:
        apart = {name: values for name, values in self._arrays.items() if values.nbytes >= GIVEN_APART}
        kept = [
            _reference(name, values) if name in apart else numpy_helper.from_array(values, name)
            for name, values in self._arrays.items()
        ]
        ids = helper.make_tensor_value_info("ids", TensorProto.INT64, ["texts", "tokens"])
        states = helper.make_tensor_value_info("states", TensorProto.FLOAT, ["texts", "tokens", width])
        versions = [helper.make_opsetid("", OPERATORS), helper.make_opsetid(FUSED, FUSED_OPERATORS)]
        graph = helper.make_graph(self._nodes, "bert", [ids], [states], kept)
        model = helper.make_model(graph, opset_imports=versions, ir_version=FORMAT)
        return model.SerializeToString(), apart


def _in_parts(sums: Array) -> Array:
    """Return whole numbers within LARGEST_WEIGHT whose row sums are ``sums``; shape (n, parts)."""
    parts = max(1, -(-int(np.abs(sums).max()) // LARGEST_WEIGHT))
    edges = np.rint(sums[:, None] * np.arange(parts + 1) / parts).astype(np.int64)
    return np.diff(edges, axis=1)


def _reference(name: str, values: Array) -> TensorProto:
    """Return a tensor without values, which the runtime is given under this name."""
    kind = helper.np_dtype_to_tensor_dtype(values.dtype)
    tensor = TensorProto(name=name, data_type=kind, dims=values.shape, data_location=TensorProto.EXTERNAL)
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "given"
    return tensor
