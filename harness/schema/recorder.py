"""Clocks, and the recorder that turns events on one of them into a trace."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import pyarrow as pa

from accelbench.harness.errors import TrialError
from accelbench.harness.schema.record import ClockName, Evidence
from accelbench.harness.schema.trace import (
    TABLES,
    TIME_COLUMN,
    Arrivals,
    KvLayout,
    Meter,
    ServiceLevel,
    Target,
    Trace,
    TraceHead,
)


class Clock(Protocol):
    """Integer nanoseconds that never go back."""

    name: ClockName

    def now_ns(self) -> int:
        """The time now."""


class WallClock:
    """The machine's monotonic clock, the same in every process of one machine."""

    name: ClockName = "wall"
    now_ns = staticmethod(time.perf_counter_ns)


class VirtualClock:
    """A clock that moves only when told to."""

    name: ClockName = "simulated"

    def __init__(self) -> None:
        self._now_ns = 0

    def now_ns(self) -> int:
        """The time now."""
        return self._now_ns

    def advance_ns(self, by_ns: int) -> None:
        """Moves the clock on.

        Raises:
            ValueError: `by_ns` is negative.
        """
        if by_ns < 0:
            raise ValueError(f"a clock cannot go back by {-by_ns} ns")
        self._now_ns += by_ns


class Recorder:
    """Takes events as they happen, at the cost of one list append each.

    Events reported before `open_window` are kept in the trace; they lie outside its window.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.now_ns: Callable[[], int] = clock.now_ns
        self._rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in TABLES}
        self._tables: dict[str, list[pa.Table]] = {name: [] for name in TABLES}
        self._start_ns: int | None = None
        self._end_ns: int | None = None
        self._target: Target | None = None
        self._meters: dict[str, Meter] = {}
        self._kv: KvLayout | None = None
        self._slo: ServiceLevel | None = None
        self._arrivals: Arrivals | None = None
        self._profiled = False

    def open_window(self) -> None:
        """The measurement begins now."""
        self._start_ns = self.now_ns()

    def close_window(self) -> None:
        """The measurement ends now."""
        self._end_ns = self.now_ns()

    def window(self, start_ns: int, end_ns: int) -> None:
        """The measurement was from then to then, found out afterwards."""
        self._start_ns, self._end_ns = start_ns, end_ns

    @property
    def window_ns(self) -> tuple[int, int]:
        """The measurement window.

        Raises:
            TrialError: It was never opened or never closed.
        """
        if self._start_ns is None or self._end_ns is None:
            raise TrialError("the engine ended without opening and closing the window")
        return self._start_ns, self._end_ns

    def request(
        self,
        id: str,  # noqa: A002  (the column's published name)
        due_ns: int,
        sent_ns: int | None,
        done_ns: int | None,
        *,
        input_tokens: int | None = None,
        cached_input_tokens: int | None = None,
        output_tokens: int | None = None,
        samples: int | None = None,
        status: str = "ok",
        error: str | None = None,
        queue_exit_ns: int | None = None,
        prefill_end_ns: int | None = None,
        asked_output_tokens: int | None = None,
        query: str | None = None,
        request_class: str | None = None,
    ) -> None:
        """One request, batch or training step, whatever became of it.

        Samples of one query of a multi-stream load share its id, `query`; requests of one class of
        a mix share its name, `request_class`.
        """
        self._rows["requests"].append(
            (
                id,
                due_ns,
                sent_ns,
                done_ns,
                input_tokens,
                cached_input_tokens,
                output_tokens,
                samples,
                status,
                error,
                queue_exit_ns,
                prefill_end_ns,
                asked_output_tokens,
                query,
                request_class,
            )
        )

    def token(self, id: str, at_ns: int, count: int = 1, kind: str = "content") -> None:  # noqa: A002
        """The arrival of `count` tokens of a request."""
        self._rows["tokens"].append((id, at_ns, count, kind))

    def many(self, table: str, **columns: Any) -> None:
        """Many rows at once, of events that were kept elsewhere.

        Args:
            table: Name of the table.
            columns: Whole columns of it, of one length; a column that is not named is null.

        Raises:
            KeyError: There is no such table.
            pyarrow.ArrowInvalid, pyarrow.ArrowTypeError: A value has the wrong type.
        """
        schema = TABLES[table]
        length = len(next(iter(columns.values())))
        arrays = [
            pa.array(columns[field.name], type=field.type)
            if field.name in columns
            else pa.nulls(length, field.type)
            for field in schema
        ]
        self._tables[table].append(pa.Table.from_arrays(arrays, schema=schema))

    def phase(
        self,
        name: str,
        kind: str,
        start_ns: int,
        end_ns: int,
        *,
        request: str | None = None,
        device: str | None = None,
        stream: str | None = None,
        flops: float | None = None,
        moved: float | None = None,
    ) -> None:
        """A stretch of work; `moved` is in bytes."""
        self._rows["phases"].append(
            (name, kind, start_ns, end_ns, request, device, stream, flops, moved)
        )

    def counter(
        self,
        name: str,
        value: float,
        unit: str,
        scope: str = "process",
        at_ns: int | None = None,
    ) -> None:
        """The value of a counter, now or at a time."""
        at = self.now_ns() if at_ns is None else at_ns
        self._rows["counters"].append((name, at, value, unit, scope))

    def evaluation(
        self, metric: str, split: str, value: float, n: int, at_ns: int | None = None
    ) -> None:
        """A quality figure over `n` samples, known now or at a time."""
        at = self.now_ns() if at_ns is None else at_ns
        self._rows["evals"].append((at, metric, split, value, n))

    def ledger(self, phase: str, component: str, energy_j: float) -> None:
        """Simulated energy of one component in one phase."""
        self._rows["ledger"].append((phase, component, energy_j))

    def target(self, target: Target) -> None:
        """What this trial has to reach."""
        self._target = target

    def service_level(self, slo: ServiceLevel | None) -> None:
        """What requests are held to."""
        self._slo = slo

    def arrivals(self, arrivals: Arrivals) -> None:
        """The schedule that requests were due by."""
        self._arrivals = arrivals

    def kv(self, layout: KvLayout | None) -> None:
        """How the model keeps keys and values."""
        self._kv = layout

    def profiled(self) -> None:
        """A profiler watches this trial."""
        self._profiled = True

    def meter(self, probe: str, meter: Meter) -> None:
        """What a probe, or "ledger", says of itself."""
        self._meters[probe] = meter

    def freeze(
        self, evidence: Evidence, *, precision: str | None = None, utc_anchor: str | None = None
    ) -> Trace:
        """The trace of all events so far, each table in time order.

        Raises:
            TrialError: The window was never opened or never closed.
        """
        head = TraceHead(
            schema="accelbench.trace/1",
            clock=self.clock.name,
            evidence=evidence,
            window_ns=self.window_ns,
            utc_anchor=utc_anchor,
            target=self._target,
            meters=dict(self._meters),
            precision=precision,
            kv=self._kv,
            slo=self._slo,
            arrivals=self._arrivals,
            profiled=self._profiled,
        )
        tables = {name: self._table(name) for name in TABLES}
        return Trace(head, {name: table for name, table in tables.items() if table.num_rows})

    def _table(self, name: str) -> pa.Table:
        schema, rows = TABLES[name], self._rows[name]
        columns = zip(*rows, strict=True) if rows else [()] * len(schema)
        arrays = [
            pa.array(column, type=field.type) for column, field in zip(columns, schema, strict=True)
        ]
        one_by_one = pa.Table.from_arrays(arrays, schema=schema)
        return in_time_order(name, pa.concat_tables([one_by_one, *self._tables[name]]))


def in_time_order(name: str, table: pa.Table) -> pa.Table:
    """The same rows in the order of the table's time column; equal times keep their order."""
    column = TIME_COLUMN[name]
    if column is None or table.num_rows == 0:
        return table
    times = table.column(column).to_numpy()
    return table.take(pa.array(times.argsort(kind="stable")))


def table_of(name: str, rows: list[Mapping[str, Any]]) -> pa.Table:
    """A table of rows that name their columns; a column that no row names is null.

    Raises:
        KeyError: There is no such table.
        pyarrow.ArrowInvalid, pyarrow.ArrowTypeError: A value has the wrong type.
    """
    return in_time_order(name, pa.Table.from_pylist(list(rows), schema=TABLES[name]))
