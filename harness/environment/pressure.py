"""Pressure stall information: the share of time in which work waited for a resource."""

from accelbench.harness.environment.reading import Fact, Roots, file_fact
from accelbench.harness.schema.plain import Plain

RESOURCES = ("cpu", "memory", "io")


def pressure_facts(roots: Roots) -> dict[str, Fact]:
    """What the whole machine waited for, by resource.

    Args:
        roots: Where the file system begins.
    """
    return {
        f"pressure.{resource}": file_fact(roots, f"/proc/pressure/{resource}", parse_pressure)
        for resource in RESOURCES
    }


def parse_pressure(text: str) -> Plain:
    """The waiting of some and of all tasks.

    Args:
        text: Lines such as "some avg10=0.72 avg60=0.33 avg300=0.18 total=4396692"; the averages
            are percentages over that many seconds, the total is in microseconds.

    Returns:
        Per line, the shares `avg10`, `avg60`, `avg300` from 0 to 1, and `total_s` in seconds.

    Raises:
        ValueError: The text is something else.
    """
    told: dict[str, Plain] = {}
    for line in text.splitlines():
        who, *pairs = line.split()
        figures = {name: float(value) for name, _, value in (pair.partition("=") for pair in pairs)}
        total_us = figures.pop("total")
        told[who] = {
            **{name: round(percent / 100, 6) for name, percent in figures.items()},
            "total_s": total_us / 1e6,
        }
    if not told:
        raise ValueError("no line of pressure")
    return told
