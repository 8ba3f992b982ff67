"""Decoding: prefix cache, speculation, and bytes for each token."""

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.trace import Trace

MakeTrace: TypeAlias = Callable[..., Trace]
Values: TypeAlias = Callable[..., dict[str, Any]]


def request(name: str, done: float, **more: Any) -> dict[str, Any]:
    """A request that is ok."""
    return {"id": name, "due": 0, "sent": 0, "done": done, "status": "ok", **more}


def decode(start: float, end: float, moved: float | None) -> dict[str, Any]:
    """A decode phase."""
    return {"name": "decode", "kind": "decode", "start": start, "end": end, "bytes": moved}


def test_hits_over_all_prompt_tokens(make_trace: MakeTrace, values: Values) -> None:
    """Of requests done in the window, added before they are divided."""
    rows = [
        request("a", 1, input_tokens=90, cached_input_tokens=80),
        request("b", 2, input_tokens=10, cached_input_tokens=0),
        request("c", 12, input_tokens=50, cached_input_tokens=50),
    ]
    assert values(make_trace(10, requests=rows))["cache.hit_rate"] == pytest.approx(0.8)


def test_hits_that_are_not_told_or_have_no_prompt(make_trace: MakeTrace) -> None:
    """A silent request, or no prompt token at all, leaves it absent; no cache leaves it out."""
    rows = [request("a", 1, input_tokens=9, cached_input_tokens=0), request("b", 1, input_tokens=9)]
    assert measure(make_trace(10, requests=rows), None)["cache.hit_rate"].reason == (
        "1 of 2 completed requests do not tell their cached tokens"
    )
    empty = [request("a", 1, input_tokens=0, cached_input_tokens=0)]
    assert measure(make_trace(10, requests=empty), None)["cache.hit_rate"].reason == (
        "no prompt token was completed in the window"
    )
    assert "cache.hit_rate" not in measure(make_trace(10, requests=rows[1:]), None)


def test_nothing_drafted_is_nothing_accepted(make_trace: MakeTrace) -> None:
    """A rate of no drafts is absent."""
    told = [
        {"name": f"speculation.{name}", "at": 0, "value": 0, "unit": "token", "scope": "0"}
        for name in ("drafted", "accepted")
    ]
    found = measure(make_trace(counters=told), None)["speculation.acceptance"]
    assert found.reason == "no token was drafted"


def test_decode_bytes_over_the_tokens_that_decode_made(
    make_trace: MakeTrace, values: Values
) -> None:
    """The first token of a request comes from prefill; a phase counts by its share inside."""
    rows = [request("a", 4), request("b", 11)]
    tokens = [
        *({"id": "a", "at": at, "count": 1} for at in (1, 2, 3, 4)),
        {"id": "b", "at": 8, "count": 1},
        {"id": "b", "at": 9, "count": 2},
        {"id": "b", "at": 11, "count": 2},
    ]
    phases = [
        decode(1, 4, 600),
        decode(8, 12, 800),
        {"name": "prefill", "kind": "prefill", "start": 0, "end": 1, "bytes": 1e9},
    ]
    found = values(make_trace(10, requests=rows, tokens=tokens, phases=phases))
    assert found["bytes.per_token"] == pytest.approx((600 + 400) / (3 + 2))


def test_bytes_of_no_token_are_absent(make_trace: MakeTrace) -> None:
    """One token alone was made by prefill; a silent phase makes no sum; no arrivals, no rate."""
    one = make_trace(
        10,
        requests=[request("a", 1)],
        tokens=[{"id": "a", "at": 1, "count": 1}],
        phases=[decode(1, 2, 5)],
    )
    assert measure(one, None)["bytes.per_token"].reason == (
        "no token after the first of its request arrived in the window"
    )
    silent = make_trace(
        10,
        requests=[request("a", 1)],
        tokens=[{"id": "a", "at": 1, "count": 2}],
        phases=[decode(1, 2, 5), decode(2, 3, None)],
    )
    assert measure(silent, None)["bytes.per_token"].reason == (
        "1 of 2 decode phases do not tell their bytes"
    )
    counted = make_trace(10, requests=[request("a", 1, output_tokens=3)], phases=[decode(1, 2, 5)])
    assert measure(counted, None)["bytes.per_token"].reason == (
        "the trace tells how many tokens came, but not when"
    )
