"""The roofline of a spec sheet as a machine: the fastest that its two ceilings allow."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import ClassVar

from accelbench.harness.errors import ConfigError
from accelbench.harness.schema.builders import WorkloadBuilder
from accelbench.harness.schema.opgraph import ELEMENT_BYTES, Operator, OpGraph
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.platform import Figure, Platform
from accelbench.harness.schema.protocols import Readiness, Session, Task
from accelbench.harness.schema.record import ClockName, Evidence
from accelbench.harness.schema.scenario import Scenario
from accelbench.harness.schema.trace import Meter
from accelbench.harness.simulation.cost import Cost, Coverage, OperatorCost
from accelbench.harness.simulation.engine import SimulatedSession, unsupported

ANY = "any"
"""Key of a peak that a sheet gives for no precision in particular."""

ELEMENTS_OF_ANY = "bf16"
"""How elements travel where neither the sheet nor the reader names a precision."""


@dataclass(frozen=True)
class RooflineAdapter:
    """Simulates a machine by the roofline of its sheet.

    Attributes:
        precision: Which peak of the sheet counts, and how wide elements are. None takes the
            precision with the highest peak; a sheet whose peak is for any precision takes
            every one, and "bf16" where None is given.
        max_batch: Most prompts that are generated for at once, in static batches.
    """

    precision: str | None = None
    max_batch: int = 1

    evidence: ClassVar[Evidence] = "simulated"
    clock: ClassVar[ClockName] = "simulated"

    def __post_init__(self) -> None:
        if self.max_batch < 1:
            raise ValueError(f"max_batch must be at least 1, got {self.max_batch}")

    def readiness(self) -> Readiness:
        """Always ready: it needs a sheet and nothing else."""
        return Readiness("ready", "needs nothing but a platform sheet")

    def supports(self, builder: WorkloadBuilder, scenario: Scenario) -> str | None:
        """None unless the scenario needs real arithmetic or a queue of samples."""
        return unsupported(builder, scenario)

    def open(self, task: Task) -> AbstractContextManager[Session]:
        """A simulated session.

        Raises:
            ConfigError: The sheet lacks the precision, its peak or its bandwidth.
        """
        peak, elements = chosen_precision(task.platform, self.precision)
        _bandwidth(task.platform)
        cost = RooflineCost(peak, elements)
        return nullcontext(SimulatedSession(task, cost, peak, elements, self.max_batch))


@dataclass(frozen=True)
class RooflineCost:
    """Time of each operator by eq. 14 of the survey, energy by the design power.

    Attributes:
        precision: Key of the sheet's peak.
        elements: Key of `ELEMENT_BYTES`: the precision in which elements travel.
    """

    precision: str
    elements: str

    name: ClassVar[str] = "roofline"

    def cost(self, graph: OpGraph, platform: Platform) -> Cost:
        """Sum over the operators of the longer of compute and memory time.

        Raises:
            ConfigError: The sheet lacks the peak or the bandwidth.
        """
        if self.precision not in platform.peak:
            raise _lacks(platform, self.precision)
        peak = platform.peak[self.precision].value
        bandwidth = _bandwidth(platform).value
        level = platform.memory[0].name
        rows = tuple(self._operator(op, peak, bandwidth, level) for op in graph.operators)
        seconds = sum(row.seconds for row in rows)
        return Cost(
            seconds=seconds,
            energy_j=_energy(platform, seconds),
            operators=rows,
            coverage=Coverage(operators=1.0, flops=1.0),
            utilisation=graph.flops / seconds / peak if seconds else 0.0,
        )

    def _operator(self, op: Operator, peak: float, bandwidth: float, level: str) -> OperatorCost:
        compute_s = op.flops / peak
        memory_s = op.elements_moved * ELEMENT_BYTES[self.elements] / bandwidth
        return OperatorCost(
            name=op.name,
            count=op.count,
            seconds=op.count * max(compute_s, memory_s),
            flops=float(op.count * op.flops),
            bound="compute" if compute_s >= memory_s else level,
        )

    def assumptions(self) -> tuple[str, ...]:
        """What the roofline takes for granted."""
        width = ELEMENT_BYTES[self.elements]
        return (
            "an operator takes the longer of FLOPs / peak and bytes / bandwidth of the main memory",
            "both ceilings are reached in full",
            f"every operator computes at the sheet's peak for precision {self.precision!r}",
            f"all elements travel as {self.elements}: {width:g} bytes, no scales or other metadata",
            "operators run one after another: none overlaps another",
            "nothing is fused: each occurrence reads and writes all its operands in main memory",
            "memory has a bandwidth but no latency",
            "everything fits: the capacity of the memory is not checked",
            "host, launches, transfers to the machine and waiting take no time and no energy",
            "energy is design power times time, an upper estimate; none without a design power",
            "no idle power, clock gating or activity is modelled",
        )

    def facts(self, platform: Platform) -> Mapping[str, Plain]:
        """What the checklist asks of a simulator; nothing of arrays, for a roofline has none."""
        level, width = platform.memory[0], ELEMENT_BYTES[self.elements]
        return {
            "simulator": f"{self.name}, accelbench's own",
            "memory_model": {
                "level": level.name,
                "bandwidth_byte_per_s": _bandwidth(platform).value,
                "latency": "no latency: bandwidth alone",
            },
            "clock_gating": "none, and no idle power: the design power is drawn throughout",
            "mapping": {
                "dataflow": "none: each operator runs alone, at one of the two ceilings",
                "hierarchy": f"one level, {level.name}: every operand once an occurrence",
            },
            "left_out": [
                "host and launches",
                "transfers to and from the machine",
                "latency and capacity of the memory",
                "on-chip memory and fusion",
                "conversion of number formats",
                "power at rest",
            ],
            "timing_scope": {
                "boundary": "kernel",
                "inside": ["operators, one after another"],
                "outside": ["host", "launches", "transfers"],
            },
            "precision_map": {
                "weights": self.elements,
                "activations": self.elements,
                "accumulators": "not modelled",
                "arithmetic": self.precision,
                "element_bytes": width,
            },
            "sparsity": {"pattern": "none"},
            "quantization": {"method": "not modelled: elements of this width, no scales"},
        }

    def meter(self, platform: Platform) -> Meter | None:
        """Design power times time; None for a sheet without a design power."""
        if platform.power is None:
            return None
        scope = _scope(platform)
        return Meter(
            quality="modelled",
            method=f"design power {platform.power.value:g} W ({platform.power.source}) times "
            "simulated time; an upper estimate",
            scope=scope,
            covers=(scope,),
        )


def chosen_precision(platform: Platform, asked: str | None) -> tuple[str, str]:
    """Which peak of a sheet counts and how elements travel.

    Args:
        platform: The sheet.
        asked: A precision, or None for the one with the highest peak.

    Returns:
        The key of the peak, and the key of `ELEMENT_BYTES`.

    Raises:
        ConfigError: The sheet has no such peak, or its peak is not in FLOP/s.
    """
    peaks = platform.peak
    if not peaks:
        raise ConfigError(
            "the sheet has no peak, so it has no roofline",
            where=f"platform {platform.name!r}",
            remedy="choose a sheet with a peak, or add one with its source",
        )
    key = asked if asked is not None else max(peaks, key=lambda name: peaks[name].value)
    peak = key if key in peaks else ANY
    if peak not in peaks:
        raise _lacks(platform, key)
    elements = ELEMENTS_OF_ANY if key == ANY else key
    if elements not in ELEMENT_BYTES:
        raise ConfigError(
            f"operations of precision {elements!r} are not FLOPs on numbers of a known width",
            where=f"platform {platform.name!r}",
            remedy=f"a roofline needs one of {', '.join(ELEMENT_BYTES)}",
        )
    return peak, elements


def _lacks(platform: Platform, precision: str) -> ConfigError:
    return ConfigError(
        f"the sheet has no peak for precision {precision!r}",
        where=f"platform {platform.name!r}",
        remedy=f"it has {', '.join(sorted(platform.peak)) or 'none'}",
    )


def _bandwidth(platform: Platform) -> Figure:
    bandwidth = platform.main_bandwidth
    if bandwidth is None:
        raise ConfigError(
            "the sheet has no memory bandwidth, so it has no roofline",
            where=f"platform {platform.name!r}",
            remedy="choose a sheet with a bandwidth, or add one with its source",
        )
    return bandwidth


def _scope(platform: Platform) -> str:
    return platform.power_scope or "machine"


def _energy(platform: Platform, seconds: float) -> dict[str, float]:
    return {_scope(platform): platform.power.value * seconds} if platform.power else {}
