"""Identities that hold for every trace."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.counters import COUNTERS
from accelbench.harness.schema.platform import Platform
from accelbench.harness.schema.trace import KvLayout, ServiceLevel, Trace

MakeTrace: TypeAlias = Callable[..., Trace]
Values: TypeAlias = Callable[..., dict[str, Any]]
Machine: TypeAlias = Callable[[float, float | None], Platform]

instants = st.integers(0, 12_000).map(lambda ms: ms / 1e3)
requests = st.lists(
    st.fixed_dictionaries(
        {
            "due": instants,
            "sent": st.one_of(st.none(), instants),
            "done": st.one_of(st.none(), instants),
            "input_tokens": st.integers(0, 99),
            "output_tokens": st.integers(0, 99),
            "status": st.sampled_from(["ok", "ok", "ok", "failed", "unsent"]),
        }
    ),
    max_size=12,
).map(lambda rows: [{"id": str(k), **row} for k, row in enumerate(rows)])
tokens = st.lists(
    st.fixed_dictionaries(
        {"id": st.integers(0, 13).map(str), "at": instants, "count": st.integers(0, 3)}
    ),
    max_size=40,
)
levels = st.builds(
    ServiceLevel,
    st.one_of(st.none(), st.floats(0.01, 9)),
    st.one_of(st.none(), st.floats(0.01, 9)),
    st.one_of(st.none(), st.floats(0.01, 9)),
)
curves = st.lists(
    st.tuples(st.integers(-5_000, 15_000), st.floats(0, 1000)),
    min_size=2,
    max_size=20,
    unique_by=lambda point: point[0],
)


def power(curve: list[tuple[int, float]], shift_ms: int = 0) -> list[dict[str, Any]]:
    """Power samples at these milliseconds."""
    return [
        {
            "probe": "meter", "channel": "0", "kind": "power", "at": (at - shift_ms) / 1e3,
            "value": watts, "unit": "W", "scope": "board",
        }
        for at, watts in curve
    ]  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 10**6), st.floats(1e-3, 1e6), st.integers(1, 9_000))
def test_tokens_per_watt_is_tokens_per_joule_is_the_inverse_of_energy_per_token(
    make_trace: MakeTrace, values: Values, l_in: int, l_out: int, watts: float, length_ms: int
) -> None:
    """Equations 10 and 12: (tokens/s)/W = TPJ = 1/EPT, over one and the same window."""
    length_s = length_ms / 1e3
    request = {
        "id": "a", "due": 0, "sent": 0, "done": length_s, "status": "ok", "input_tokens": l_in,
        "output_tokens": l_out,
    }  # fmt: skip
    samples = power([(0, watts), (length_ms, watts)])
    found = values(make_trace(length_s, requests=[request], samples=samples))
    per_watt = (l_in + l_out) / length_s / found["power.avg"]
    assert per_watt == pytest.approx(found["tokens_per_joule"], rel=1e-9)
    assert 1 / found["energy.per_token"] == pytest.approx(found["tokens_per_joule"], rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(
    peak=st.floats(1e9, 1e15),
    bandwidth=st.floats(1e9, 1e13),
    work=st.lists(
        st.tuples(
            st.floats(1e6, 1e12),
            st.floats(1e3, 1e12),
            st.floats(1, 3),
            st.integers(0, 10**6),
            st.sampled_from(["steady", "prefill", "decode"]),
        ),
        min_size=1,
        max_size=20,
    ),
)
def test_achieved_flops_stay_under_the_roofline(
    make_trace: MakeTrace,
    machine: Machine,
    values: Values,
    peak: float,
    bandwidth: float,
    work: list[tuple[float, float, float, int, str]],
) -> None:
    """Phases that keep to the roofline one by one, in turn, keep to it together."""
    phases, now = [], 0
    for flops, moved, slack, pause, kind in work:
        lasts = round(slack * max(flops / peak, moved / bandwidth) * 1e9) + 1
        phases.append(
            {
                "name": kind, "kind": kind, "start": now / 1e9, "end": (now + lasts) / 1e9,
                "flops": flops, "bytes": moved,
            }
        )  # fmt: skip
        now += lasts + pause
    trace = make_trace(now / 1e9, {"precision": "fp32"}, phases=phases)
    found = values(trace, machine(peak, bandwidth))
    assert found["flops.achieved"] <= found["roofline.bound"] * (1 + 1e-6)
    assert found["roofline.position"] <= 1 + 1e-6
    assert found["flops.utilization"] <= 1 + 1e-6


@settings(max_examples=40, deadline=None)
@given(requests=requests, tokens=tokens, level=levels)
def test_goodput_is_at_most_the_raw_throughput(
    make_trace: MakeTrace,
    values: Values,
    requests: list[dict[str, Any]],
    tokens: list[dict[str, Any]],
    level: ServiceLevel,
) -> None:
    """In tokens and in requests; attainment is a share."""
    found = values(make_trace(10, {"slo": level}, requests=requests, tokens=tokens))
    for good, raw in (
        ("goodput.tokens", "tp.system"),
        ("goodput.tokens_paper", "tp.system"),
        ("goodput.requests", "tp.requests"),
    ):
        if found.get(good) is not None:
            assert 0 <= found[good] <= found[raw]
    if found.get("slo.attainment") is not None:
        assert 0 <= found["slo.attainment"] <= 1
    if level != ServiceLevel():
        assert "goodput.requests" in found


@settings(max_examples=25, deadline=None)
@given(curve=curves, cut=st.integers(1, 9_999))
def test_energy_adds_over_a_window_cut_in_two(
    make_trace: MakeTrace, curve: list[tuple[int, float]], cut: int
) -> None:
    """Also where an end is held: what one part holds, the whole holds."""
    points = [*curve, (cut, 7.0)] if cut not in dict(curve) else curve
    whole, left, right = (
        measure(make_trace(length / 1e3, samples=power(points, shift)), None)["energy.total"]
        for length, shift in ((10_000, 0), (cut, 0), (10_000 - cut, cut))
    )
    assert left.value is not None
    assert right.value is not None
    assert left.value + right.value == pytest.approx(whole.value, rel=1e-9, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(requests=requests, tokens=tokens)
def test_percentiles_never_fall(
    make_trace: MakeTrace, requests: list[dict[str, Any]], tokens: list[dict[str, Any]]
) -> None:
    """p50 <= p95 <= p99 of every quantity that has them, the split of TTFT too."""
    found = measure(make_trace(10, requests=requests, tokens=tokens), None)
    stems = [name.removesuffix(".p50") for name in found if name.endswith(".p50")]
    for stem in stems:
        rising = [found[f"{stem}.{p}"].value for p in ("p50", "p95", "p99")]
        told = [value for value in rising if value is not None]
        assert told == sorted(told)


@settings(max_examples=25, deadline=None)
@given(
    spans=st.lists(
        st.tuples(st.sampled_from(["prefill", "decode"]), st.integers(0, 9_000),
                  st.integers(1, 4_000)),
        min_size=1,
        max_size=12,
    ),
    curve=curves,
)  # fmt: skip
def test_prefill_and_decode_share_the_energy_of_the_time_they_take(
    make_trace: MakeTrace,
    spans: list[tuple[str, int, int]],
    curve: list[tuple[int, float]],
) -> None:
    """Held against adding up milliseconds one by one."""
    phases = [
        {"name": kind, "kind": kind, "start": start / 1e3, "end": (start + lasts) / 1e3}
        for kind, start, lasts in spans
    ]
    level = 100.0
    flat = [(at, level) for at, _ in curve] + [(0, level), (1, level)]
    found = measure(make_trace(10, phases=phases, samples=power(sorted(set(flat)))), None)
    busy = {
        kind: {ms for name, start, lasts in spans if name == kind
               for ms in range(start, min(start + lasts, 10_000))}
        for kind in ("prefill", "decode")
    }  # fmt: skip
    both = len(busy["prefill"] & busy["decode"])
    for kind, cells in busy.items():
        if any(name == kind for name, *_ in spans):
            expected = (len(cells) - both / 2) * level / 1e3
            assert found[f"energy.{kind}"].value == pytest.approx(expected, rel=1e-9, abs=1e-9)


phases = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(["a", "fallback"]),
            "kind": st.sampled_from(
                [
                    "prefill", "decode", "kernel", "transfer", "input", "compile", "warmup",
                    "forward", "communication", "steady",
                ]
            ),
            "start": instants,
            "end": st.one_of(st.none(), instants),
            "device": st.sampled_from([None, "0", "1"]),
            "request": st.sampled_from([None, "0", "1"]),
            "flops": st.floats(0, 1e12),
            "bytes": st.floats(0, 1e12),
        }
    ),
    max_size=30,
)  # fmt: skip
readings = st.lists(
    st.tuples(
        st.sampled_from(sorted(COUNTERS)), instants, st.floats(0, 1e12), st.sampled_from("ab")
    ),
    max_size=40,
).map(
    lambda rows: [
        {"name": name, "at": at, "value": value, "unit": COUNTERS[name][0], "scope": scope}
        for name, at, value, scope in rows
    ]
)


tables = st.fixed_dictionaries(
    {
        "requests": requests,
        "phases": phases,
        "counters": readings,
        "samples": curves.map(power),
    }
)


@settings(max_examples=25, deadline=None)
@given(rows=tables, seed=st.integers(0, 99))
def test_rows_of_every_table_may_come_in_any_order(
    make_trace: MakeTrace, machine: Machine, rows: dict[str, list[dict[str, Any]]], seed: int
) -> None:
    """To the last bit, and no null or zero raises."""
    head = {"slo": ServiceLevel(e2e_s=2), "kv": KvLayout(3, 2, 8, 0.5, 16), "precision": "fp32"}
    trace = make_trace(10, head, **rows)
    shuffle = np.random.default_rng(seed)
    other = {
        name: table.take(pa.array(shuffle.permutation(table.num_rows)))
        for name, table in trace.tables.items()
    }
    sheet = machine(1e12, 1e12)
    assert measure(trace, sheet) == measure(Trace(trace.head, other), sheet)
