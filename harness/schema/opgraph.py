"""What a model computes: distinct operators with multiplicity, shapes, FLOPs and bytes."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

ELEMENT_BYTES: Mapping[str, float] = MappingProxyType(
    {
        "fp64": 8.0,
        "fp32": 4.0,
        "bf16": 2.0,
        "fp16": 2.0,
        "fp8": 1.0,
        "int8": 1.0,
        "fp6": 0.75,
        "fp4": 0.5,
        "int4": 0.5,
    }
)
"""Bytes of one element, by precision."""


@dataclass(frozen=True)
class Operator:
    """One distinct (operator, shapes) pair.

    Attributes:
        name: The operator, e.g. "aten.convolution".
        count: How often it occurs.
        inputs: Shapes of its tensor operands.
        outputs: Shapes of its results.
        dtype: Element type it was recorded in, e.g. "float32".
        flops: Floating-point operations of one occurrence (two for a multiply-add).
        elements_read: Elements one occurrence reads: of a look-up the rows taken, of an expanded
            operand its stored elements, of an operand that is overwritten none.
        elements_written: Elements of all results of one occurrence.
        weights: Which of `inputs` are parameters of the model.
    """

    name: str
    count: int
    inputs: tuple[tuple[int, ...], ...]
    outputs: tuple[tuple[int, ...], ...]
    dtype: str
    flops: int
    elements_read: int
    elements_written: int
    weights: tuple[int, ...] = ()

    @property
    def elements_moved(self) -> int:
        """Elements read and written by one occurrence."""
        return self.elements_read + self.elements_written


@dataclass(frozen=True)
class OpGraph:
    """The operators of one phase of a workload at one batch size.

    Attributes:
        workload: Name of the workload.
        phase: As `WorkloadBuilder.lower` names it, e.g. "prefill".
        batch: Samples or sequences in the batch.
        tokens: New tokens a sequence; 1 for models without tokens.
        context: Tokens already in the cache; 0 for models without tokens.
        operators: The distinct operators, in order of first occurrence.
        edges: (producer, consumer) pairs of indices into `operators`, sorted.
        parameters: Elements of all parameters, shared ones once.
    """

    workload: str
    phase: str
    batch: int
    tokens: int
    context: int
    operators: tuple[Operator, ...]
    edges: tuple[tuple[int, ...], ...]
    parameters: int

    @property
    def flops(self) -> int:
        """FLOPs of the whole graph."""
        return sum(op.count * op.flops for op in self.operators)

    def bytes_moved(self, element_bytes: float) -> float:
        """Bytes that all operators read and write, each operand once an occurrence.

        Args:
            element_bytes: Size of an element in bytes.
        """
        return element_bytes * sum(op.count * op.elements_moved for op in self.operators)
