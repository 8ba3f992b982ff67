"""What a dispatcher knows of a request on its way, where it gives up, and what it tells of itself."""

from array import array
from dataclasses import dataclass

from accelbench.harness.load.http.framing import Framing


@dataclass(frozen=True)
class Limits:
    """Where a dispatcher gives up.

    Attributes:
        timeout_ns: Time from sending after which a request is given up.
        response_bytes: Bytes of a response beyond which it is.
        give_up_ns: The instant at which all that is left is.
    """

    timeout_ns: int
    response_bytes: int
    give_up_ns: int


@dataclass(frozen=True)
class Tally:
    """What a dispatcher tells of itself.

    Attributes:
        cpu_s: Its processor time, sending and keeping.
        wall_s: How long it ran.
        lag_ns: p99 of the time from the arrival of bytes to their reading; None where the system
            does not tell when they arrived.
        opened_ns: When each connection was opened.
        resends: Requests sent again because an idle connection had closed.
    """

    cpu_s: float
    wall_s: float
    lag_ns: int | None
    opened_ns: tuple[int, ...]
    resends: int


class Live:
    """A request on its way; it changes as bytes arrive."""

    __slots__ = (
        "at_ns",
        "body",
        "due_ns",
        "framing",
        "number",
        "over",
        "readings",
        "resent",
        "sent_ns",
        "size",
        "upto",
    )

    def __init__(self, number: int, due_ns: int, body: bytes) -> None:
        self.number = number
        self.due_ns = due_ns
        self.body = body
        self.sent_ns: int | None = None
        self.framing = Framing()
        self.readings: list[bytes] = []
        self.at_ns = array("q")
        self.upto = array("q")
        self.size = 0
        self.resent = False
        self.over = False
