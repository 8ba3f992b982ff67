"""Several dispatchers as one: started together, listened to, their answers joined."""

import contextlib
import json
import os
import pickle
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import IO, Any, TypeAlias, cast

from accelbench.harness.errors import TrialError
from accelbench.harness.load.http.dispatcher import LENGTH, TICKET
from accelbench.harness.load.http.live import Tally
from accelbench.harness.load.http.order import Order

_LEAD_NS = 100_000_000
_READY_S = 60.0
_READING_S = 600.0

News = Callable[[Mapping[str, float]], None]
_Said: TypeAlias = "tuple[int, dict[str, Any] | None]"


@dataclass(frozen=True)
class Answer:
    """What a dispatcher tells when it is done.

    Attributes:
        tally: What it tells of its run.
        reading_s: Processor time of reading the replies afterwards.
        priority: How urgently the system let it run.
    """

    tally: Tally
    reading_s: float
    priority: str


def dispatch(
    orders: Sequence[Order], tickets: Sequence[int], news: News
) -> tuple[int, list[Answer]]:
    """Runs one process an order, all from the same instant on.

    Args:
        orders: One for each process.
        tickets: Places in the plan that users of all processes take from one source; empty where
            each process has its own.
        news: Takes what was sent, has ended, and of this did not end well, and the sum of the
            response times of the others, `response_s`.

    Returns:
        The instant of the start on the monotonic clock, and the answers in order.

    Raises:
        TrialError: A process failed.
    """
    said: queue.Queue[_Said] = queue.Queue()
    with ExitStack() as stack:
        fd = stack.enter_context(_ticket_office(tickets)) if tickets else None
        running = []
        for place, order in enumerate(orders):
            running.append(_Dispatcher(replace(order, tickets_fd=fd), fd, said, place))
            stack.callback(running[-1].end)
        _ready(said, len(running))
        start_ns = time.perf_counter_ns() + _LEAD_NS
        for process in running:
            process.tell(LENGTH.pack(start_ns))
        limit_s = max(order.give_up_after_ns for order in orders) / 1e9 + _READING_S
        return start_ns, _answers(said, len(running), limit_s, news)


class _Dispatcher:
    """A running process and what it says."""

    def __init__(
        self, order: Order, fd: int | None, said: "queue.Queue[_Said]", place: int
    ) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "accelbench.harness.load.http.dispatcher"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=() if fd is None else (fd,),
        )
        self._said, self._place = said, place
        threading.Thread(target=self._listen, daemon=True).start()
        told = pickle.dumps(order)
        self.tell(LENGTH.pack(len(told)) + told)

    def tell(self, data: bytes) -> None:
        """Writes to its standard input; that it has ended is found out by listening."""
        stream = cast("IO[bytes]", self._process.stdin)
        with contextlib.suppress(BrokenPipeError):
            stream.write(data)
            stream.flush()

    def end(self) -> None:
        """Ends the process, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(BrokenPipeError):
            cast("IO[bytes]", self._process.stdin).close()

    def _listen(self) -> None:
        event: dict[str, Any] | None = None
        with cast("IO[bytes]", self._process.stdout) as stream:
            for line in stream:
                event = json.loads(line)
                self._said.put((self._place, event))
        if event is None or event["event"] != "done":
            self._said.put((self._place, None))


def _ready(said: "queue.Queue[_Said]", count: int) -> None:
    """Waits until all processes are ready."""
    until = time.monotonic() + _READY_S
    for _ in range(count):
        event = _next(said, until, "get ready")[1]
        if event["event"] != "ready":
            raise TrialError(event["detail"])


def _answers(said: "queue.Queue[_Said]", count: int, limit_s: float, news: News) -> list[Answer]:
    done: dict[int, Answer] = {}
    latest: dict[int, Mapping[str, float]] = {}
    until = time.monotonic() + limit_s
    while len(done) < count:
        place, event = _next(said, until, "end")
        if event["event"] == "done":
            done[place] = Answer(Tally(**event["tally"]), event["reading_s"], event["priority"])
        else:
            latest[place] = event
            news(_sums(latest.values()))
    return [done[place] for place in range(count)]


def _next(said: "queue.Queue[_Said]", until: float, what: str) -> tuple[int, dict[str, Any]]:
    try:
        place, event = said.get(timeout=max(0.0, until - time.monotonic()))
    except queue.Empty as error:
        raise TrialError(f"a dispatcher did not {what} in time; see the log") from error
    if event is None:
        raise TrialError("a dispatcher ended before it was done; see the log")
    return place, event


def _sums(latest: Iterable[Mapping[str, float]]) -> dict[str, float]:
    events = list(latest)
    names = ("sent", "ended", "bad", "response_s")
    return {name: sum(event[name] for event in events) for name in names}


@contextmanager
def _ticket_office(numbers: Sequence[int]) -> Iterator[int]:
    """The reading end of a pipe that holds places in the plan, each for one reader."""
    reading, writing = os.pipe()

    def issue() -> None:
        with contextlib.suppress(BrokenPipeError), os.fdopen(writing, "wb", 0) as stream:
            for number in numbers:
                stream.write(TICKET.pack(number))

    issuer = threading.Thread(target=issue, daemon=True)
    issuer.start()
    try:
        yield reading
    finally:
        os.close(reading)
        issuer.join()
