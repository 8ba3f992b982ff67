"""Kernel intervals from torch.profiler (Kineto): what eq. 8 takes the union of.

On a GPU a kernel is what ran on the device. On a CPU it is the outermost operator that has code
of its own: wrappers that only call other operators, views and allocations are none, and what an
operator with code calls is part of it. Where Inductor made a kernel, it is that.

Watching slows the host. A trial that is watched says so in its trace, and its times are no
latencies.
"""

import time
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.recorder import Recorder
from accelbench.harness.units import NS_PER_S

_ANCHOR = "accelbench clock"
_ANCHORS = 10
_ON_DEVICE = ("kernel", "gpu_memcpy", "gpu_memset")
_TRANSFERS = ("Memcpy HtoD", "Memcpy DtoH")
_INDUCTOR = "cpp_fused"
_NAMED = 40
_NO_WORK = ("aten::empty", "aten::resize_", "aten::as_strided_", "aten::set_", "aten::detach")


Ran: TypeAlias = tuple[str, str, int, int, str, str]
"""Name, kind, begin and end in ns of the profile, device, stream."""


@dataclass(frozen=True)
class Called:
    """An operator as the profiler saw it.

    Attributes:
        name: E.g. "aten::addmm".
        overload: E.g. "out"; empty for the default.
        thread: The thread that called it.
        start_ns: When it began.
        end_ns: When it returned.
    """

    name: str
    overload: str
    thread: int
    start_ns: int
    end_ns: int


@contextmanager
def kernel_intervals(
    recorder: Recorder, device: torch.device
) -> Iterator[MutableMapping[str, Plain]]:
    """Records the kernels of what is done meanwhile as phases, once it is done.

    Args:
        recorder: Takes the phases; its clock is the machine's monotonic one. Those that lie in its
            window are kept.
        device: Where the model lies.

    Yields:
        A mapping that then holds, for the record, which kernels ran in the window, how often and
        for how long.
    """
    activities = [ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    recorder.profiled()
    told: dict[str, Plain] = {}
    with profile(activities=activities, experimental_config=_with_overloads()) as watch:
        began = _anchors()
        yield told
        ended = _anchors()
    rows = _tell(list(watch.profiler.kineto_results.events()), [began, ended], recorder)
    told["by_name"] = _by_name(rows)


def _with_overloads() -> Any:
    """Without their overloads, operators that have no default one (`mul`, `add`) are not known."""
    return torch._C._profiler._ExperimentalConfig(  # noqa: SLF001  (torch offers no other way)
        capture_overload_names=True
    )


def _anchors() -> list[tuple[int, int]]:
    """Marks in the profile, each with the readings of the clock before and after it, ns."""
    found = []
    for _ in range(_ANCHORS):
        before = time.perf_counter_ns()
        with record_function(_ANCHOR):
            pass
        found.append((before, time.perf_counter_ns()))
    return found


def _shifts(events: Sequence[Any], ends: Sequence[Sequence[tuple[int, int]]]) -> list[int]:
    """What is added to the profile's times at its begin and at its end, ns.

    Each by the mark between the closest two readings: whatever came between is least there.
    """
    marks = sorted(
        e.start_ns() + e.duration_ns() // 2
        for e in events
        if e.activity_type() == "user_annotation" and e.name() == _ANCHOR
    )
    placed = zip([pair for end in ends for pair in end], marks, strict=True)
    by_width = [(after - before, (before + after) // 2 - mark) for (before, after), mark in placed]
    return [min(by_width[:_ANCHORS])[1], min(by_width[_ANCHORS:])[1]]


def _tell(
    events: Sequence[Any], ends: Sequence[Sequence[tuple[int, int]]], recorder: Recorder
) -> list[Ran]:
    """Writes what ran in the window as phases, on the recorder's clock, and returns it."""
    shifts = _shifts(events, ends)
    recorder.counter("profiler.clock_drift", abs(shifts[1] - shifts[0]) / NS_PER_S, "s")
    shift, (opened, closed) = sum(shifts) // 2, recorder.window_ns
    rows = [
        (name, kind, start + shift, end + shift, device, stream)
        for name, kind, start, end, device, stream in _ran_on_device(events) or _ran_here(events)
        if start + shift < closed and end + shift > opened
    ]
    names = ("name", "kind", "start_ns", "end_ns", "device", "stream")
    if rows:
        recorder.many("phases", **dict(zip(names, zip(*rows, strict=True), strict=True)))
    recorder.counter("kernels", sum(row[1] == "kernel" for row in rows), "1")
    return rows


def _by_name(rows: Sequence[Ran]) -> dict[str, Plain]:
    """Calls and seconds of the kernels that took longest; all others in one entry."""
    spent: dict[str, int] = {}
    calls: dict[str, int] = {}
    for name, kind, start, end, _, _ in rows:
        if kind == "kernel":
            spent[name] = spent.get(name, 0) + end - start
            calls[name] = calls.get(name, 0) + 1
    order = sorted(spent, key=lambda name: (-spent[name], name))
    named, rest = order[:_NAMED], order[_NAMED:]
    told: dict[str, Plain] = {
        name: {"calls": calls[name], "seconds": spent[name] / NS_PER_S} for name in named
    }
    if rest:
        told["others"] = {
            "names": len(rest),
            "calls": sum(calls[name] for name in rest),
            "seconds": sum(spent[name] for name in rest) / NS_PER_S,
        }
    return told


def _ran_on_device(events: Sequence[Any]) -> list[Ran]:
    """Kernels and transfers between host and device, as the device stamped them."""
    return [
        (
            event.name(),
            "transfer" if event.name().startswith(_TRANSFERS) else "kernel",
            event.start_ns(),
            event.start_ns() + event.duration_ns(),
            f"{str(event.device_type()).rpartition('.')[2].lower()}:{event.device_index()}",
            f"stream {event.device_resource_id()}",
        )
        for event in events
        if event.activity_type() in _ON_DEVICE
    ]


def _ran_here(events: Sequence[Any]) -> list[Ran]:
    """Operators that stand for kernels of the CPU, as the host stamped them."""
    return [
        (op.name, "kernel", op.start_ns, op.end_ns, "cpu", f"thread {op.thread}")
        for op in kernels_of(_called(events))
    ]


def _called(events: Sequence[Any]) -> list[Called]:
    return [
        Called(
            e.name(),
            e.overload_name(),
            e.start_thread_id(),
            e.start_ns(),
            e.start_ns() + e.duration_ns(),
        )
        for e in events
        if not e.is_user_annotation() and (":" in e.name() or _INDUCTOR in e.name())
    ]


def kernels_of(called: Sequence[Called]) -> list[Called]:
    """The operators that stand for kernels, in order of their begin, thread by thread.

    An operator without code of its own for the CPU counts where nothing that it calls does.

    Args:
        called: All operators; those of a thread lie inside or beside one another.
    """
    found: list[Called] = []
    order = sorted(called, key=lambda op: (op.thread, op.start_ns, -op.end_ns))
    place = 0
    while place < len(order):
        inside = _inside(order, place)
        found += _within(order[place:inside])
        place = inside
    return found


def _within(tree: Sequence[Called]) -> list[Called]:
    """The kernels of an operator and of all that it called; the operator is the first."""
    own, code = tree[0], _code(tree[0].name, tree[0].overload)
    if code == "own":
        return [own]
    found: list[Called] = []
    place = 1
    while place < len(tree):
        inside = _inside(tree, place)
        found += _within(tree[place:inside])
        place = inside
    return found or ([own] if code == "shared" else [])


def _inside(order: Sequence[Called], place: int) -> int:
    """Where the operators end that the one at `place` called."""
    own = order[place]
    beyond = place + 1
    while (
        beyond < len(order)
        and order[beyond].thread == own.thread
        and order[beyond].start_ns < own.end_ns
    ):
        beyond += 1
    return beyond


@cache
def _code(name: str, overload: str) -> str:
    """Whether an operator has code "own" to the CPU, "shared" by all devices, or "none"."""
    if _INDUCTOR in name:
        return "own"
    if name.startswith(_NO_WORK) or _is_view(name, overload):
        return "none"
    full = f"{name}.{overload}" if overload else name
    has = torch._C._dispatch_has_kernel_for_dispatch_key  # noqa: SLF001  (the only way to ask)
    try:
        if has(full, "CPU"):
            return "own"
        return "shared" if has(full, "CompositeExplicitAutograd") else "none"
    except RuntimeError:  # no operator of the dispatcher, as the ranges that torch marks
        return "none"


def _is_view(name: str, overload: str) -> bool:
    space, _, own = name.partition("::")
    packet = getattr(getattr(torch.ops, space), own, None)
    operator = getattr(packet, overload or "default", None)
    if operator is None:
        return False
    returns = operator._schema.returns  # noqa: SLF001  (the only place of alias facts)
    return any(one.alias_info is not None and not one.alias_info.is_write for one in returns)
