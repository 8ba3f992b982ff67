"""What happened in one trial, on one clock: the tables of a trace."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, Protocol

import pyarrow as pa

from accelbench.harness.schema.measurement import EnergyQuality
from accelbench.harness.schema.record import ClockName, Evidence

TRACE_SCHEMA = "accelbench.trace/1"

_INT, _REAL, _TEXT = pa.int64(), pa.float64(), pa.string()

TABLES: Mapping[str, pa.Schema] = MappingProxyType(
    {
        "requests": pa.schema(
            [
                ("id", _TEXT),
                ("due_ns", _INT),
                ("sent_ns", _INT),
                ("done_ns", _INT),
                ("input_tokens", _INT),
                ("cached_input_tokens", _INT),
                ("output_tokens", _INT),
                ("samples", _INT),
                ("status", _TEXT),
                ("error", _TEXT),
                ("queue_exit_ns", _INT),
                ("prefill_end_ns", _INT),
                ("asked_output_tokens", _INT),
                ("query", _TEXT),
                ("class", _TEXT),
            ]
        ),
        "tokens": pa.schema([("id", _TEXT), ("at_ns", _INT), ("count", _INT), ("kind", _TEXT)]),
        "phases": pa.schema(
            [
                ("name", _TEXT),
                ("kind", _TEXT),
                ("start_ns", _INT),
                ("end_ns", _INT),
                ("request", _TEXT),
                ("device", _TEXT),
                ("stream", _TEXT),
                ("flops", _REAL),
                ("bytes", _REAL),
            ]
        ),
        "samples": pa.schema(
            [
                ("probe", _TEXT),
                ("channel", _TEXT),
                ("kind", _TEXT),
                ("at_ns", _INT),
                ("value", _REAL),
                ("unit", _TEXT),
                ("scope", _TEXT),
            ]
        ),
        "counters": pa.schema(
            [("name", _TEXT), ("at_ns", _INT), ("value", _REAL), ("unit", _TEXT), ("scope", _TEXT)]
        ),
        "evals": pa.schema(
            [("at_ns", _INT), ("metric", _TEXT), ("split", _TEXT), ("value", _REAL), ("n", _INT)]
        ),
        "ledger": pa.schema([("phase", _TEXT), ("component", _TEXT), ("energy_j", _REAL)]),
    }
)
"""Columns of each table, in order. Columns are only ever added."""

TIME_COLUMN: Mapping[str, str | None] = MappingProxyType(
    {
        "requests": "due_ns",
        "tokens": "at_ns",
        "phases": "start_ns",
        "samples": "at_ns",
        "counters": "at_ns",
        "evals": "at_ns",
        "ledger": None,
    }
)
"""The column each table is ordered by."""


@dataclass(frozen=True)
class ServiceLevel:
    """Thresholds on response times; a request meets the level when every given one holds.

    Attributes:
        ttft_s: Time to first token, seconds.
        itl_s: Mean gap between tokens of a request, seconds.
        e2e_s: End-to-end time, seconds.
    """

    ttft_s: float | None = None
    itl_s: float | None = None
    e2e_s: float | None = None


@dataclass(frozen=True)
class ClockOffset:
    """How times of another clock were brought onto the trace's clock.

    Attributes:
        name: The other clock.
        offset_ns: What was added to its times.
        uncertainty_ns: Half-width of the offset's uncertainty.
        method: How the offset was found.
    """

    name: str
    offset_ns: int
    uncertainty_ns: int
    method: str


@dataclass(frozen=True)
class Meter:
    """What a probe (or a cost model's ledger) says about its figures.

    Attributes:
        quality: Metered, estimated, modelled or declared.
        method: The method and its parameters, in words.
        scope: The boundary.
        covers: What lies inside it.
        period_s: Time between readings as set, seconds; None for a ledger.
    """

    quality: EnergyQuality
    method: str
    scope: str
    covers: tuple[str, ...]
    period_s: float | None = None


@dataclass(frozen=True)
class Target:
    """The quality a training trial had to reach.

    Attributes:
        metric: Name of the quality metric.
        split: The split it is evaluated on.
        value: The value to reach; `accelbench.harness.schema.quality` tells which way is better.
    """

    metric: str
    split: str
    value: float


@dataclass(frozen=True)
class Arrivals:
    """A schedule made before the run: when requests were meant to arrive, whatever came of it.

    Attributes:
        process: E.g. "poisson", "constant", "gamma", "replay".
        rate_per_s: Mean rate of the process, requests a second; None where it has no one rate.
    """

    process: str
    rate_per_s: float | None = None


@dataclass(frozen=True)
class KvLayout:
    """How a model keeps keys and values (eq. 15), and what it reserves beyond them.

    Attributes:
        layers: Layers with attention.
        kv_heads: Heads of keys and values.
        head_dim: Elements of a head.
        element_bytes: Bytes of an element.
        block_tokens: Tokens in a block; memory is given out in whole blocks.
        window: Longest span that sliding attention keeps, tokens; None for all.
        devices: Devices that the heads are divided over; beyond `kv_heads` they are replicated.
        scale_bytes: Bytes of quantisation scales for each token, layer and head, of keys and
            values together.
    """

    layers: int
    kv_heads: int
    head_dim: int
    element_bytes: float
    block_tokens: int = 1
    window: int | None = None
    devices: int = 1
    scale_bytes: float = 0.0

    def __post_init__(self) -> None:
        counts = (self.layers, self.kv_heads, self.head_dim, self.block_tokens, self.devices)
        if min(counts) < 1 or self.element_bytes <= 0 or self.scale_bytes < 0:
            raise ValueError("counts of a KV layout are at least 1, sizes are positive")


@dataclass(frozen=True)
class TraceHead:
    """`trace.json`: what the tables are about.

    Attributes:
        schema: `TRACE_SCHEMA`.
        clock: The one clock of all times.
        evidence: How the events came about.
        window_ns: The closed measurement window, [start, end].
        slo: The service level the run is held to.
        utc_anchor: UTC (ISO 8601) at the window's start, on the wall clock.
        clocks: Other clocks, as converted on entry.
        target: What a training trial had to reach.
        meters: What each probe of `samples`, and "ledger", says of itself.
        precision: Precision of the arithmetic, e.g. "fp32"; picks the peak of a sheet.
        arrivals: The schedule of an open loop; None where each request waits for another.
        kv: How the model keeps keys and values, if it does.
        profiled: Whether a profiler watched every kernel, so that its times are no latencies.
    """

    schema: Literal["accelbench.trace/1"]
    clock: ClockName
    evidence: Evidence
    window_ns: tuple[int, ...]
    slo: ServiceLevel | None = None
    utc_anchor: str | None = None
    clocks: tuple[ClockOffset, ...] = ()
    target: Target | None = None
    meters: Mapping[str, Meter] = field(default_factory=dict)
    precision: str | None = None
    arrivals: Arrivals | None = None
    kv: KvLayout | None = None
    profiled: bool = False

    def __post_init__(self) -> None:
        if len(self.window_ns) != 2 or self.window_ns[1] < self.window_ns[0]:  # noqa: PLR2004
            raise ValueError(f"window_ns must be [start, end], got {list(self.window_ns)}")


class Rows(Protocol):
    """A table that is left where it lies, because it may be larger than memory."""

    @property
    def num_rows(self) -> int:
        """How many rows it has."""

    def read(self) -> pa.Table:
        """All of it, ordered by its time column.

        Raises:
            BundleError: It cannot be read.
        """

    def parts(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Some columns, a part at a time, in the order in which they were written.

        Raises:
            BundleError: It cannot be read.
        """


@dataclass(frozen=True)
class Trace:
    """A trace: its head, its tables in memory, and those that are read in parts.

    Attributes:
        head: What the tables are about.
        tables: The tables that are there; a missing one is empty.
    """

    head: TraceHead
    tables: Mapping[str, pa.Table | Rows]

    def table(self, name: str) -> pa.Table:
        """A table by name, whole, empty if the trace has none.

        Raises:
            KeyError: There is no such table in `TABLES`.
        """
        found = self.tables.get(name, TABLES[name].empty_table())
        return found if isinstance(found, pa.Table) else found.read()

    def num_rows(self, name: str) -> int:
        """How many rows a table has.

        Raises:
            KeyError: There is no such table in `TABLES`.
        """
        return int(self.tables.get(name, TABLES[name].empty_table()).num_rows)

    def parts(self, name: str, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Some columns of a table, a part at a time; a table in memory is one part.

        Raises:
            KeyError: There is no such table in `TABLES`.
        """
        found = self.tables.get(name, TABLES[name].empty_table())
        if isinstance(found, pa.Table):
            yield found.select(list(columns))
        else:
            yield from found.parts(columns)
