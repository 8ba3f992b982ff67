"""What a change of class costs a single stream."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import pytest

from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.measurement import Measurement
from accelbench.harness.schema.trace import Trace

MakeTrace: TypeAlias = Callable[..., Trace]

NAME = "class.switch.ttft"


def stream(
    classes: Sequence[str], cost: float, noise: float = 0.0, gap: float = 0.0, **changed: Any
) -> dict[str, list[dict[str, Any]]]:
    """Requests one after another: class b takes ten times as long, a change of class `cost` more."""
    draw, at, requests, tokens = np.random.default_rng(5), 0.0, [], []
    for k, name in enumerate(classes):
        switched = k > 0 and classes[k - 1] != name
        ttft = (1.0 if name == "b" else 0.1) + cost * switched + noise * draw.random()
        row = {"id": str(k), "due": at, "sent": at, "done": at + ttft + 0.1, "status": "ok"}
        requests.append({**row, "class": name, **changed.get(str(k), {})})
        tokens.append({"id": str(k), "at": at + ttft, "count": 1, "kind": "content"})
        at += ttft + 0.1 + gap
    return {"requests": requests, "tokens": tokens}


def switch(make_trace: MakeTrace, tables: dict[str, Any]) -> Measurement:
    """The cost that is told."""
    return measure(make_trace(1000.0, **tables), None)[NAME]


def drawn(count: int, share: float = 0.5) -> list[str]:
    """Classes in a drawn order."""
    return ["b" if one < share else "a" for one in np.random.default_rng(7).random(count)]


@pytest.mark.parametrize("share", [0.5, 0.3])
def test_the_cost_is_found_whatever_the_classes_take(make_trace: MakeTrace, share: float) -> None:
    """Classes are compared within themselves: that the slow one follows changes is no cost."""
    for cost in (0.0, 0.25):
        found = switch(make_trace, stream(drawn(300, share), cost))
        assert found.value == pytest.approx(cost, abs=1e-6)
        assert found.n == 299


def test_the_interval_holds_the_cost(make_trace: MakeTrace) -> None:
    """It is narrower than the difference between the classes by far."""
    found = switch(make_trace, stream(drawn(300), 0.25, noise=0.2))
    assert found.interval is not None
    assert found.interval.low < 0.25 < found.interval.high
    assert found.interval.high - found.interval.low < 0.1
    assert found.interval.over == "requests"


def test_too_few_changes_of_a_class_tell_nothing(make_trace: MakeTrace) -> None:
    """The reason counts both kinds; by turns there is no request after one of its class."""
    found = switch(make_trace, stream(["a", "b"] * 40, 0.25))
    assert found.value is None
    assert found.reason == (
        "39 requests of class a came after another class and 0 after the same, 20 of each are"
        " needed"
    )


def test_requests_that_overlap_have_no_predecessor(make_trace: MakeTrace) -> None:
    """Then a change of class is not one request's."""
    found = switch(make_trace, stream(drawn(300), 0.25, gap=-0.05))
    assert found.value is None
    assert "overlapped" in (found.reason or "")


def test_a_request_after_a_failure_is_left_out(make_trace: MakeTrace) -> None:
    """Nobody knows what the server had loaded then; one that failed has no figure itself."""
    classes = drawn(300)
    failed = {"9": {"status": "failed"}, "20": {"class": None}}
    assert switch(make_trace, stream(classes, 0.25, **failed)).n == 299 - 4


def test_one_class_has_no_change(make_trace: MakeTrace) -> None:
    """Then nothing is said at all."""
    found = measure(make_trace(1000.0, **stream(["a"] * 50, 0.0)), None)
    assert NAME not in found
    assert "class.a.share" in found
