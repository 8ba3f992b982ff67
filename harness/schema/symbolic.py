"""An operator graph whose sizes are polynomials: one recording for every batch, prompt and context."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from accelbench.harness.schema.opgraph import Operator, OpGraph

SIZES = ("batch", "tokens", "context")
"""The sizes that a graph may depend on, in the order of the powers of a `Polynomial`."""


@dataclass(frozen=True)
class Polynomial:
    """A whole number that depends on batch, new tokens and context.

    Attributes:
        terms: (coefficient, power of batch, of tokens, of context), none twice, ordered by powers;
            no term for 0.
    """

    terms: tuple[tuple[int, ...], ...]

    @cached_property
    def constant(self) -> bool:
        """Whether it depends on no size."""
        return not any(any(powers) for _, *powers in self.terms)

    def at(self, batch: int, tokens: int, context: int) -> int:
        """Its value."""
        if self.constant:
            return self.terms[0][0] if self.terms else 0
        return sum(c * batch**b * tokens**t * context**k for c, b, t, k in self.terms)

    def __str__(self) -> str:
        return " + ".join(map(_term, self.terms)) or "0"


@dataclass(frozen=True)
class Span:
    """The values of a size for which a recording holds.

    Attributes:
        low: The least.
        high: The greatest; None for no end.
    """

    low: int
    high: int | None

    def holds(self, value: int) -> bool:
        """Whether a value lies in it."""
        return self.low <= value and (self.high is None or value <= self.high)


@dataclass(frozen=True)
class SymbolicOperator:
    """One distinct operator; `Operator` says what each figure means.

    Attributes:
        name: The operator, e.g. "aten.convolution".
        count: How often it occurs.
        inputs: Shapes of its tensor operands.
        outputs: Shapes of its results.
        dtype: Element type it was recorded in.
        flops: FLOPs of one occurrence.
        elements_read: Elements one occurrence reads.
        elements_written: Elements it writes.
        weights: Which of `inputs` are parameters of the model.
    """

    name: str
    count: int
    inputs: tuple[tuple[Polynomial, ...], ...]
    outputs: tuple[tuple[Polynomial, ...], ...]
    dtype: str
    flops: Polynomial
    elements_read: Polynomial
    elements_written: Polynomial
    weights: tuple[int, ...]


@dataclass(frozen=True)
class SymbolicGraph:
    """The operators of one phase, for all sizes that it holds for.

    Attributes:
        workload: Name of the workload.
        phase: As `WorkloadBuilder.lower` names it.
        batch: Batches that it holds for, and so `tokens` and `context`.
        operators: The distinct operators, in order of first occurrence.
        edges: (producer, consumer) pairs of indices into `operators`, sorted.
        parameters: Elements of all parameters, shared ones once.
        shared: Names of parameters that are one tensor, group by group.
    """

    workload: str
    phase: str
    batch: Span
    tokens: Span
    context: Span
    operators: tuple[SymbolicOperator, ...]
    edges: tuple[tuple[int, ...], ...]
    parameters: int
    shared: tuple[tuple[str, ...], ...]

    def holds(self, batch: int, tokens: int, context: int) -> bool:
        """Whether it tells what happens at these sizes."""
        sizes = ((self.batch, batch), (self.tokens, tokens), (self.context, context))
        return all(span.holds(value) for span, value in sizes)

    def at(self, batch: int, tokens: int, context: int) -> OpGraph:
        """The graph of given sizes.

        Raises:
            ValueError: It does not hold for these.
        """
        if not self.holds(batch, tokens, context):
            told = f"batch {batch}, tokens {tokens}, context {context}"
            raise ValueError(f"the recording of {self.phase} does not hold for {told}")

        def of(size: Polynomial) -> int:
            return size.at(batch, tokens, context)

        return OpGraph(
            workload=self.workload,
            phase=self.phase,
            batch=batch,
            tokens=tokens,
            context=context,
            operators=tuple(
                Operator(
                    name=op.name,
                    count=op.count,
                    inputs=tuple(tuple(map(of, shape)) for shape in op.inputs),
                    outputs=tuple(tuple(map(of, shape)) for shape in op.outputs),
                    dtype=op.dtype,
                    flops=of(op.flops),
                    elements_read=of(op.elements_read),
                    elements_written=of(op.elements_written),
                    weights=op.weights,
                )
                for op in self.operators
            ),
            edges=self.edges,
            parameters=self.parameters,
        )


@dataclass(frozen=True)
class Recordings:
    """`opgraph.json`: the recordings of a workload that a trial made use of.

    Attributes:
        schema: Name and version of this layout.
        graphs: The recordings.
    """

    schema: Literal["accelbench.opgraph/1"]
    graphs: tuple[SymbolicGraph, ...]


def _term(term: tuple[int, ...]) -> str:
    coefficient, *powers = term
    named = [
        name if power == 1 else f"{name}**{power}"
        for name, power in zip(SIZES, powers, strict=True)
        if power
    ]
    if not named:
        return str(coefficient)
    return "*".join(named if coefficient == 1 else [str(coefficient), *named])
