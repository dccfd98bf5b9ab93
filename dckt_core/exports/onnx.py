"""A common space as ONNX: a file a medium, rows of features [n, d] in, `embeddings` [n, D] out.

The graph is made from the space's own formula, a few nodes a step, and not traced: n is free.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from dckt_core.contract.formula import Op, Step
from dckt_core.exports.needs import need
from dckt_core.exports.noted import Noted
from dckt_core.io.files import write_atomically

OPSET, IR_VERSION = 18, 9
LEAST = 1e-12
"""A row is divided by no less, as in `torch.nn.functional.normalize`."""


def write_onnx(file: Path, noted: Noted, about: Mapping[str, str]) -> None:
    """Writes one medium's half of a space.

    Args:
        about: kept in the file's metadata.

    Raises:
        UsageError: the package onnx is not there.
    """
    onnx = need("onnx", extra="onnx")
    graph = _Graph(onnx)
    names = ["features"]
    for step in noted.formula.steps:
        names.append(graph.add(step, [names[number] for number in step.inputs]))
    outputs = {"embeddings": (noted.embeddings.number, noted.dim)}
    if noted.probabilities is not None:
        outputs["probabilities"] = (noted.probabilities.number, noted.classes)
    for output, (number, _) in outputs.items():
        graph.node("Identity", [names[number]], output)
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    made = helper.make_graph(
        graph.nodes,
        f"dckt {noted.medium}s",
        [helper.make_tensor_value_info("features", kind, ["n", noted.width])],
        [helper.make_tensor_value_info(name, kind, ["n", width]) for name, (_, width) in outputs.items()],
        graph.constants,
    )
    model = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="dckt"
    )
    helper.set_model_props(model, dict(about))
    onnx.checker.check_model(model)
    content = model.SerializeToString()
    write_atomically(file, lambda temporary: _write(temporary, content))


def _write(file: Path, content: bytes) -> None:
    file.write_bytes(content)


class _Graph:
    """Nodes and constants as they are added."""

    def __init__(self, onnx: Any) -> None:
        self._onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._known: dict[bytes, str] = {}

    def add(self, step: Step, inputs: Sequence[str]) -> str:
        """The name of what a step gives."""
        return _STEPS[step.op](self, step, list(inputs))

    def node(self, kind: str, inputs: Sequence[str], *outputs: str, **attributes: Any) -> str:
        """The name of a node's first output."""
        named = outputs or (f"v{len(self.nodes)}",)
        self.nodes.append(self._onnx.helper.make_node(kind, list(inputs), list(named), **attributes))
        return named[0]

    def constant(self, value: Tensor | Sequence[int] | float) -> str:
        """The name of a constant; equal ones are kept once."""
        if isinstance(value, Tensor):
            array = np.ascontiguousarray(value.numpy())
        else:
            array = np.asarray(value, dtype=np.float32 if isinstance(value, float) else np.int64)
        key = f"{array.dtype} {array.shape} ".encode() + array.tobytes()
        if key not in self._known:
            self._known[key] = f"c{len(self._known)}"
            self.constants.append(self._onnx.numpy_helper.from_array(array, self._known[key]))
        return self._known[key]


def _standardise(graph: _Graph, step: Step, x: list[str]) -> str:
    centred = graph.node("Sub", [*x, graph.constant(step.tensors["mean"])])
    return graph.node("Mul", [centred, graph.constant(step.tensors["factor"])])


def _linear(graph: _Graph, step: Step, x: list[str]) -> str:
    product = graph.node("MatMul", [*x, graph.constant(step.tensors["weight"])])
    if "bias" not in step.tensors:
        return product
    return graph.node("Add", [product, graph.constant(step.tensors["bias"])])


def _unit(graph: _Graph, step: Step, x: list[str]) -> str:
    length = graph.node("ReduceL2", [*x, graph.constant([1])], keepdims=1)
    return graph.node("Div", [*x, graph.node("Max", [length, graph.constant(LEAST)])])


def _sum(graph: _Graph, step: Step, x: list[str]) -> str:
    weights = step.numbers["weights"]
    assert isinstance(weights, list)
    scaled = [graph.node("Mul", [one, graph.constant(float(weight))]) for one, weight in zip(x, weights, strict=True)]
    return graph.node("Sum", scaled) if len(scaled) > 1 else scaled[0]


def _nearest(graph: _Graph, step: Step, x: list[str]) -> str:
    count, power = step.numbers["count"], step.numbers["power"]
    assert isinstance(count, int)
    assert isinstance(power, float)
    products = graph.node("MatMul", [*x, graph.constant(step.tensors["keys"].T.contiguous())])
    best, rows = f"best{len(graph.nodes)}", f"rows{len(graph.nodes)}"
    graph.node("TopK", [products, graph.constant([count])], best, rows, axis=1)
    weights = graph.node("Pow", [graph.node("Relu", [best]), graph.constant(power)])
    weights = graph.node("Unsqueeze", [weights, graph.constant([2])])
    values = graph.node("Gather", [graph.constant(step.tensors["values"]), rows], axis=0)
    return graph.node("ReduceSum", [graph.node("Mul", [weights, values]), graph.constant([1])], keepdims=0)


_STEPS: Mapping[Op, Callable[[_Graph, Step, list[str]], str]] = {
    "standardise": _standardise,
    "linear": _linear,
    "unit": _unit,
    "softmax": lambda graph, step, x: graph.node("Softmax", x, axis=1),
    "relu": lambda graph, step, x: graph.node("Relu", x),
    "exp": lambda graph, step, x: graph.node("Exp", x),
    "join": lambda graph, step, x: graph.node("Concat", x, axis=1),
    "sum": _sum,
    "nearest": _nearest,
}


def as_metadata(classes: Sequence[str], version: str, medium: str) -> dict[str, str]:
    """What a file says of itself."""
    return {"dckt": version, "medium": medium, "classes": json.dumps(list(classes), ensure_ascii=False)}
