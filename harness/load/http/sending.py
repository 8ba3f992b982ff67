"""A load plan dealt out to dispatchers: one schedule, one source of requests, however many."""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from accelbench.harness.load.http.order import Order
from accelbench.harness.load.http.processes import Answer, News, dispatch
from accelbench.harness.load.http.request import Encoder, address
from accelbench.harness.load.http.tables import read_replies
from accelbench.harness.load.http.target import Target
from accelbench.harness.load.schedule.plan import LoadPlan
from accelbench.harness.units import NS_PER_S


@dataclass(frozen=True)
class Sent:
    """A load that was sent, and what came of it.

    Attributes:
        start_ns: When it began, on the monotonic clock.
        replies: Rows of `REPLIES` of all requests that were taken up, by their place in the plan.
        arrivals: Rows of `ARRIVALS`.
        answers: What each dispatcher tells of itself.
    """

    start_ns: int
    replies: pa.Table
    arrivals: pa.Table
    answers: Sequence[Answer]


def send(target: Target, plan: LoadPlan, until_ns: int, news: News) -> list[Sent]:
    """Sends a plan; one that is all due at the start is sent in two, the warm-up by itself.

    Args:
        target: The server.
        plan: The plan.
        until_ns: The instant on the monotonic clock at which all that is left is given up.
        news: Takes counts while it runs.

    Raises:
        TrialError: A dispatcher failed.
        ConfigError: The address of the server is wrong.
    """
    encoder = Encoder(target)
    bodies = tuple(encoder.encode(prompt) for prompt in plan.prompts)
    numbers = range(len(bodies))
    parts = [numbers[: plan.warmup], numbers[plan.warmup :]] if plan.mode == "start" else [numbers]
    return [_sent(_Part(target, plan, bodies, part, until_ns), news) for part in parts if len(part)]


@dataclass(frozen=True)
class _Part:
    """What is sent in one go."""

    target: Target
    plan: LoadPlan
    bodies: tuple[bytes, ...]
    numbers: range
    until_ns: int


def _sent(part: _Part, news: News) -> Sent:
    processes = processes_for(part.target.processes, part.plan)
    with tempfile.TemporaryDirectory(prefix="accelbench-") as folder:
        orders = [_order(part, share, processes, folder) for share in range(processes)]
        shared = processes > 1 and part.plan.due_s is None
        start_ns, answers = dispatch(orders, part.numbers if shared else (), news)
        replies, arrivals = read_replies(folder, [order.name for order in orders])
        return Sent(start_ns, replies, arrivals, answers)


def processes_for(wanted: int, plan: LoadPlan) -> int:
    """How many dispatchers can share a plan; a cap or a query of several samples is not shared."""
    if plan.max_in_flight is not None or plan.group > 1:
        return 1
    most = len(plan.prompts) if plan.due_s is not None else plan.users
    return max(1, min(wanted, most))


def _order(part: _Part, share: int, of: int, folder: str) -> Order:
    """The share of one process: every `of`-th request of a schedule, or of the users."""
    target, plan = part.target, part.plan
    where = address(target.url)
    own = tuple(part.numbers[share::of])
    due_ns = None
    if plan.due_s is not None:
        due = np.rint(plan.due_s[list(own)] * NS_PER_S).astype(np.int64)
        due_ns = tuple(due.tolist())
    return Order(
        host=where.host,
        port=where.port,
        tls=where.tls,
        bodies=part.bodies,
        numbers=own,
        due_ns=due_ns,
        most=plan.max_in_flight,
        users=len(range(share, plan.users, of)),
        group=plan.group,
        due_at_start=plan.mode == "start" and part.numbers[0] >= plan.warmup,
        tickets_fd=None,
        timeout_ns=int(target.timeout_s * NS_PER_S),
        response_bytes=target.response_bytes,
        give_up_after_ns=max(0, part.until_ns - time.perf_counter_ns()),
        cpu=target.cpus[share % len(target.cpus)] if target.cpus else None,
        stamped=target.stamped,
        out=folder,
        name=str(share),
    )
