"""Memory while a trial runs: what the engine's processes hold, read once a second from outside.

Resident memory is the kernel's own count, in /proc/<pid>/statm. Reading it costs some ten
microseconds a process; dividing shared pages among their users (smaps_rollup) makes the kernel walk
all pages, 13 ms for a gigabyte, in which the process itself may have to wait. So pages that several
processes share count in each of them.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic, perf_counter_ns
from typing import Self

from accelbench.harness.environment.memory import available_bytes
from accelbench.harness.environment.processes import resident_bytes, tree
from accelbench.harness.environment.reading import LINUX, Roots
from accelbench.harness.schema.plain import Plain

PERIOD_S = 1.0
LISTED_S = 10.0
"""Seconds for which a list of processes is good; a new child is missed for as long."""


@dataclass(frozen=True)
class Reading:
    """Memory at one instant.

    Attributes:
        at_ns: The instant, on the monotonic clock.
        resident: Resident bytes by scope: "engine"; and "generator", where the engine is outside
            the trial's process, so that this one is merely its client.
        available: Bytes that the machine could still give away; None where it does not tell.
    """

    at_ns: int
    resident: Mapping[str, int]
    available: int | None


class MemoryWatch:
    """Reads memory again and again in a thread, from its beginning to its end.

    Args:
        worker: The process of the trial.
        servers: The engine's processes where it is outside the trial's process (none for an
            engine on another machine); None where it is inside.
        roots: Where the file system begins.
        period_s: Time between two readings, seconds.

    Attributes:
        readings: What was read so far, in order.
    """

    def __init__(
        self,
        worker: int,
        servers: Sequence[int] | None = None,
        roots: Roots = LINUX,
        period_s: float = PERIOD_S,
    ) -> None:
        self.readings: list[Reading] = []
        self._worker = worker
        self._servers = servers
        self._roots = roots
        self._period_s = period_s
        self._processes: Mapping[str, Sequence[int]] = {}
        self._listed_s = -LISTED_S
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.read()

    def rows(self) -> list[dict[str, Plain]]:
        """The readings as rows of the table of counters."""
        return [
            {"name": name, "at_ns": one.at_ns, "value": value, "unit": "byte", "scope": scope}
            for one in self.readings
            for name, scope, value in (
                *(("memory.resident", scope, held) for scope, held in one.resident.items()),
                ("memory.available", "machine", one.available),
            )
            if value is not None
        ]

    def read(self) -> None:
        """Takes one reading; a scope whose processes have all ended is not in it."""
        if monotonic() - self._listed_s >= LISTED_S:
            self._list()
        held = self._held()
        if any(None in each for each in held.values()):  # one has ended since they were listed
            self._list()
            held = self._held()
        sums = {scope: sum(value or 0 for value in each) for scope, each in held.items()}
        available = available_bytes(self._roots).value
        self.readings.append(
            Reading(
                perf_counter_ns(),
                {scope: value for scope, value in sums.items() if value},
                available if isinstance(available, int) else None,
            )
        )

    def _run(self) -> None:
        self.read()
        while not self._over.wait(self._period_s):
            self.read()

    def _list(self) -> None:
        own = tree([self._worker], self._roots)
        if self._servers is None:
            self._processes = {"engine": own}
        else:
            engine = tree(self._servers, self._roots)
            client = [pid for pid in own if pid not in set(engine)]
            self._processes = {"engine": engine, "generator": client}
        self._listed_s = monotonic()

    def _held(self) -> dict[str, list[int | None]]:
        return {
            scope: [resident_bytes(pid, self._roots) for pid in pids]
            for scope, pids in self._processes.items()
        }
