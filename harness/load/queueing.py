"""The requests of a plan that are still to come, for an engine in this process.

Handing a request over costs nothing here, so it counts as sent when it is due even if the engine
was busy then; what it waits from there on it waits in the engine's queue.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from accelbench.harness.load.schedule.plan import LoadPlan
from accelbench.harness.units import NS_PER_S

Window = tuple[int, int]


@dataclass(frozen=True)
class Turn:
    """A request that is taken up.

    Attributes:
        number: Its place in the plan.
        due_ns: When it was due.
        sent_ns: When it was handed over.
    """

    number: int
    due_ns: int
    sent_ns: int


class PlanQueue:
    """The requests of a stretch of the plan that are still to come.

    All modes are one rule. Requests, or queries of `group` requests, that may be on their way at
    once have a limit; the n-th has room when the (n - limit)-th of all ends has come. Users are
    such a limit, and what gives a user room also makes its next query due.

    The window is closed: an instant at its end belongs to it. Therefore the users' first query
    after the warm-up, and the first after the window, are due a nanosecond after the end that
    freed their user, which so lies on one side of the window alone.

    Args:
        plan: The plan.
        numbers: Places in it.
        mode: What makes these requests due.
        start_ns: When the stretch begins.
    """

    def __init__(
        self,
        plan: LoadPlan,
        numbers: range,
        mode: Literal["schedule", "users", "start"],
        start_ns: int,
    ) -> None:
        self._plan = plan
        self._numbers = numbers
        self._mode = mode
        self._size = plan.group if mode == "users" else 1
        self._most = plan.max_in_flight if mode == "schedule" else plan.users
        self._edges = (plan.warmup, plan.warmup + plan.requests)
        self._start_ns = start_ns
        self._next = numbers.start
        self._due_ns = start_ns
        self._ends_ns: list[int] = []
        self._done = [0] * -(-len(numbers) // self._size)

    def ahead(self) -> tuple[int, int] | None:
        """When the next request is due and when there is room for it.

        None where that hangs on an answer, or none is left.
        """
        if self._next == self._numbers.stop:
            return None
        query, room_ns = (self._next - self._numbers.start) // self._size, self._start_ns
        if self._most is not None and query >= self._most:
            if query - self._most >= len(self._ends_ns):
                return None
            room_ns = self._ends_ns[query - self._most]
        due_ns = self._due(room_ns)
        return due_ns, max(due_ns, room_ns)

    def edge_near(self, most: int) -> bool:
        """Whether an end of the window lies within so many requests, after the first of them.

        What is due on both sides of it is a nanosecond apart; an engine that begins a nanosecond
        later than it could takes all of it at once, as if the window were not there.
        """
        span = range(self._next + 1, min(self._next + most, self._numbers.stop))
        return self._mode == "users" and any(edge in span for edge in self._edges)

    def take(self, now_ns: int, free_ns: int, most: int) -> list[Turn]:
        """The requests that are handed over now, in order.

        Args:
            now_ns: The instant.
            free_ns: Until when the engine was busy; what was ready before was sent then.
            most: Requests to take.
        """
        turns: list[Turn] = []
        while len(turns) < most and (ahead := self.ahead()) and ahead[1] <= now_ns:
            self._due_ns, ready_ns = ahead
            turns.append(Turn(self._next, self._due_ns, ready_ns if ready_ns < free_ns else now_ns))
            self._next += 1
        return turns

    def ended(self, done_ns: Mapping[int, int]) -> None:
        """Makes room: these requests are done, all of them later than those before."""
        for number, at_ns in sorted(done_ns.items(), key=lambda item: item[1]):
            query = (number - self._numbers.start) // self._size
            self._done[query] += 1
            first = query * self._size
            if self._done[query] == len(self._numbers[first : first + self._size]):
                self._ends_ns.append(at_ns)

    def _due(self, room_ns: int) -> int:
        if self._mode == "start":
            return self._start_ns
        plan = self._plan
        if plan.due_s is not None:
            return self._start_ns + round(float(plan.due_s[self._next]) * NS_PER_S)
        edge = self._next in self._edges and self._next > 0
        return max(self._due_ns, room_ns + edge)


def window_of(plan: LoadPlan, due_ns: Mapping[int, int], done_ns: Mapping[int, int]) -> Window:
    """The window as `LoadPlan` defines it.

    Args:
        plan: The plan.
        due_ns: When each request was due, by its place in the plan.
        done_ns: When each was done.
    """
    inside = range(plan.warmup, plan.warmup + plan.requests)
    opened = due_ns[inside[0]]
    if plan.mode == "schedule":
        return opened, due_ns[inside[-1]]
    if plan.mode == "users" and inside.stop in due_ns:
        return opened, due_ns[inside.stop] - 1  # that request is after it, see PlanQueue
    return opened, max(done_ns[number] for number in inside)
