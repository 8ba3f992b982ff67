"""A process group of PyTorch that keeps a note of every message that goes through it.

All that data-parallel, sharded and pipelined training send goes through the default process group,
so that it is the one place to look. This one hands each call on to a group of the same backend and
notes what it was, its bytes, and when it was issued, waited for and done.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from accelbench.adapters.engines.torch.distributed.messages import Message
from accelbench.adapters.engines.torch.distributed.stamps import Stamps

NAME = "accelbench"
"""The backend's name in PyTorch's list."""

OPERATIONS = {
    "allreduce": "all_reduce",
    "allreduce_coalesced": "all_reduce",
    "reduce": "reduce",
    "broadcast": "broadcast",
    "allgather": "all_gather",
    "_allgather_base": "all_gather",
    "all_gather_single": "all_gather",
    "allgather_coalesced": "all_gather",
    "allgather_into_tensor_coalesced": "all_gather",
    "all_gather_single_coalesced": "all_gather",
    "reduce_scatter": "reduce_scatter",
    "_reduce_scatter_base": "reduce_scatter",
    "reduce_scatter_single": "reduce_scatter",
    "reduce_scatter_tensor_coalesced": "reduce_scatter",
    "reduce_scatter_single_coalesced": "reduce_scatter",
    "gather": "gather",
    "scatter": "scatter",
    "alltoall": "all_to_all",
    "alltoall_base": "all_to_all",
    "all_to_all_single": "all_to_all",
    "send": "send",
    "recv": "recv",
}
"""Methods of a process group that send something, old names and new ones."""

_AWAITED = (
    "_allgather_base",
    "all_gather_single",
    "_reduce_scatter_base",
    "reduce_scatter_single",
    "send",
    "recv",
)
"""Methods that PyTorch's Python code alone calls and waits for, so that the wait can be seen; the
others are called by its C++ code too, which takes no stand-in."""


@dataclass
class _Note:
    """A message that may still be on its way; its instants are stamps."""

    operation: str
    peer: int | None
    start: Any
    moved: int
    issued: Any = None
    done: Any = None
    waited: list[tuple[Any, Any]] = field(default_factory=list)

    def end(self, stamp: Any) -> None:
        """It is known when it is done."""
        self.done = stamp

    def message(self, ns: Callable[[Any], int]) -> Message:
        """What is known now; one that was never seen to end ended where it was last waited for."""
        waited = tuple((ns(start), ns(end)) for start, end in self.waited)
        start_ns = ns(self.start)
        ends = [ns(self.done)] if self.done is not None else [end for _, end in waited]
        done_ns = max(ends, default=start_ns)
        issuing = ((start_ns, ns(self.issued)),) if self.issued is not None else ()
        return Message(self.operation, self.peer, start_ns, done_ns, self.moved, waited, issuing)


class _Awaited:
    """Stands in for the handle of a message, and notes when it was waited for.

    Args:
        work: PyTorch's handle.
        note: Takes the time.
        now: Makes a stamp.
    """

    def __init__(self, work: Any, note: _Note, now: Callable[[], Any]) -> None:
        self._work, self._note, self._now = work, note, now

    def wait(self, *limit: timedelta) -> bool:
        """Waits until the message is done."""
        began = self._now()
        done = bool(self._work.wait(*limit))
        self._note.waited.append((began, self._now()))
        return done

    def __getattr__(self, name: str) -> Any:
        return getattr(self._work, name)


class NotingGroup(dist.ProcessGroup):
    """Hands every call on, and keeps a note of those that send something.

    Args:
        rank: This process's place.
        size: How many there are.
        behind: A group of the real backend.
        stamps: Take the instants.
        overlap: Whether a collective returns before it is done.
    """

    def __init__(
        self, rank: int, size: int, behind: dist.ProcessGroup, stamps: Stamps, *, overlap: bool
    ) -> None:
        parent: Any = super()  # torch names one of its two constructors
        parent.__init__(rank, size)
        self.behind, self.stamps, self.overlap = behind, stamps, overlap
        self._notes: list[_Note] = []

    def send_noted(self, method: str, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """One call.

        Args:
            method: Its name, one of `OPERATIONS`.
            given: Its arguments.
            named: Its named arguments.
        """
        operation = OPERATIONS[method]
        peer = given[1] if operation in ("send", "recv") else None
        note = _Note(operation, peer, self.stamps.now(), _payload(operation, given))
        self._notes.append(note)
        work = getattr(self.behind, method)(*given, **named)
        if not self.overlap and peer is None:
            work.wait()
            note.waited.append((note.start, self.stamps.now()))
            return work
        awaited = method in _AWAITED
        self.stamps.at_end(work, note.end, awaited=awaited)
        if not awaited:
            return work
        note.issued = self.stamps.now()
        return _Awaited(work, note, self.stamps.now)

    def messages(self) -> list[Message]:
        """What went through it since the last call, in order."""
        notes, self._notes = self._notes, []
        return [note.message(self.stamps.ns) for note in notes]


def _noting(method: str) -> Callable[..., Any]:
    def call(self: NotingGroup, *given: Any, **named: Any) -> Any:
        return self.send_noted(method, given, named)

    return call


for _method in OPERATIONS:
    if hasattr(dist.ProcessGroup, _method):
        setattr(NotingGroup, _method, _noting(_method))


@dataclass(frozen=True)
class Place:
    """A rank among the others.

    Attributes:
        rank: Its number.
        ranks: How many there are.
        device: Where its tensors lie.
        patience_s: Longest wait for another rank, seconds.
    """

    rank: int
    ranks: int
    device: torch.device
    patience_s: float


def joined(store: Any, place: Place, stamps: Stamps, *, overlap: bool) -> NotingGroup:
    """Makes the default process group of this process, which waits until all are there.

    Args:
        store: Where the ranks find one another, a store of PyTorch.
        place: That of this process.
        stamps: Take the instants.
        overlap: Whether a collective returns before it is done.
    """
    made: list[NotingGroup] = []

    def make(options: Any, _: Any = None) -> NotingGroup:
        kinds = dist.ProcessGroup.BackendType
        here = options.group_rank, options.group_size
        backend: Any
        if place.device.type == "cuda":
            nccl: Any = dist.ProcessGroupNCCL  # not in every build
            own = nccl.Options()
            own._timeout = options.timeout  # noqa: SLF001  (PyTorch's own way to set it)
            kind, backend = kinds.NCCL, nccl(options.store, *here, own)
        else:
            kind = kinds.GLOO
            backend = dist.ProcessGroupGloo(options.store, *here, options.timeout)
        behind = dist.ProcessGroup(options.store, *here)
        noting = NotingGroup(*here, behind, stamps, overlap=overlap)
        for group in (behind, noting):
            group._set_default_backend(kind)  # noqa: SLF001  (PyTorch's own way to make a group)
            group._register_backend(place.device, kind, backend)  # noqa: SLF001  (likewise)
        made.append(noting)
        return noting

    dist.Backend.register_backend(NAME, make, extended_api=True, devices=[place.device.type])
    limit = timedelta(seconds=place.patience_s)
    dist.init_process_group(
        NAME, store=store, rank=place.rank, world_size=place.ranks, timeout=limit
    )
    return made[0]


def _payload(operation: str, given: tuple[Any, ...]) -> int:
    """Bytes of the largest of the arguments: the whole of what is gathered or scattered."""
    if operation == "recv":
        return 0
    return max(_bytes(one) for one in given)


def _bytes(given: Any) -> int:
    if isinstance(given, torch.Tensor):
        return given.nbytes
    if isinstance(given, (list, tuple)):
        return sum(_bytes(one) for one in given)
    return 0
