"""Arithmetic that holds printed figures against one another, for whoever fills in a sheet."""

import math
from collections.abc import Iterable
from typing import NamedTuple

from accelbench.harness.schema.platform import Figure


class Neurons(NamedTuple):
    """What a neuromorphic chip holds.

    Attributes:
        neurons: Neurons of all cores.
        synapses: Crossings of all crossbars.
    """

    neurons: int
    synapses: int


def orders_of_magnitude(values: Iterable[float]) -> float:
    """The spread of positive values: the logarithm to base 10 of largest over smallest.

    All values are in one unit; synaptic operations and FLOPs are two units (X-02, X-03).

    Raises:
        ValueError: There is no value, or one is not positive.
    """
    found = list(values)
    if not found or min(found) <= 0:
        raise ValueError("a spread in orders of magnitude needs positive values")
    return math.log10(max(found) / min(found))


def iso_power_w(tops: float, tops_per_w: float) -> float:
    """The power that a point of a chart of TOPS/W over TOPS stands for (Figure 4)."""
    return tops / tops_per_w


def implied_clock_hz(ops_per_s: float, units: float, ops_per_unit_cycle: float) -> float:
    """The clock that a claimed rate asks of so many units, all busy (X-10).

    Args:
        ops_per_s: The claimed rate.
        units: Arithmetic units, e.g. DSP slices.
        ops_per_unit_cycle: Operations of a unit in a cycle; a multiply-add is two.
    """
    return ops_per_s / (units * ops_per_unit_cycle)


def usable_units(units: float, ceiling: float) -> float:
    """Units that a design can use before routing fails.

    Args:
        units: Units of the device.
        ceiling: The share that can be used, 0.7 to 0.8 for an FPGA (section 3.5.4).
    """
    return units * ceiling


def per_part(system: Figure, parts: int, what: str) -> Figure:
    """One part's share of a figure of a whole system (X-30); hosts and links are shared too.

    Args:
        system: The system's figure.
        parts: How many parts it has.
        what: What they are, e.g. "chips".
    """
    return Figure(system.value / parts, f"{system.source}, over {parts} {what}", "derived")


def neuromorphic_counts(cores: int, neurons_per_core: int, crossbar: tuple[int, int]) -> Neurons:
    """Neurons and synapses of a chip of equal cores (section 4.7, X-41).

    Args:
        cores: Cores of the chip.
        neurons_per_core: Neurons of a core.
        crossbar: Rows and columns of a core's crossbar.
    """
    return Neurons(cores * neurons_per_core, cores * crossbar[0] * crossbar[1])


def system_over_chip(dram_share: float) -> float:
    """How many times the energy of a chip alone the system needs (section 3.6.3).

    Args:
        dram_share: The share of external memory in the system's energy, below 1; the chip has
            all the rest.
    """
    return 1 / (1 - dram_share)
