"""A dispatcher's process: takes an order, waits for the start, sends, reads, answers.

Run as `python -m accelbench.harness.load.http.dispatcher`. On standard input comes the order (its
length in 8 bytes, then its pickle: it is our own parent that writes it), later the instant of the
start on the monotonic clock, in 8 bytes. On standard output goes a line of JSON for each event:
"ready", "news" and "done". The answer itself lies in files of the order's folder.
"""

import json
import os
import pickle
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from struct import Struct
from typing import Any

from accelbench.harness.load.http.connection import resolve
from accelbench.harness.load.http.dispatch import Dispatcher
from accelbench.harness.load.http.feed import Feed, Scheduled, Users
from accelbench.harness.load.http.live import Limits
from accelbench.harness.load.http.order import Order

LENGTH = Struct("q")
TICKET = Struct("i")


def main() -> int:
    """Does one order; returns the exit code."""
    stream = sys.stdin.buffer
    order: Order = pickle.loads(stream.read(*LENGTH.unpack(stream.read(LENGTH.size))))  # noqa: S301  (our own parent wrote it)
    _settle(order.cpu)
    try:
        peer = resolve(order.host, order.port, tls=order.tls)
    except OSError as error:
        _tell(event="failed", detail=f"{order.host}: {error.strerror or error}")
        return 1
    _tell(event="ready")
    started = stream.read(LENGTH.size)
    if len(started) < LENGTH.size:
        return 1
    (start_ns,) = LENGTH.unpack(started)
    limits = Limits(order.timeout_ns, order.response_bytes, start_ns + order.give_up_after_ns)
    dispatcher = Dispatcher(peer, order.bodies, limits, _news)
    dispatcher.prepare(0 if order.due_ns is not None else order.users * order.group)
    with _urgent() as priority:
        exchanges, tally = dispatcher.run(_feed(order, start_ns))
    from accelbench.harness.load.http.replies import write_replies  # noqa: PLC0415  (slow to import)

    before = time.process_time()
    write_replies(exchanges, order)
    reading_s = time.process_time() - before
    _tell(event="done", tally=asdict(tally), reading_s=reading_s, priority=priority)
    return 0


def _feed(order: Order, start_ns: int) -> Feed:
    if order.due_ns is not None:
        return Scheduled(order.numbers, [start_ns + at for at in order.due_ns], order.most)
    tickets = iter(order.numbers) if order.tickets_fd is None else _tickets(order.tickets_fd)
    due_ns = start_ns if order.due_at_start else None
    return Users(tickets, order.users, order.group, start_ns, due_ns)


def _tickets(fd: int) -> Iterator[int]:
    """Places in the plan that no other process has taken; a pipe gives each to one reader."""
    while ticket := os.read(fd, TICKET.size):
        yield TICKET.unpack(ticket)[0]


def _settle(cpu: int | None) -> None:
    """Binds the process, and lets it open all the files it may."""
    if cpu is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {cpu})
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@contextmanager
def _urgent() -> Iterator[str]:
    """Lets the process run as soon as it has something to do, where the system grants that.

    A dispatcher works for some microseconds at a time; waiting for a processor behind a busy one
    is what would make it late. Yields what was granted.
    """
    if not hasattr(os, "sched_setscheduler"):
        yield "as any process"
        return
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        yield "as any process; real time was not granted"
        return
    try:
        yield "real time (SCHED_RR, 1)"
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def _news(sent: int, ended: int, bad: int, response_s: float) -> None:
    _tell(event="news", sent=sent, ended=ended, bad=bad, response_s=response_s)


def _tell(**event: Any) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
