"""What each phase of a workload asks, and where that falls under a machine's roofline."""

from dataclasses import dataclass

from accelbench.harness.errors import ConfigError
from accelbench.harness.metrics.roofline import attainable_share, ridge
from accelbench.harness.schema.opgraph import ELEMENT_BYTES, OpGraph
from accelbench.harness.schema.platform import Platform


@dataclass(frozen=True)
class Asked:
    """What one call of a phase asks of a machine.

    Attributes:
        phase: As `WorkloadBuilder.lower` names it.
        batch: Samples or sequences.
        tokens: New tokens a sequence.
        context: Tokens already in the cache.
        operators: Distinct operators.
        calls: Operators that are called.
        flops: Floating-point operations, two for a multiply-add.
        moved: Compulsory bytes: every operand once an occurrence.
    """

    phase: str
    batch: int
    tokens: int
    context: int
    operators: int
    calls: int
    flops: int
    moved: float

    @property
    def intensity(self) -> float:
        """FLOPs a byte."""
        return self.flops / self.moved if self.moved else 0.0


@dataclass(frozen=True)
class Roof:
    """The roofline of a sheet's main memory at one precision.

    Attributes:
        peak: FLOP/s.
        bandwidth: Byte/s.
        memory: Name of the memory.
    """

    peak: float
    bandwidth: float
    memory: str


@dataclass(frozen=True)
class Place:
    """Where a phase falls under a roofline (eq. 14).

    Attributes:
        ridge: Intensity from which the peak can be reached, FLOP/byte.
        bound: "compute", or the name of the memory that bounds it.
        share: The largest share of the peak that its intensity allows.
        seconds: The least time that a call takes.
    """

    ridge: float
    bound: str
    share: float
    seconds: float


def asked_by(graph: OpGraph, precision: str) -> Asked:
    """The sums over a graph.

    Args:
        graph: Of one phase.
        precision: Key of `ELEMENT_BYTES`: the size at which all elements travel.
    """
    return Asked(
        phase=graph.phase,
        batch=graph.batch,
        tokens=graph.tokens,
        context=graph.context,
        operators=len(graph.operators),
        calls=sum(op.count for op in graph.operators),
        flops=graph.flops,
        moved=graph.bytes_moved(ELEMENT_BYTES[precision]),
    )


def roof_of(platform: Platform, precision: str) -> Roof:
    """The roofline of a sheet; a reference sheet may have one peak for any precision.

    Args:
        platform: The sheet.
        precision: Of its peak.

    Raises:
        ConfigError: The sheet lacks the peak or a bandwidth.
    """
    peak = platform.peak.get(precision, platform.peak.get("any"))
    bandwidth = platform.main_bandwidth
    if peak is None or bandwidth is None:
        has = ", ".join(platform.peak) or "none"
        what = "bandwidth of its main memory" if peak else f"peak for {precision!r}"
        raise ConfigError(
            f"it has no {what} (peaks: {has})",
            where=f"platform {platform.name}",
            remedy="choose another platform or precision; a machine's own sheet comes from"
            " accelbench run peaks",
        )
    return Roof(peak.value, bandwidth.value, platform.memory[0].name)


def place(asked: Asked, roof: Roof) -> Place:
    """Where a phase falls under a roofline."""
    point = ridge(roof.peak, roof.bandwidth)
    return Place(
        ridge=point,
        bound="compute" if asked.intensity >= point else roof.memory,
        share=attainable_share(asked.intensity, point),
        seconds=max(asked.flops / roof.peak, asked.moved / roof.bandwidth),
    )
