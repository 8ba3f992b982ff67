"""One trial as numpy arrays: what every metric is a function of.

Times are float64 nanoseconds from the start of the measurement window (exact up to 2^53 ns,
104 days). NaN stands for what the trace does not tell. The window is closed: its ends belong
to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from accelbench.harness.metrics.streams import COLUMNS, OutOfOrder, Streams, stream
from accelbench.harness.schema.platform import Platform
from accelbench.harness.schema.trace import Trace
from accelbench.harness.units import NS_PER_S

Numbers: TypeAlias = npt.NDArray[np.float64]
Flags: TypeAlias = npt.NDArray[np.bool_]
Indices: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Requests:
    """The requests (or batches, or training steps) of a trial, one entry each.

    Attributes:
        due: When it was due, ns.
        sent: When it was sent, ns.
        done: When it was done, ns.
        queue_exit: When it left the queue, ns.
        prefill_end: When its prompt was in the cache, ns.
        input_tokens: Prompt tokens.
        cached_input_tokens: Prompt tokens found in a prefix cache.
        output_tokens: Generated tokens.
        asked_output_tokens: Tokens that it was to generate.
        samples: Samples in it.
        ok: Whether it succeeded.
        due_inside: Whether it was due in the window.
        completed: Due in the window and succeeded, whenever: what latency metrics take.
        finished: Succeeded, and done in the window: what rates take.
    """

    due: Numbers
    sent: Numbers
    done: Numbers
    queue_exit: Numbers
    prefill_end: Numbers
    input_tokens: Numbers
    cached_input_tokens: Numbers
    output_tokens: Numbers
    asked_output_tokens: Numbers
    samples: Numbers
    ok: Flags
    due_inside: Flags
    completed: Flags
    finished: Flags


@dataclass(frozen=True)
class Observation:
    """A trace in its window, and the sheet of the machine.

    Attributes:
        trace: The trace.
        platform: The sheet of the machine, or None where it is not known.
        kept: What many metrics need, computed once (see `once`).
    """

    trace: Trace
    platform: Platform | None = None
    kept: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def length_ns(self) -> int:
        """Length of the window, ns."""
        return self.trace.head.window_ns[1] - self.trace.head.window_ns[0]

    @property
    def length_s(self) -> float:
        """Length of the window, seconds."""
        return self.length_ns / NS_PER_S

    def column(self, table: str, name: str) -> Any:
        """A column as an Arrow array, nulls and all."""
        return self.trace.table(table).column(name).combine_chunks()

    def numbers(self, table: str, name: str) -> Numbers:
        """A column of numbers; NaN for null."""
        return _float(self.column(table, name))

    def times(self, table: str, name: str) -> Numbers:
        """A column of times, ns from the window's start; NaN for null."""
        start = pa.scalar(self.trace.head.window_ns[0], pa.int64())
        return _float(pc.subtract(self.column(table, name), start))

    def among(self, table: str, name: str, wanted: tuple[str, ...]) -> Flags:
        """Whether each text of a column is one of these; null is none of them."""
        found = pc.is_in(self.column(table, name), value_set=pa.array(wanted, pa.string()))
        return np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.bool_)

    def inside(self, at: Numbers) -> Flags:
        """Whether each time lies in the closed window; NaN does not."""
        return np.asarray((at >= 0) & (at <= self.length_ns), dtype=np.bool_)

    def tells(self, table: str, *columns: str) -> bool:
        """Whether any row of the table has a value in any of these columns."""
        rows = self.trace.table(table)
        return any(rows.column(name).null_count < rows.num_rows for name in columns)

    def counter(self, name: str) -> float | None:
        """The last reading of a counter, summed over its scopes; None where it was never read."""
        found = self.by_scope(name)
        return sum(found.values()) if found else None

    def by_scope(self, name: str) -> Mapping[str, float]:
        """The last reading of a counter for each scope, by scope."""
        rows = np.flatnonzero(self.among("counters", "name", (name,)))
        at, value = self.times("counters", "at_ns")[rows], self.numbers("counters", "value")[rows]
        scopes = self.column("counters", "scope").take(pa.array(rows)).to_pylist()
        last: dict[str, float] = {}
        for k in np.lexsort((value, at)):
            if not np.isnan(value[k]):
                last[scopes[k] or ""] = float(value[k])
        return dict(sorted(last.items()))

    @cached_property
    def requests(self) -> Requests:
        """The requests."""
        due, done = self.times("requests", "due_ns"), self.times("requests", "done_ns")
        ok = self.among("requests", "status", ("ok",))
        return Requests(
            due=due,
            sent=self.times("requests", "sent_ns"),
            done=done,
            queue_exit=self.times("requests", "queue_exit_ns"),
            prefill_end=self.times("requests", "prefill_end_ns"),
            input_tokens=self.numbers("requests", "input_tokens"),
            cached_input_tokens=self.numbers("requests", "cached_input_tokens"),
            output_tokens=self.numbers("requests", "output_tokens"),
            asked_output_tokens=self.numbers("requests", "asked_output_tokens"),
            samples=self.numbers("requests", "samples"),
            ok=ok,
            due_inside=self.inside(due),
            completed=self.inside(due) & ok,
            finished=self.inside(done) & ok,
        )

    @cached_property
    def streams(self) -> Streams:
        """The token stream of each request, gaps of completed requests."""
        index = {ident: k for k, ident in enumerate(self.column("requests", "id").to_pylist())}
        start, end = self.trace.head.window_ns
        rows, wanted = self.trace.num_rows("tokens"), self.requests.completed
        try:
            return stream(self.trace.parts("tokens", COLUMNS), index, wanted, (start, end), rows)
        except OutOfOrder:
            whole = self.trace.table("tokens")
            whole = whole.sort_by([("at_ns", "ascending"), ("id", "ascending")])
            return stream([whole], index, wanted, (start, end), rows)

    @cached_property
    def turn(self) -> Indices:
        """The order in which requests came: when due, sent, done, out of the queue, prefilled."""
        one = self.requests
        return np.lexsort((one.prefill_end, one.queue_exit, one.done, one.sent, one.due))

    @cached_property
    def output_tokens(self) -> Numbers:
        """Generated tokens of each request: as told, else as they arrived, else NaN."""
        arrived = np.where(self.streams.count > 0, self.streams.count, np.nan)
        told = self.requests.output_tokens
        return np.where(np.isnan(told), arrived, told)


def _float(column: Any) -> Numbers:
    wide = pc.cast(column, pa.float64(), safe=False)
    return np.asarray(wide.to_numpy(zero_copy_only=False), dtype=np.float64)
