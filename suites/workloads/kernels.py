"""Microbenchmarks: one operator a call, in the manner of DeepBench and STREAM.

What they reach is what a machine can be held to. Operands are drawn from a seed, results go
where earlier results were, and nothing else is in the call.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from accelbench.harness.errors import TrialError
from accelbench.harness.schema.opgraph import Operator, OpGraph
from accelbench.harness.schema.phases import Phase
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.quality import Quality
from accelbench.suites.workloads.extras import require

SHAPES: Mapping[str, tuple[str, ...]] = {
    "gemm": ("m", "n", "k"),
    "gemm_int8": ("m", "n", "k"),
    "copy": ("elements",),
    "triad": ("elements",),
    "attention": ("heads", "tokens", "head_dim"),
    "convolution": ("channels_in", "channels_out", "side", "kernel"),
    "launch": ("launches",),
}
"""What the numbers of a shape are, by operator."""

_SEED = 0


@dataclass(frozen=True)
class Kernels:
    """One operator on operands of one shape.

    A sample is the operator's first operand, so that a batch of several does the work of several
    at once: a product of (batch m, k) by (k, n), a copy of batch arrays.

    Attributes:
        operator: "gemm" is (m x k) by (k x n), "gemm_int8" the same of int8 summed in int32;
            "copy" is a = b and "triad" a = b + s c; "attention" is that of one sequence to itself,
            "convolution" one with stride 1 whose result is as large as its image; "launch" is a
            chain of additions to a single number, each of which waits for the one before.
        shape: As `SHAPES` names its numbers.
    """

    operator: Literal[
        "gemm", "gemm_int8", "copy", "triad", "attention", "convolution", "launch"
    ] = "gemm"
    shape: tuple[int, ...] = (1024, 1024, 1024)

    def __post_init__(self) -> None:
        names = SHAPES[self.operator]
        if len(self.shape) != len(names) or min(self.shape) < 1:
            raise ValueError(
                f"shape of {self.operator} is ({', '.join(names)}), each at least 1,"
                f" got {list(self.shape)}"
            )
        if self.operator == "convolution" and self.shape[3] % 2 == 0:
            raise ValueError(f"the kernel of a convolution is odd, got {self.shape[3]}")

    def model(self, weights: Path | None, seed: int) -> Any:  # noqa: ARG002  (operands have none)
        """The operator with its second operand, drawn from the seed.

        Raises:
            MissingPart: PyTorch is not installed.
        """
        require("torch", "torch")
        from accelbench.suites.workloads import kernels_network as network  # noqa: PLC0415  (torch)

        return network.operator(self.operator, self.shape, seed)

    def facts(self) -> Mapping[str, Plain]:
        """Operands that are random, and that are made up."""
        return {
            "weights": "random",
            "data": {
                "kind": "synthetic",
                "name": "operands of a microbenchmark",
                "generator": f"uniform in [-1, 1), NumPy's PCG64, seed {_SEED}",
                "licence": "none needed: numbers from a generator",
            },
        }

    def geometry(self) -> Mapping[str, Plain]:
        """The operator and its shape; `arithmetic` where it is that of the operator alone."""
        told: dict[str, Plain] = {
            "execution": "dense",
            "operator": self.operator,
            "shape": dict(zip(SHAPES[self.operator], self.shape, strict=True)),
            "input_shapes": {"x".join(map(str, self._operand)): 1.0},
            "padding": {"policy": "none: all operands have one shape", "share": 0.0},
        }
        if self.operator == "gemm_int8":
            told["arithmetic"] = "int8"
        return told

    def samples(self) -> "Operands":
        """One operand."""
        draw = np.random.default_rng(_SEED)
        if self.operator == "gemm_int8":
            return Operands(draw.integers(-127, 128, (1, *self._operand), np.int8))
        uniform = draw.random((1, *self._operand), np.float32)
        return Operands(2 * uniform - 1)

    @property
    def _operand(self) -> tuple[int, ...]:
        """Shape of one sample."""
        match self.operator, self.shape:
            case "gemm" | "gemm_int8", (m, _, k):
                return (m, k)
            case "attention", (heads, tokens, head_dim):
                return (3, heads, tokens, head_dim)
            case "convolution", (channels_in, _, side, _):
                return (channels_in, side, side)
            case "launch", _:
                return (1,)
        return self.shape

    def phases(self) -> Sequence[Phase]:
        """The operator."""
        return (Phase("forward"),)

    def lower(self, phase: str, batch: int, tokens: int, context: int) -> OpGraph:
        """The one operator, in closed form; elements of each operand once.

        Raises:
            TrialError: The phase is not "forward".
        """
        if phase != "forward":
            raise TrialError(f"a microbenchmark has no phase {phase!r}", remedy="use forward")
        operator = self._operator(batch)
        return OpGraph(
            workload=f"kernels.{self.operator}",
            phase=phase,
            batch=batch,
            tokens=tokens,
            context=context,
            operators=(operator,),
            edges=((0, 0),) if operator.count > 1 else (),
            parameters=sum(math.prod(operator.inputs[index]) for index in operator.weights),
        )

    def _operator(self, batch: int) -> Operator:
        """FLOPs: two for a multiply-add of products; element-wise operators are counted none."""
        shape = self.shape
        if self.operator in ("gemm", "gemm_int8"):
            rows, (_, n, k) = batch * shape[0], shape
            name, kind = ("mm", "float32") if self.operator == "gemm" else ("_int_mm", "int8")
            pair, made = ((rows, k), (k, n)), ((rows, n),)
            return _one(f"aten.{name}", pair, made, 2 * rows * n * k, dtype=kind, weights=(1,))
        if self.operator == "attention":
            one = ((batch, *shape),)
            flops = 4 * batch * math.prod(shape) * shape[1]
            return _one("aten.scaled_dot_product_attention", 3 * one, one, flops)
        if self.operator == "convolution":
            taken, given, side, kernel = shape
            images, results = (batch, taken, side, side), (batch, given, side, side)
            flops = 2 * math.prod(results) * taken * kernel * kernel
            filters = (given, taken, kernel, kernel)
            return _one("aten.convolution", (images, filters), (results,), flops, weights=(1,))
        if self.operator == "launch":
            return _one("aten.add_", ((batch, 1),), ((batch, 1),), count=shape[0])
        one_row = (batch, *shape)
        if self.operator == "copy":
            return _one("aten.copy_", (one_row,), (one_row,))
        return _one("aten.add", (one_row, shape), (one_row,), weights=(1,))


def _one(
    name: str,
    inputs: tuple[tuple[int, ...], ...],
    outputs: tuple[tuple[int, ...], ...],
    flops: int = 0,
    *,
    count: int = 1,
    dtype: str = "float32",
    weights: tuple[int, ...] = (),
) -> Operator:
    return Operator(
        name=name,
        count=count,
        inputs=inputs,
        outputs=outputs,
        dtype=dtype,
        flops=flops,
        elements_read=sum(map(math.prod, inputs)),
        elements_written=sum(map(math.prod, outputs)),
        weights=weights,
    )


@dataclass(frozen=True, eq=False)
class Operands:
    """Operands, one row each.

    Attributes:
        values: Shape (count, ...).
    """

    values: NDArray[Any]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.values)

    def batch(self, indices: Sequence[int]) -> NDArray[Any]:
        """The operands at these indices."""
        return self.values[list(indices)]

    def figures(self, answered: Iterable[tuple[Sequence[int], Any]]) -> Sequence[Quality]:  # noqa: ARG002  (nothing to score)
        """None: a product of random numbers is no answer to a question."""
        return ()
