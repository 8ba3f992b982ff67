"""What went over the wire for one request, before anybody has read it."""

from array import array
from dataclasses import dataclass
from typing import Literal, TypeAlias

Outcome: TypeAlias = Literal[
    "complete",
    "refused",
    "closed",
    "malformed",
    "too_large",
    "timeout",
    "cancelled",
    "unsent",
]
"""How an exchange ended.

"complete": a whole HTTP response came, whatever it says. "refused": no connection could be made.
"closed": the server ended the connection before the response was whole. "malformed": what came is
no HTTP. "too_large": the response passed the limit of bytes. "timeout": it was not whole in time.
"cancelled": we ended it. "unsent": it could not be sent at all.
"""


@dataclass(frozen=True)
class Exchange:
    """One request and all that came back.

    Attributes:
        number: Its place in the plan.
        due_ns: When it was due, on the monotonic clock.
        sent_ns: When sending began, with the opening of a connection where it needed one; None if
            it never did.
        ended_ns: When it ended, however it did; for "complete" the arrival of the last byte.
        outcome: How it ended.
        detail: Why, in words, where the outcome alone does not say.
        raw: The whole response as it arrived, head and all.
        at_ns: When the bytes of each reading arrived.
        upto: How many bytes had come with each reading, those before included.
    """

    number: int
    due_ns: int
    sent_ns: int | None
    ended_ns: int
    outcome: Outcome
    detail: str
    raw: bytes
    at_ns: "array[int]"
    upto: "array[int]"
