"""What the C allocator of this process holds: the heap, and how much of it lies idle."""

import ctypes
from dataclasses import dataclass
from functools import cache

from accelbench.harness.schema.recorder import Recorder

_PROBE_BYTES = 1 << 20

_MALLINFO = (
    *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
    *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
)


class _Mallinfo(ctypes.Structure):
    """glibc's struct mallinfo2 (malloc.h), from version 2.33 on."""

    _fields_ = tuple((name, ctypes.c_size_t) for name in _MALLINFO)


@dataclass(frozen=True)
class Heap:
    """The heap of this process.

    Attributes:
        held: Bytes that the allocator has from the system.
        free: Bytes of these that nobody uses and that were not given back.
    """

    held: int
    free: int


def heap() -> Heap | None:
    """The heap now, all arenas of glibc together; None for another allocator.

    What Python keeps for its own small objects does not come from this allocator.
    """
    return _read() if _counts_what_is_allocated() else None


def tell_heap(recorder: Recorder) -> None:
    """Records what the heap of this process is now, if that is known."""
    found = heap()
    if found is not None:
        recorder.counter("heap.held", found.held, "byte", "engine")
        recorder.counter("heap.free", found.free, "byte", "engine")


def _read() -> Heap | None:
    library = ctypes.CDLL(None)
    try:
        mallinfo = library.mallinfo2
    except AttributeError:
        return None
    mallinfo.restype = _Mallinfo
    told = mallinfo()
    return Heap(told.arena + told.hblkhd, told.fordblks)


@cache
def _counts_what_is_allocated() -> bool:
    """Whether malloc is the one that is asked: an allocator loaded before it may take its place."""
    library = ctypes.CDLL(None)
    try:
        library.malloc.restype = ctypes.c_void_p
        library.malloc.argtypes = (ctypes.c_size_t,)
        library.free.argtypes = (ctypes.c_void_p,)
    except AttributeError:
        return False
    before = _read()
    block = library.malloc(_PROBE_BYTES)
    after = _read()
    library.free(block)
    if before is None or after is None:
        return False
    return (after.held - after.free) - (before.held - before.free) >= _PROBE_BYTES
