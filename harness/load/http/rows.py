"""Every request of a plan as columns: what came of it, in which order, and in which window."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from accelbench.harness.load.http.replies import NONE
from accelbench.harness.load.http.sending import Sent
from accelbench.harness.load.schedule.plan import LoadPlan
from accelbench.harness.units import NS_PER_S

Whole = npt.NDArray[np.int64]

_NEVER = "the time limit of the trial came first"
_LATEST = np.iinfo(np.int64).max


@dataclass
class Rows:
    """A row for each request of a plan, also for one that no dispatcher took up.

    Whole numbers that are not known are `NONE`.

    Attributes:
        due_ns: When it was due; None for one that another's end would have made due.
        sent_ns: When it was sent.
        done_ns: When a whole response had come.
        ended_ns: When it ended, however it did.
        input_tokens: As the server counted them.
        cached_input_tokens: How many of them came from a prefix cache.
        output_tokens: As the server counted them, or a tokenizer.
        status: What became of it.
        error: Why it is not ok, or None.
        text: The answer with its reasoning.
        spread: Whether its tokens were laid on arrivals by convention.
        counted: Whether a tokenizer counted them.
    """

    due_ns: Whole
    sent_ns: Whole
    done_ns: Whole
    ended_ns: Whole
    input_tokens: Whole
    cached_input_tokens: Whole
    output_tokens: Whole
    status: list[str]
    error: list[str | None]
    text: list[str]
    spread: npt.NDArray[np.bool_]
    counted: npt.NDArray[np.bool_]


def gathered(plan: LoadPlan, loads: Sequence[Sent]) -> Rows:
    """The rows of a plan, by their place in it."""
    replies = pa.concat_tables([load.replies for load in loads])
    place = replies["number"].to_numpy()
    total = len(plan.prompts)

    def whole(name: str) -> Whole:
        column = np.full(total, NONE, dtype=np.int64)
        column[place] = replies[name].fill_null(NONE).to_numpy()
        return column

    status, text = ["unsent"] * total, [""] * total
    error: list[str | None] = [_NEVER] * total
    told = (replies[name].to_pylist() for name in ("number", "status", "error", "text"))
    for number, became, why, words in zip(*told, strict=True):
        status[number], error[number], text[number] = became, why, words
    spread = np.zeros(total, dtype=np.bool_)
    spread[place] = replies["spread"].to_numpy(zero_copy_only=False)
    taken = np.zeros(total, dtype=np.bool_)
    taken[place] = True
    return Rows(
        due_ns=np.where(taken, whole("due_ns"), _planned_ns(plan, loads)),
        sent_ns=whole("sent_ns"),
        done_ns=whole("done_ns"),
        ended_ns=whole("ended_ns"),
        input_tokens=whole("input_tokens"),
        cached_input_tokens=whole("cached_input_tokens"),
        output_tokens=whole("output_tokens"),
        status=status,
        error=error,
        text=text,
        spread=spread,
        counted=np.zeros(total, dtype=np.bool_),
    )


def _planned_ns(plan: LoadPlan, loads: Sequence[Sent]) -> Whole:
    """When requests that were never taken up were due, by the plan; `NONE` where no plan tells.

    A warm-up before work that is due at the start counts as due when the warm-up began.
    """
    if plan.due_s is not None:
        return loads[-1].start_ns + np.rint(plan.due_s * NS_PER_S).astype(np.int64)
    planned = np.full(len(plan.prompts), NONE, dtype=np.int64)
    if plan.mode == "start":
        planned[: plan.warmup] = loads[0].start_ns
        planned[plan.warmup :] = loads[-1].start_ns
    return planned


def in_turn(plan: LoadPlan, rows: Rows) -> Whole:
    """Places in the plan in the order in which the requests were due.

    Users of several processes may take up requests in another order than the plan's. What never
    became due comes last.
    """
    if plan.mode != "users":
        return np.arange(len(plan.prompts))
    return np.argsort(np.where(rows.due_ns == NONE, _LATEST, rows.due_ns), kind="stable")


def part_at_edges(plan: LoadPlan, rows: Rows, order: Whole) -> None:
    """Puts the end that freed a user, and what that made due, on two sides of an edge.

    The window is closed, so that its first requests and the first of the tail count as due a
    nanosecond after the end of the request before them.
    """
    if plan.mode != "users":
        return
    for edge in (plan.warmup, plan.warmup + plan.requests):
        after = order[edge:]
        due_ns = rows.due_ns[after]
        known = due_ns[due_ns != NONE]
        if edge and known.size:
            rows.due_ns[after] = due_ns + (due_ns == known.min())


def window(plan: LoadPlan, loads: Sequence[Sent], rows: Rows, order: Whole) -> tuple[int, int]:
    """The window as `LoadPlan` defines it, ns."""
    inside = order[plan.warmup : plan.warmup + plan.requests]
    due_ns, ended_ns = rows.due_ns[inside], rows.ended_ns[inside]
    if plan.due_s is not None:
        return int(due_ns[0]), int(due_ns[-1])
    start_ns = loads[-1].start_ns
    ended_ns = ended_ns[ended_ns != NONE]
    if plan.mode == "start":
        return start_ns, int(ended_ns.max(initial=start_ns))
    known = due_ns[due_ns != NONE]
    begun = int(known.min()) if known.size else start_ns
    after = rows.due_ns[order[plan.warmup + plan.requests :]]
    after = after[after != NONE]
    closed = int(after.min()) - 1 if after.size else int(ended_ns.max(initial=begun))
    return begun, max(begun, closed)
