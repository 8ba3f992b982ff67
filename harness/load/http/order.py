"""What a dispatcher's process is told to do, and what it answers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Order:
    """The share of a load that one process sends.

    Attributes:
        host: Whom to connect to.
        port: On which port.
        tls: Whether to encrypt.
        bodies: Each whole HTTP request of the load, by its place in the plan.
        numbers: The places that are this process's own, in order; empty where `tickets_fd` tells.
        due_ns: When each of these is due, from the start; None where users ask when they are free.
        most: Requests that may be on their way at once; None for no limit.
        users: Users of this process.
        group: Requests that a user asks together.
        due_at_start: Whether all requests are due at the start instead of when a user is free.
        tickets_fd: Where places in the plan are read from, one after another, by the users of
            all processes; None for `numbers`.
        timeout_ns: Time from sending after which a request is given up.
        response_bytes: Bytes of a response beyond which it is.
        give_up_after_ns: Time from the start after which all that is left is.
        cpu: The logical processor to be bound to, or None.
        stamped: Whether the server stamps what it sends, as the null server does, so that its
            stamps are kept beside ours.
        out: Folder that takes the answer.
        name: Name of this process's files in it.
    """

    host: str
    port: int
    tls: bool
    bodies: tuple[bytes, ...]
    numbers: tuple[int, ...]
    due_ns: tuple[int, ...] | None
    most: int | None
    users: int
    group: int
    due_at_start: bool
    tickets_fd: int | None
    timeout_ns: int
    response_bytes: int
    give_up_after_ns: int
    cpu: int | None
    stamped: bool
    out: str
    name: str
