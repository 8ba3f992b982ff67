"""A spec sheet: each figure with its source."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Figure:
    """One figure of a sheet.

    Attributes:
        value: In SI base units (FLOP/s, byte/s, byte, W, m^2).
        source: Where it stands, so that a reader can look it up.
        kind: Printed by the survey, by the vendor, derived from others, measured, or estimated.
    """

    value: float
    source: str
    kind: Literal["paper", "vendor", "derived", "measured", "estimate"]

    def __post_init__(self) -> None:
        if self.value <= 0 or not self.source:
            raise ValueError("a figure is positive and names its source")


@dataclass(frozen=True)
class MemoryLevel:
    """One level of the memory hierarchy.

    Attributes:
        name: E.g. "HBM3e", "SRAM".
        bandwidth: Bytes a second, or None where it is not published.
        capacity: Bytes, or None.
    """

    name: str
    bandwidth: Figure | None
    capacity: Figure | None


@dataclass(frozen=True)
class Platform:
    """A machine as its sheet describes it; `paper` and `vendor` sheets are never mixed.

    Attributes:
        name: Name of the sheet.
        summary: One line for a reader.
        family: cpu, gpu, tpu, lpu, fpga, asic, pim, neuromorphic, npu or reference.
        peak: Peak operations a second by precision, dense.
        memory: Levels from the main memory inwards; the first feeds the roofline.
        power: Design power in W, or None.
        power_scope: What `power` covers, e.g. "board", "stack".
        notes: Known doubts about the figures.
        sources: Where the machine or the missing of figures is named; never empty.
        die_area: Area of the dies in m^2, or None where it is not published.
        dies: Which dies `die_area` counts, and which it leaves out.
        process: The process node and packaging.
    """

    name: str
    summary: str
    family: str
    peak: Mapping[str, Figure]
    memory: tuple[MemoryLevel, ...]
    power: Figure | None
    power_scope: str | None
    notes: tuple[str, ...]
    sources: tuple[str, ...]
    die_area: Figure | None = None
    dies: str | None = None
    process: str | None = None

    def __post_init__(self) -> None:
        if not self.sources:
            raise ValueError(f"platform {self.name!r} names no source")

    @property
    def main_bandwidth(self) -> Figure | None:
        """Bandwidth of the main memory level, byte/s."""
        return self.memory[0].bandwidth if self.memory else None
