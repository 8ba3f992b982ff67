"""Traces built by hand, times in seconds from the window's start."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.platform import Figure, MemoryLevel, Platform
from accelbench.harness.schema.recorder import table_of
from accelbench.harness.schema.trace import Trace, TraceHead

Rows = Sequence[Mapping[str, Any]]

WINDOW_STARTS_NS = 7_000_000_000_123


def _at(seconds: float | None) -> int | None:
    return None if seconds is None else WINDOW_STARTS_NS + round(seconds * 1e9)


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    """`due=0.5` becomes `due_ns=<start + 0.5e9>`; other keys stay."""
    times = ("due", "sent", "done", "queue_exit", "prefill_end", "at", "start", "end")
    return {(f"{k}_ns" if k in times else k): (_at(v) if k in times else v) for k, v in row.items()}


def _trace(window_s: float = 10.0, head: Mapping[str, Any] | None = None, **tables: Rows) -> Trace:
    start, length = WINDOW_STARTS_NS, round(window_s * 1e9)
    facts = {"clock": "wall", "evidence": "measured", **(head or {})}
    return Trace(
        TraceHead(schema="accelbench.trace/1", window_ns=(start, start + length), **facts),
        {name: table_of(name, [_row(row) for row in rows]) for name, rows in tables.items()},
    )


@pytest.fixture(scope="session")
def make_trace() -> Callable[..., Trace]:
    """Builds a trace: `make_trace(window_s, head, requests=[...], tokens=[...], ...)`."""
    return _trace


@pytest.fixture(scope="session")
def values() -> Callable[..., dict[str, float | None]]:
    """The value of each metric of a trace, by name."""

    def found(trace: Trace, platform: Platform | None = None) -> dict[str, float | None]:
        """Stands in for the real `found`."""
        return {name: item.value for name, item in measure(trace, platform).items()}

    return found


@pytest.fixture(scope="session")
def machine() -> Callable[[float, float | None], Platform]:
    """A sheet with a peak at fp32 (FLOP/s) and a main memory bandwidth (byte/s)."""

    def sheet(peak: float, bandwidth: float | None) -> Platform:
        """Stands in for the real `sheet`."""

        def figure(value: float) -> Figure:
            """Stands in for the real `figure`."""
            return Figure(value, "made up for a test", "estimate")

        level = MemoryLevel("DRAM", figure(bandwidth) if bandwidth else None, None)
        return Platform(
            name="sheet",
            summary="a machine",
            family="reference",
            peak={"fp32": figure(peak)},
            memory=(level,),
            power=None,
            power_scope=None,
            notes=(),
            sources=("made up for a test",),
        )

    return sheet
