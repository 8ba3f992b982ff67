"""The numbered oracles of the survey's equations, through the metrics themselves."""

import ast
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from accelbench.harness.metrics.derived import batching_efficiency
from accelbench.harness.schema.measurement import Measurement
from accelbench.harness.schema.platform import Platform
from accelbench.harness.schema.record import Record, Status
from accelbench.harness.schema.trace import Trace
from accelbench.harness.statistics.intervals import nearest_rank

MakeTrace: TypeAlias = Callable[..., Trace]
Values: TypeAlias = Callable[..., dict[str, Any]]
Machine: TypeAlias = Callable[[float, float | None], Platform]

LINES = (Path(__file__).parents[2] / "data" / "oracles.jsonl").read_text().splitlines()
ORACLES: dict[str, dict[str, Any]] = {item["id"]: item for item in map(json.loads, LINES)}

COVERED = {
    "001", "002", "003", "004", "005", "006", "007", "008", "009", "011", "012", "015", "016",
    "017", "018", "019", "021", "022", "023", "025",
}  # fmt: skip
"""Oracles held here."""


def oracle(number: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs and expected values of one oracle."""
    assert number in COVERED
    item = ORACLES[f"ORC-{number}"]
    return item["inputs"], item["expected"]


def generation(
    make_trace: MakeTrace,
    *,
    queue: float,
    prefill: float,
    decode: float,
    arrivals: list[float],
    l_in: int | None = None,
    cached: int | None = None,
    **more: Any,
) -> Trace:
    """A trace of one request, due and sent at 0, with these token arrivals."""
    ready = queue + prefill
    request = {
        "id": "a", "due": 0, "sent": 0, "queue_exit": queue, "prefill_end": ready,
        "done": ready + decode, "input_tokens": l_in, "cached_input_tokens": cached,
        "output_tokens": len(arrivals), "status": "ok",
    }  # fmt: skip
    tokens = [{"id": "a", "at": at, "count": 1} for at in arrivals]
    return make_trace(requests=[request], tokens=tokens, **more)


def test_every_oracle_of_the_survey_is_held() -> None:
    """All 56, here or in the files beside this one, and no other."""
    held: set[str] = set()
    for name in ("test_oracles.py", "test_oracles_trace.py", "test_oracles_derived.py"):
        module = ast.parse((Path(__file__).parent / name).read_text())
        (covered,) = (
            ast.literal_eval(node.value)
            for node in module.body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "COVERED"
        )
        held |= covered
    assert {f"ORC-{number}" for number in held} == set(ORACLES)
    assert len(ORACLES) == 56


def test_total_time_leaves_the_queue_out_and_ttft_has_it(
    make_trace: MakeTrace, values: Values
) -> None:
    """ORC-001: eq. 1 is prefill plus decode; eq. 3 and the end-to-end time count the queue."""
    given, expected = oracle("001")
    ready = given["t_queue"] + given["t_prefill"]
    arrivals = [ready + (k + 1) * given["step"] for k in range(given["l_out"])]
    trace = generation(
        make_trace,
        queue=given["t_queue"],
        prefill=given["t_prefill"],
        decode=expected["t_decode"],
        arrivals=arrivals,
    )
    found = values(trace)
    assert found["ttft.response.mean"] == pytest.approx(expected["ttft"])
    assert found["decode.time.mean"] == pytest.approx(expected["t_decode"])
    assert found["total.paper.mean"] == pytest.approx(expected["t_total_eq1"])
    assert found["e2e.response.mean"] == pytest.approx(expected["t_e2e_with_queue"])


@pytest.mark.parametrize("number", ["002", "003", "004", "005"])
def test_paper_itl_divides_by_tokens_and_tpot_by_gaps(
    number: str, make_trace: MakeTrace, values: Values
) -> None:
    """ORC-002..005: eq. 4 as printed, beside the mean over the gaps that exist."""
    given, expected = oracle(number)
    arrivals = [k * given["step"] for k in range(given["l_out"])]
    trace = generation(make_trace, queue=0, prefill=0, decode=given["t_decode"], arrivals=arrivals)
    found = values(trace)
    assert found["itl.mean_paper"] == pytest.approx(expected["itl_paper"])
    for name, key in (("tpot.mean", "tpot_gaps"), ("itl.gap.mean", "tpot_gaps")):
        assert found[name] == (expected[key] and pytest.approx(expected[key]))
    paper_rate = expected["tp_decode_paper"]
    assert found["tp.decode"] == (paper_rate and pytest.approx(paper_rate))


@pytest.mark.parametrize(("number", "count"), [("006", 100), ("007", 10)])
def test_percentiles_are_linear_and_nearest_rank_is_known(
    number: str, count: int, make_trace: MakeTrace, values: Values
) -> None:
    """ORC-006, 007: what is stored is numpy linear; nearest rank gives its own numbers."""
    _, expected = oracle(number)
    requests = [
        {"id": str(k), "due": 0, "sent": 0, "done": k, "status": "ok"} for k in range(1, count + 1)
    ]
    found = values(make_trace(requests=requests))
    linear = [found[f"e2e.response.p{p}"] for p in (50, 95, 99)]
    assert linear == pytest.approx(expected["linear"])
    ranks = [nearest_rank(range(1, count + 1), p) for p in (50, 95, 99)]
    assert ranks == expected["nearest_rank"]


def test_phase_throughput(make_trace: MakeTrace, values: Values) -> None:
    """ORC-008: eq. 5 for one request."""
    given, expected = oracle("008")
    trace = generation(
        make_trace,
        queue=0,
        prefill=given["t_prefill"],
        decode=given["t_decode"],
        arrivals=[1.0] * given["l_out"],
        l_in=given["l_in"],
    )
    found = values(trace)
    assert found["tp.prefill"] == pytest.approx(expected["tp_prefill"])
    assert found["tp.decode"] == pytest.approx(expected["tp_decode"])


def test_cached_prompt_tokens_were_not_computed(make_trace: MakeTrace, values: Values) -> None:
    """ORC-009: eq. 5 as printed counts cached tokens; the computed form does not."""
    given, expected = oracle("009")
    trace = generation(
        make_trace,
        queue=0,
        prefill=given["t_prefill"],
        decode=1,
        arrivals=[1.0],
        l_in=given["l_in"],
        cached=given["cached_prefix"],
    )
    found = values(trace)
    assert found["tp.prefill"] == pytest.approx(expected["tp_prefill_paper"])
    assert found["tp.prefill.computed"] == pytest.approx(expected["tp_prefill_computed"])


def test_rates_of_an_idle_window_are_zero(make_trace: MakeTrace, values: Values) -> None:
    """ORC-011: no request finished, so the rates are 0."""
    given, expected = oracle("011")
    found = values(make_trace(given["t_window"]))
    assert found["tp.system"] == expected["tp_sys"]
    assert found["tp.requests"] == 0


def record(cell: str, repeat: int, rate: float, status: Status = "valid") -> Record:
    """A record that has nothing but a sample rate."""
    return Record(
        schema="accelbench.record/1", cell=cell, cell_hash="0", repeat=repeat, round=repeat,
        session="s", workload="w", scenario="offline", adapter="a", platform="p",
        evidence="measured", clock="wall", status=status, reasons=(),
        measurements={"tp.samples": Measurement(rate, "sample/s", 1)}, engine={},
        started_utc="", finished_utc="",
    )  # fmt: skip


def test_batching_efficiency() -> None:
    """ORC-012: eq. 7 over the mean rates of valid trials; invalid ones do not count."""
    given, expected = oracle("012")
    records = {
        int(size): [
            record(f"b{size}", 0, rate - 1),
            record(f"b{size}", 1, rate + 1),
            record(f"b{size}", 2, 9e9, "invalid"),
        ]
        for size, rate in given["tp"].items()
    }
    derived = batching_efficiency(records)
    found = {name: item.value for name, item in derived.measurements.items()}
    assert found == {
        f"batch.efficiency.{size}": pytest.approx(eta) for size, eta in expected["eta"].items()
    }
    assert derived.inputs == ("b1/0", "b1/1", "b8/0", "b8/1", "b32/0", "b32/1")


@pytest.mark.parametrize("number", ["015", "016"])
def test_energy_is_the_trapezoid_and_mean_power_is_weighted_by_time(
    number: str, make_trace: MakeTrace, values: Values
) -> None:
    """ORC-015, 016: not the mean of samples, which is wrong for uneven ones."""
    given, expected = oracle(number)
    found = values(
        make_trace(given["t"][-1], samples=power(zip(given["t"], given["p"], strict=True)))
    )
    assert found["energy.total"] == pytest.approx(expected["energy_trapezoid"])
    assert found["power.avg"] == pytest.approx(expected["p_avg_time_weighted"])


def power(points: Iterable[tuple[float, float]], channel: str = "0") -> list[dict[str, Any]]:
    """Power samples of one channel."""
    return [
        {
            "probe": "meter", "channel": channel, "kind": "power", "at": at, "value": watts,
            "unit": "W", "scope": "board",
        }
        for at, watts in points
    ]  # fmt: skip


def test_energies_of_devices_add_over_one_window(make_trace: MakeTrace, values: Values) -> None:
    """ORC-017: two devices at once."""
    given, expected = oracle("017")
    t = given["t"]
    samples = [
        row
        for channel, device in enumerate(given["devices"])
        for row in power([(0, device["e"] / t), (t, device["e"] / t)], str(channel))
    ]
    found = values(make_trace(t, samples=samples))
    assert found["energy.total"] == pytest.approx(expected["energy"])
    assert found["power.avg"] == pytest.approx(expected["p_avg"])


def served(make_trace: MakeTrace, given: dict[str, Any]) -> Trace:
    """A trace of one request of so many tokens at constant power."""
    watts = given["e"] / given["t"]
    request = {
        "id": "a", "due": 0, "sent": 0, "done": 1, "status": "ok",
        "input_tokens": given["l_in"], "output_tokens": given["l_out"],
    }  # fmt: skip
    samples = power([(0, watts), (given["t"], watts)])
    return make_trace(given["t"], requests=[request], samples=samples)


def test_energy_per_token_and_its_inverse(make_trace: MakeTrace, values: Values) -> None:
    """ORC-018: eq. 10 and 12 are one number and its inverse."""
    given, expected = oracle("018")
    found = values(served(make_trace, given))
    assert found["energy.per_token"] == pytest.approx(expected["ept"])
    assert found["tokens_per_joule"] == pytest.approx(expected["tpj"])
    assert found["energy.per_output_token"] == pytest.approx(expected["j_per_output_token"])
    rate = (given["l_in"] + given["l_out"]) / given["t"] / found["power.avg"]
    assert rate == pytest.approx(expected["tok_per_s_per_w"])


def test_no_tokens_have_no_energy_each(make_trace: MakeTrace, values: Values) -> None:
    """ORC-019: with no tokens, energy per token is absent and tokens per joule are 0."""
    given, expected = oracle("019")
    found = values(served(make_trace, given))
    assert found["energy.per_token"] is expected["ept"] is None
    assert found["tokens_per_joule"] == expected["tpj"]


def steady(
    make_trace: MakeTrace, seconds: float, flops: float | None, moved: float | None = None
) -> Trace:
    """A trace that is one working phase."""
    phase = {"name": "f", "kind": "steady", "start": 0, "end": seconds}
    return make_trace(
        seconds, {"precision": "fp32"}, phases=[{**phase, "flops": flops, "bytes": moved}]
    )


def test_utilization(make_trace: MakeTrace, machine: Machine, values: Values) -> None:
    """ORC-021: eq. 13."""
    given, expected = oracle("021")
    found = values(steady(make_trace, given["t"], given["f"]), machine(given["peak"], None))
    assert found["flops.achieved"] == pytest.approx(expected["achieved"])
    assert found["flops.utilization"] == pytest.approx(expected["utilization"])


def test_utilization_of_a_long_campaign(
    make_trace: MakeTrace, machine: Machine, values: Values
) -> None:
    """ORC-022: 90 days hold in the nanoseconds of a window."""
    given, expected = oracle("022")
    flops = given["total_flop"] / given["gpus"]
    trace = steady(make_trace, given["days"] * 86_400, flops)
    found = values(trace, machine(given["peak_per_gpu_external"], None))
    assert found["flops.achieved"] == pytest.approx(expected["flops_per_gpu"])
    assert found["flops.utilization"] == pytest.approx(expected["utilization"])


def test_roofline(make_trace: MakeTrace, machine: Machine, values: Values) -> None:
    """ORC-023: eq. 14 on both sides of the ridge, and at it."""
    given, expected = oracle("023")
    sheet = machine(given["peak"], given["bw"])
    for intensity, bound in expected["bound_at"].items():
        found = values(steady(make_trace, 1, float(intensity) * 1e9, 1e9), sheet)
        assert found["intensity"] == pytest.approx(float(intensity))
        assert found["roofline.bound"] == pytest.approx(bound)
    ridge = expected["ridge"]
    found = values(steady(make_trace, 1, ridge * 1e9, 1e9), sheet)
    assert found["roofline.bound"] == pytest.approx(given["peak"])


def test_roofline_of_batch_one_decode_on_published_machines(
    make_trace: MakeTrace, machine: Machine, values: Values
) -> None:
    """ORC-025: what eq. 14 allows of the peak at two FLOPs a weight, on the sheets of ORC-024."""
    _, expected = oracle("025")
    sheets = ORACLES["ORC-024"]["inputs"]
    weight_bytes = {"fp4": 0.5, "fp8": 1, "int8": 1, "fp16": 2, "bf16": 2}
    for name, share in expected.items():
        given, moved = sheets[name], weight_bytes[name.rsplit("_", 1)[1]]
        sheet = machine(given["peak"], given["bw"])
        found = values(steady(make_trace, 1, 2e9, moved * 1e9), sheet)
        assert found["roofline.bound"] / given["peak"] == pytest.approx(share, rel=1e-6)
