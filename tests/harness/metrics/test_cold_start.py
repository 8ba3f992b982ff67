"""Cold start: compilation and warm-up, counted in and apart."""

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.trace import Trace

MakeTrace: TypeAlias = Callable[..., Trace]
Values: TypeAlias = Callable[..., dict[str, Any]]


def phase(kind: str, start: float, end: float) -> dict[str, Any]:
    """A row of `phases`."""
    return {"name": kind, "kind": kind, "start": start, "end": end}


def request(k: int, **more: Any) -> dict[str, Any]:
    """A request done at second k."""
    return {"id": str(k), "due": 0, "sent": 0, "done": k, "status": "ok", **more}


def test_cold_time_is_all_of_it_once(make_trace: MakeTrace, values: Values) -> None:
    """Compilation inside warm-up, and warm-up inside the window, are not counted twice."""
    phases = [
        phase("compile", -20, -10),
        phase("warmup", -15, -5),
        phase("compile", 2, 3),
    ]
    requests = [request(k, samples=4) for k in (1, 5, 11)]
    found = values(make_trace(10, requests=requests, phases=phases))
    assert found["compile.time"] == pytest.approx(10 + 1)
    assert found["compile.share"] == pytest.approx((15 + 1) / 25)
    assert found["tp.requests.inclusive"] == pytest.approx(2 / 25)
    assert found["tp.samples.inclusive"] == pytest.approx(8 / 25)
    assert found["tp.requests"] == pytest.approx(2 / 10)


def test_a_trial_that_tells_no_cold_start_has_no_inclusive_rate(make_trace: MakeTrace) -> None:
    """Nothing stands in for what was not recorded; warm-up alone compiles nothing."""
    found = measure(make_trace(10, requests=[request(1, samples=1)]), None)
    assert not [name for name in found if name.startswith("compile") or "inclusive" in name]
    found = measure(make_trace(10, requests=[request(1)], phases=[phase("warmup", -1, 0)]), None)
    assert "compile.time" not in found
    assert found["compile.share"].value == pytest.approx(1 / 11)
    assert "tp.samples.inclusive" not in found


def test_samples_that_are_not_told_make_no_sum(make_trace: MakeTrace) -> None:
    """One silent request leaves the inclusive rate absent too."""
    requests = [request(1, samples=1), request(2)]
    found = measure(make_trace(10, requests=requests, phases=[phase("warmup", -1, 0)]), None)
    assert found["tp.samples.inclusive"].reason == found["tp.samples"].reason


def test_no_time_at_all_has_no_share(make_trace: MakeTrace) -> None:
    """A phase without length before a window without length."""
    found = measure(make_trace(0, phases=[phase("compile", -1, -1)]), None)
    assert found["compile.time"].value == 0
    for name in ("compile.share", "tp.requests.inclusive"):
        assert found[name].reason == "neither the window nor what came before it took any time"
