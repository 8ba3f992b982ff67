"""Keys and values: what a layout reserves, and what requests in flight need at once."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.metrics.kv_layout import (
    bytes_per_token,
    bytes_per_token_paper,
    held_tokens,
    kv_bytes,
    kv_bytes_per_device,
    reserved_tokens,
)
from accelbench.harness.schema.trace import KvLayout, Trace

MakeTrace: TypeAlias = Callable[..., Trace]
Values: TypeAlias = Callable[..., dict[str, Any]]

UNIT = KvLayout(layers=1, kv_heads=1, head_dim=1, element_bytes=0.5)
"""One byte a token."""


def request(
    name: str, sent: float | None, done: float | None, tokens: int | None = 8, **more: Any
) -> dict[str, Any]:
    """A request whose context grows to so many tokens, half of them prompt."""
    half = None if tokens is None else tokens // 2
    return {
        "id": name, "due": 0, "sent": sent, "done": done, "status": "ok",
        "input_tokens": half, "output_tokens": half, **more,
    }  # fmt: skip


def gauge(name: str, at: float, value: float, scope: str | None = "0") -> dict[str, Any]:
    """A reading of a gauge."""
    return {"name": name, "at": at, "value": value, "unit": "byte", "scope": scope}


def test_a_window_keeps_no_more_than_its_span() -> None:
    """Sliding attention forgets; whole blocks are kept around what it remembers."""
    layout = KvLayout(1, 1, 1, 0.5, block_tokens=16, window=100)
    assert held_tokens(layout, [50, 100, 5000]).tolist() == [50, 100, 100]
    assert reserved_tokens(layout, [0, 1, 50, 5000]).tolist() == [0, 16, 64, 112]


def test_scales_are_stored_for_each_head() -> None:
    """Eight bits with two half-precision scales a head; eq. 15 as printed has none."""
    layout = KvLayout(2, 4, 64, 1, devices=8, scale_bytes=4)
    assert bytes_per_token(layout) == 2 * 8 * (128 + 4)
    assert bytes_per_token_paper(layout) == 2 * 4 * 128


def test_heads_that_do_not_divide_fill_one_device_more() -> None:
    """Eight heads on three devices: three on the fullest, none twice."""
    layout = KvLayout(1, 8, 1, 0.5, devices=3)
    assert float(kv_bytes(layout, 1)) == 8
    assert float(kv_bytes_per_device(layout, 1)) == pytest.approx(3)


def test_memory_runs_out_at_as_many_sequences_as_fit(make_trace: MakeTrace) -> None:
    """Room for 480 tokens and final lengths of 48 and 32 in blocks: twelve of them at once."""
    layout = KvLayout(1, 1, 1, 0.5, block_tokens=16)
    rows = [
        request("a", 0, 1, 40),
        request("b", 0, 1, 20),
        request("c", 0, 1, 99, status="failed"),
    ]
    room = [
        {"name": "kv.capacity", "at": 0, "value": 240, "unit": "token", "scope": scope}
        for scope in ("engine 0", "engine 1")
    ]
    found = measure(make_trace(10, {"kv": layout}, requests=rows, counters=room), None)
    assert found["kv.capacity.sequences"].value == pytest.approx(480 / 40)
    assert found["kv.capacity.sequences"].n == 2
    bare = measure(make_trace(10, requests=rows, counters=room), None)
    assert bare["kv.capacity.sequences"].value == pytest.approx(480 / 30)
    failed = make_trace(10, {"kv": layout}, requests=rows[2:], counters=room)
    assert "none of the 1 requests" in str(measure(failed, None)["kv.capacity.sequences"].reason)


def test_without_a_budget_nothing_runs_out(make_trace: MakeTrace) -> None:
    """An engine whose cache grows with the batch has no such number, and says why."""
    rows = [request("a", 0, 1, 40)]
    found = measure(make_trace(10, {"kv": UNIT}, requests=rows), None)["kv.capacity.sequences"]
    assert found.value is None
    assert "without a budget the cache grows with the batch" in str(found.reason)
    assert "kv.capacity.sequences" not in measure(make_trace(10, requests=rows), None)


def test_the_longest_context_of_completed_requests(make_trace: MakeTrace, values: Values) -> None:
    """Failed requests and those due later do not count; blocks do."""
    layout = KvLayout(1, 1, 1, 0.5, block_tokens=16)
    rows = [
        request("a", 0, 1, 40),
        request("b", 0, 1, 20),
        request("c", 0, 1, 99, status="failed"),
        {**request("d", 11, 12, 98), "due": 11},
    ]
    found = values(make_trace(10, {"kv": layout}, requests=rows))
    assert found["kv.bytes_per_sequence"] == 48
    assert found["kv.bytes_per_sequence_paper"] == 40
    assert found["kv.waste.rounding"] == pytest.approx(1 - 60 / 80)


def test_who_leaves_makes_room_for_who_comes(make_trace: MakeTrace, values: Values) -> None:
    """A request sent at the instant when another is done was never beside it."""
    rows = [request("a", 0, 2), request("b", 2, 4), request("c", 3, 3)]
    found = values(make_trace(10, {"kv": UNIT}, requests=rows))
    assert found["kv.sequences"] == 1
    assert found["kv.bytes_total"] == 8


def test_the_peak_lies_in_the_window(make_trace: MakeTrace, values: Values) -> None:
    """What was together only before or after it does not count; straddlers do."""
    rows = [
        *(request(f"early{k}", -3, -1) for k in range(5)),
        *(request(f"late{k}", 11, 12) for k in range(5)),
        request("in", -1, 1),
        request("out", 9, 12),
        request("across", -1, 12),
    ]
    found = values(make_trace(10, {"kv": UNIT}, requests=rows))
    assert found["kv.sequences"] == 2
    assert found["kv.bytes_total"] == 16


def test_a_request_holds_memory_from_when_it_leaves_the_queue(
    make_trace: MakeTrace, values: Values
) -> None:
    """Waiting in the queue holds nothing."""
    rows = [request("a", 0, 5, queue_exit=0), request("b", 0, 9, queue_exit=5)]
    assert values(make_trace(10, {"kv": UNIT}, requests=rows))["kv.sequences"] == 1


def test_shared_prefixes_count_with_who_computed_them(
    make_trace: MakeTrace, values: Values
) -> None:
    """The second request found its whole prompt in the cache."""
    rows = [
        request("a", 0, 5, 8, cached_input_tokens=0),
        request("b", 0, 5, 8, cached_input_tokens=4),
    ]
    assert values(make_trace(10, {"kv": UNIT}, requests=rows))["kv.bytes_total"] == 8 + 4


def test_failed_requests_held_memory_too(make_trace: MakeTrace, values: Values) -> None:
    """With what they are known to have held: their prompt, and what arrived."""
    rows = [
        request("a", 0, 5),
        request("b", 0, 5, status="failed", output_tokens=None),
        {"id": "c", "due": 0, "status": "unsent"},
    ]
    assert values(make_trace(10, {"kv": UNIT}, requests=rows))["kv.bytes_total"] == 8 + 4


def test_reasons_of_contexts_that_are_not_told(make_trace: MakeTrace) -> None:
    """No length, nobody in flight, nothing completed: each its own reason; no layout, nothing."""
    silent = measure(make_trace(10, {"kv": UNIT}, requests=[request("a", 0, 1, None)]), None)
    for name in ("kv.bytes_per_sequence", "kv.bytes_per_sequence_paper", "kv.waste.rounding"):
        assert silent[name].reason == "no completed request has both an input and an output length"
    assert silent["kv.bytes_total"].reason == (
        "1 of 1 requests in flight do not tell their lengths"
    )
    idle = measure(make_trace(10, {"kv": UNIT}, requests=[request("a", None, None)]), None)
    assert idle["kv.sequences"].reason == "no request was in flight in the window"
    found = measure(make_trace(10, requests=[request("a", 0, 1)]), None)
    assert not [name for name in found if name.startswith("kv.")]


def test_waste_is_weighted_by_time(make_trace: MakeTrace, values: Values) -> None:
    """A reading holds until the next; the last one before the window holds into it."""
    rows = [
        gauge("kv.allocated", -5, 100),
        gauge("kv.used", -9, 1),
        gauge("kv.used", -5, 20),
        gauge("kv.used", 8, 80),
        gauge("kv.used", 11, 0),
    ]
    found = values(make_trace(10, counters=rows))
    assert found["kv.waste"] == pytest.approx(1 - (0.8 * 20 + 0.2 * 80) / 100)


def test_waste_adds_devices(make_trace: MakeTrace, values: Values) -> None:
    """Scopes are series of their own, one without a name too; a late reading alone stands."""
    rows = [
        gauge("kv.allocated", 0, 100, "0"),
        gauge("kv.allocated", 0, 100, None),
        gauge("kv.used", 0, 50, "0"),
        gauge("kv.used", 12, 30, None),
    ]
    assert values(make_trace(10, counters=rows))["kv.waste"] == pytest.approx(1 - 80 / 200)


def test_waste_needs_both_gauges(make_trace: MakeTrace) -> None:
    """In bytes, and of some memory."""
    for rows, reason in (
        ([gauge("kv.used", 0, 1)], "the counter kv.allocated was not read"),
        ([gauge("kv.allocated", 0, 1)], "the counter kv.used was not read"),
        (
            [gauge("kv.allocated", 0, 0), gauge("kv.used", 0, 0)],
            "no memory was reserved for keys and values",
        ),
        (
            [{**gauge("kv.allocated", 0, 1), "unit": "KiB"}, gauge("kv.used", 0, 1)],
            "the counter kv.allocated is not in byte",
        ),
    ):
        assert measure(make_trace(10, counters=rows), None)["kv.waste"].reason == reason


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-40, 140), st.integers(0, 60), st.integers(0, 9)),
        min_size=1,
        max_size=12,
    )
)
def test_the_peak_is_the_largest_sum_at_any_instant(
    make_trace: MakeTrace, spans: list[tuple[int, int, int]]
) -> None:
    """Held against counting tenths of a second one by one."""
    rows = [
        request(str(k), start / 10, (start + lasts) / 10, 2 * half)
        for k, (start, lasts, half) in enumerate(spans)
    ]
    found = measure(make_trace(10, {"kv": UNIT}, requests=rows), None)["kv.bytes_total"]
    held = np.zeros(101)
    for start, lasts, half in spans:
        held[max(start, 0) : max(start + lasts, 0)] += 2 * half
    if found.value is not None:
        assert found.value == held.max()
    else:
        assert not held.any()
