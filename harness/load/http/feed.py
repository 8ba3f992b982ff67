"""Which request is due next: by a schedule, or when a user is free."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Protocol


class Feed(Protocol):
    """Tells a dispatcher what is due. Times are on the monotonic clock, ns."""

    def take(self, now_ns: int) -> tuple[int, int] | None:
        """The next request that is due: its place in the plan and when it was due; or None."""

    def next_ns(self) -> int | None:
        """When the next request will be due; None where that hangs on an answer, or none is left."""

    def ended(self, number: int, at_ns: int) -> None:
        """A request has ended, however it did."""


class Scheduled:
    """Requests that are due by a schedule, whatever becomes of those before.

    Args:
        numbers: Places in the plan, in order.
        due_ns: When each is due, ascending.
        most: Requests that may be on their way at once; None for no limit.
    """

    def __init__(self, numbers: Sequence[int], due_ns: Sequence[int], most: int | None) -> None:
        self._numbers = numbers
        self._due_ns = due_ns
        self._most = most
        self._next = 0
        self._under_way = 0

    def take(self, now_ns: int) -> tuple[int, int] | None:
        """The next request, if it is due and the limit leaves room."""
        k = self._next
        if k == len(self._due_ns) or self._due_ns[k] > now_ns or self._full():
            return None
        self._next = k + 1
        self._under_way += 1
        return self._numbers[k], self._due_ns[k]

    def next_ns(self) -> int | None:
        """When the next is due; None where the limit holds it back, or none is left."""
        k = self._next
        return None if k == len(self._due_ns) or self._full() else self._due_ns[k]

    def ended(self, number: int, at_ns: int) -> None:  # noqa: ARG002  (any of them makes room)
        """Makes room for one."""
        self._under_way -= 1

    def _full(self) -> bool:
        return self._most is not None and self._under_way >= self._most


class Users:
    """Users that ask again when their last answer has come.

    Args:
        tickets: Places in the plan, each to be taken once; users in several processes may share
            them.
        users: How many users there are.
        group: Requests that a user asks together; it waits for all of them.
        start_ns: When all users are free first.
        due_ns: When all requests are due, if not when a user is free.
    """

    def __init__(
        self,
        tickets: Iterator[int],
        users: int,
        group: int,
        start_ns: int,
        due_ns: int | None = None,
    ) -> None:
        self._tickets = tickets
        self._due_ns = due_ns
        self._group = group
        self._asks: deque[tuple[int, int]] = deque()
        self._whose: dict[int, int] = {}
        self._waits_for = [0] * users
        self._last_ns = [0] * users
        for user in range(users):
            self._free(user, start_ns)

    def take(self, now_ns: int) -> tuple[int, int] | None:
        """The next request of a user that is free."""
        if not self._asks or self._asks[0][1] > now_ns:
            return None
        user, due_ns = self._asks.popleft()
        number = next(self._tickets, None)
        if number is None:
            self._asks.clear()
            return None
        self._whose[number] = user
        return number, due_ns if self._due_ns is None else self._due_ns

    def next_ns(self) -> int | None:
        """When the first free user asks; None where all of them wait."""
        return self._asks[0][1] if self._asks else None

    def ended(self, number: int, at_ns: int) -> None:
        """Frees the user when all of its group has ended; it asks again at once.

        Ends may be told in another order than that of their instants.
        """
        user = self._whose.pop(number)
        self._waits_for[user] -= 1
        self._last_ns[user] = max(self._last_ns[user], at_ns)
        if not self._waits_for[user]:
            self._free(user, self._last_ns[user])

    def _free(self, user: int, at_ns: int) -> None:
        self._waits_for[user] = self._group
        self._asks.extend([(user, at_ns)] * self._group)
