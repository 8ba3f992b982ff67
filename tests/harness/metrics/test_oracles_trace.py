"""The numbered oracles of what rests on phases, counters and layouts, through the metrics."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from accelbench.harness.metrics.arrays import crossbar_occupancy, speedup_bound
from accelbench.harness.metrics.kv_layout import (
    bytes_per_token,
    decode_attention_intensity,
    decode_floor_s,
    kv_bytes,
    kv_bytes_per_device,
    reserved_tokens,
    sequences_that_fit,
)
from accelbench.harness.metrics.memory import adam_bytes, devices_to_hold
from accelbench.harness.metrics.parallel import pipeline_bubble
from accelbench.harness.schema.trace import KvLayout, ServiceLevel, Trace

MakeTrace: TypeAlias = Callable[..., Trace]
Values: TypeAlias = Callable[..., dict[str, Any]]

LINES = (Path(__file__).parents[2] / "data" / "oracles.jsonl").read_text().splitlines()
ORACLES: dict[str, dict[str, Any]] = {item["id"]: item for item in map(json.loads, LINES)}

COVERED = {
    "010", "011", "013", "014", "018", "019", "020", "027", "028", "029", "030", "031", "032",
    "033", "034", "035", "036", "037", "043", "044", "045", "047", "048", "049", "050", "055",
    "056",
}  # fmt: skip
"""Oracles held here."""

LLAMA_70B = KvLayout(layers=80, kv_heads=8, head_dim=128, element_bytes=2)


def oracle(number: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs and expected values of one oracle."""
    assert number in COVERED
    item = ORACLES[f"ORC-{number}"]
    return item["inputs"], item["expected"]


def counter(name: str, value: float, unit: str = "1", scope: str = "all") -> dict[str, Any]:
    """A row of `counters`."""
    return {"name": name, "at": 0, "value": value, "unit": unit, "scope": scope}


def power(watts: float, seconds: float) -> list[dict[str, Any]]:
    """Constant power over so many seconds."""
    return [
        {
            "probe": "meter", "channel": "0", "kind": "power", "at": at, "value": watts,
            "unit": "W", "scope": "board",
        }
        for at in (0, seconds)
    ]  # fmt: skip


def test_goodput_and_attainment(make_trace: MakeTrace, values: Values) -> None:
    """ORC-010: eq. 6 with a threshold for each request."""
    given, expected = oracle("010")
    requests = [
        {"id": str(k), "due": 0, "sent": 0, "done": 2, "status": "ok", "output_tokens": tokens}
        for k, tokens in enumerate(given["l_out"])
    ]
    arrivals = [
        row
        for k, (tokens, first) in enumerate(zip(given["l_out"], given["ttft"], strict=True))
        for row in (
            {"id": str(k), "at": first, "count": 1},
            {"id": str(k), "at": 2, "count": tokens - 1},
        )
    ]
    head = {"slo": ServiceLevel(ttft_s=given["tau_ttft"])}
    found = values(make_trace(given["t_window"], head, requests=requests, tokens=arrivals))
    assert found["tp.system"] == pytest.approx(expected["tp_sys"])
    assert found["goodput.tokens"] == pytest.approx(expected["goodput_tokens"])
    assert found["goodput.requests"] == pytest.approx(expected["goodput_requests"])
    assert found["slo.attainment"] == pytest.approx(expected["slo_attainment"])


def test_goodput_of_an_idle_window(make_trace: MakeTrace, values: Values) -> None:
    """ORC-011: rates are 0, attainment is absent."""
    given, expected = oracle("011")
    found = values(make_trace(given["t_window"], {"slo": ServiceLevel(e2e_s=1)}))
    assert found["goodput.tokens"] == expected["goodput_tokens"]
    assert found["goodput.requests"] == 0
    assert found["slo.attainment"] is expected["slo_attainment"] is None


def one_request_with_kernels(make_trace: MakeTrace, given: dict[str, Any]) -> Trace:
    """A request over the whole of `t_total`, with these kernels, each in its own stream."""
    total = given["t_total"]
    phases = [
        {"name": "k", "kind": "kernel", "start": start, "end": end, "device": "0", "stream": str(k)}
        for k, (start, end) in enumerate(given["kernels"])
    ]
    request = {"id": "a", "due": 0, "sent": 0, "done": total, "status": "ok"}
    return make_trace(total, requests=[request], phases=phases)


def test_overhead(make_trace: MakeTrace, values: Values) -> None:
    """ORC-013: eq. 8 with one kernel."""
    given, expected = oracle("013")
    found = values(one_request_with_kernels(make_trace, given))
    assert found["overhead.ratio"] == pytest.approx(expected["rho"])
    assert found["overhead.ratio_paper"] == pytest.approx(expected["rho"])


def test_kernels_that_overlap_count_once(make_trace: MakeTrace, values: Values) -> None:
    """ORC-014: the union is the kernel time; the literal sum gives a negative overhead."""
    given, expected = oracle("014")
    found = values(one_request_with_kernels(make_trace, given))
    assert found["overhead.kernel_sum"] == pytest.approx(expected["sum_kernel"])
    assert found["overhead.ratio_paper"] == pytest.approx(expected["rho_literal_sum"])
    assert found["overhead.kernel_time"] == pytest.approx(expected["union_kernel"])
    assert found["overhead.ratio"] == pytest.approx(expected["rho_union"])


@pytest.mark.parametrize("number", ["018", "019"])
def test_energy_delay_of_one_request(number: str, make_trace: MakeTrace, values: Values) -> None:
    """ORC-018, 019: eq. 11 and 12 for one request; it needs no token."""
    given, expected = oracle(number)
    request = {
        "id": "a", "due": 0, "sent": 0, "done": given["t"], "status": "ok",
        "input_tokens": given["l_in"], "output_tokens": given["l_out"],
    }  # fmt: skip
    samples = power(given["e"] / given["t"], given["t"])
    found = values(make_trace(given["t"], requests=[request], samples=samples))
    assert found["edp"] == pytest.approx(expected["edp"])
    assert found["ed2p"] == pytest.approx(expected["edp"] * given["t"])
    assert found["tokens_per_joule"] == pytest.approx(expected["tpw"])


def test_energy_delay_does_not_grow_with_the_window(make_trace: MakeTrace, values: Values) -> None:
    """ORC-020: of bare windows it is 4000 twice or 16000 once; of the work unit, 4000 always."""
    given, expected = oracle("020")
    (e, t), count = (given["window"][0]["e"], given["window"][0]["t"]), len(given["window"])
    assert count * e * t == expected["edp_sum"]
    assert (count * e) * (count * t) == expected["edp_merged"]
    for repeats in (1, count):
        requests = [
            {"id": str(k), "due": k * t, "sent": k * t, "done": (k + 1) * t, "status": "ok"}
            for k in range(repeats)
        ]
        trace = make_trace(repeats * t, requests=requests, samples=power(e / t, repeats * t))
        assert values(trace)["edp"] == pytest.approx(e * t)


@pytest.mark.parametrize("number", ["027", "028", "029", "030", "031", "032"])
def test_bytes_of_a_context(number: str, make_trace: MakeTrace, values: Values) -> None:
    """ORC-027..032: eq. 15 for one sequence of published geometries."""
    given, expected = oracle(number)
    layout = KvLayout(given["layers"], given["h_kv"], given["d"], given["s"])
    request = {
        "id": "a", "due": 0, "sent": 0, "done": 1, "status": "ok",
        "input_tokens": given["L"] - 96, "output_tokens": 96,
    }  # fmt: skip
    found = values(make_trace(2, {"kv": layout}, requests=[request]))
    for name in ("kv.bytes_per_sequence", "kv.bytes_per_sequence_paper", "kv.bytes_total"):
        assert found[name] == expected["bytes"]
    assert found["kv.bytes_per_token"] == expected["bytes"] / given["L"]
    if "gib" in expected:
        assert found["kv.bytes_total"] / 2**30 == pytest.approx(expected["gib"])
        assert found["kv.bytes_per_token"] == expected["bytes_per_token"]
    else:
        gqa = float(kv_bytes(LLAMA_70B, given["L"]))
        assert found["kv.bytes_total"] / gqa == expected["ratio_to_gqa"]


def test_memory_is_given_out_in_whole_blocks(make_trace: MakeTrace, values: Values) -> None:
    """ORC-033: one token over a block boundary takes another block."""
    given, expected = oracle("033")
    paged = KvLayout(80, 8, 128, 2, block_tokens=given["block"])
    assert float(kv_bytes(LLAMA_70B, given["L"])) == expected["bytes_exact"]
    assert float(reserved_tokens(paged, given["L"])) == expected["tokens_paged"]
    request = {
        "id": "a", "due": 0, "sent": 0, "done": 1, "status": "ok",
        "input_tokens": given["L"], "output_tokens": 0,
    }  # fmt: skip
    found = values(make_trace(2, {"kv": paged}, requests=[request]))
    assert found["kv.bytes_per_sequence"] == expected["bytes_paged"]
    assert found["kv.bytes_per_sequence_paper"] == expected["bytes_exact"]
    waste = 1 - expected["bytes_exact"] / expected["bytes_paged"]
    assert found["kv.waste.rounding"] == pytest.approx(waste)


def test_sequences_that_fit_beside_the_weights() -> None:
    """ORC-034: 4k contexts of a 70B model in 192 GB."""
    given, expected = oracle("034")
    eight_bits = KvLayout(80, 8, 128, 1)
    for name, weights, layout in (
        ("max_seq_w16_kv16", given["weights_fp16"], LLAMA_70B),
        ("max_seq_w8_kv16", given["weights_fp8"], LLAMA_70B),
        ("max_seq_w8_kv8", given["weights_fp8"], eight_bits),
    ):
        fits = sequences_that_fit(given["capacity"], weights, layout, given["L"])
        assert fits == expected[name]
    assert sequences_that_fit(1e9, given["weights_fp8"], LLAMA_70B, given["L"]) == 0


def test_contexts_in_flight_add(make_trace: MakeTrace, values: Values) -> None:
    """ORC-035: U-08, sixteen long sequences at once."""
    given, expected = oracle("035")
    requests = [
        {
            "id": str(k), "due": 0, "sent": 0, "done": 1 + k, "status": "ok",
            "input_tokens": given["L"], "output_tokens": 0,
        }
        for k in range(given["sequences"])
    ]  # fmt: skip
    found = values(make_trace(20, {"kv": LLAMA_70B}, requests=requests))
    assert found["kv.bytes_total"] == expected["bytes"]
    assert found["kv.sequences"] == given["sequences"]


def test_heads_are_replicated_beyond_their_number() -> None:
    """ORC-036: sixteen devices for eight heads hold every head twice."""
    given, expected = oracle("036")
    for devices in given["tp"]:
        layout = KvLayout(80, 8, 128, 2, devices=devices)
        assert float(kv_bytes(layout, given["L"])) == expected["total"][str(devices)]
        each = float(kv_bytes_per_device(layout, given["L"]))
        assert each == expected["per_device"][str(devices)]


def test_decode_is_bound_by_reading_weights_and_contexts() -> None:
    """ORC-037: the least time of a decode step."""
    given, expected = oracle("037")
    each = float(kv_bytes(LLAMA_70B, given["L"]))
    for batch in given["batch"]:
        seconds = decode_floor_s(140e9, batch * each, given["bw"])
        assert seconds * 1e3 == pytest.approx(expected[str(batch)]["ms_per_step"])
        assert batch / seconds == pytest.approx(expected[str(batch)]["tok_s"])


def test_training_memory(make_trace: MakeTrace, values: Values) -> None:
    """ORC-043: U-07 by itself and from the counter of parameters of a training trial."""
    given, expected = oracle("043")
    for count, bounds in zip(given["params"], expected.values(), strict=True):
        assert list(adam_bytes(count)) == pytest.approx(bounds)
        found = values(training(make_trace, counters=[counter("parameters", count)]))
        assert [found["memory.adam_low"], found["memory.adam_high"]] == pytest.approx(bounds)


def training(make_trace: MakeTrace, **tables: Any) -> Trace:
    """A trial with a training target."""
    from accelbench.harness.schema.trace import Target

    return make_trace(1, {"target": Target("accuracy", "test", 0.9)}, **tables)


def test_devices_that_hold_a_model() -> None:
    """ORC-044: D-36 with on-chip memory alone."""
    given, expected = oracle("044")
    assert [devices_to_hold(w, given["sram"]) for w in given["weights"]] == expected["chips"]
    assert [n * given["sram"] for n in (16, 64)] == expected["capacity_16_to_64_chips"]


def test_crossbar_occupancy() -> None:
    """ORC-045: D-19 for one matrix cut into whole arrays."""
    given, expected = oracle("045")
    found = [crossbar_occupancy((r, c), tuple(given["array"])) for r, c in given["matrices"]]
    assert found == pytest.approx(expected["occupancy"])


def test_compilation_counts_in_the_inclusive_rate(make_trace: MakeTrace, values: Values) -> None:
    """ORC-047: the steady rate hides what came before the window."""
    given, expected = oracle("047")
    each = given["steady_s"]
    requests = [
        {"id": str(k), "due": k * each, "sent": k * each, "done": (k + 1) * each, "status": "ok",
         "samples": 1}
        for k in range(given["iters"])
    ]  # fmt: skip
    compiling = {"name": "c", "kind": "compile", "start": -given["compile_s"], "end": 0}
    found = values(make_trace(given["iters"] * each, requests=requests, phases=[compiling]))
    assert found["tp.requests"] == pytest.approx(expected["steady_rate"])
    assert found["tp.requests.inclusive"] == pytest.approx(expected["inclusive_rate"])
    assert found["tp.samples.inclusive"] == pytest.approx(expected["inclusive_rate"])
    assert found["compile.time"] == pytest.approx(given["compile_s"])


def test_speedup_is_bounded_by_what_is_mapped(make_trace: MakeTrace, values: Values) -> None:
    """ORC-048: D-18, Amdahl; an infinite speed-up gives the limit."""
    given, expected = oracle("048")
    for mapped, bound, limit in zip(
        given["f"], expected["speedup"], expected["limit"], strict=True
    ):
        assert speedup_bound(mapped, given["s"]) == pytest.approx(bound)
        assert speedup_bound(mapped, float("inf")) == pytest.approx(limit)
        told = [counter("mapped.flops", mapped), counter("array.speedup", given["s"])]
        assert values(make_trace(counters=told))["speedup.bound"] == pytest.approx(bound)


def test_balance_of_experts(make_trace: MakeTrace, values: Values) -> None:
    """ORC-049: D-26 over four experts."""
    given, expected = oracle("049")
    told = [
        counter("moe.expert_tokens", tokens, "token", str(k))
        for k, tokens in enumerate(given["expert_tokens"])
    ]
    found = values(make_trace(counters=told))
    assert found["experts.balance"] == pytest.approx(expected["max_over_mean"])
    assert found["experts.cv"] == pytest.approx(expected["cv"])


def test_pipeline_bubble(make_trace: MakeTrace, values: Values) -> None:
    """ORC-050: D-31 by the schedule."""
    given, expected = oracle("050")
    for p, m, bubble in zip(given["p"], given["m"], expected["bubble"], strict=True):
        assert pipeline_bubble(p, m) == pytest.approx(bubble)
        told = [counter("pipeline.stages", p), counter("pipeline.microbatches", m)]
        assert values(make_trace(counters=told))["pipeline.bubble"] == pytest.approx(bubble)


def test_intensity_of_decode_attention() -> None:
    """ORC-055: FLOPs for each byte of keys and values read."""
    given, expected = oracle("055")
    found = [decode_attention_intensity(group, given["s"]) for group in given["group"]]
    assert found == expected["flop_per_kv_byte"]


def test_speculation_counts_what_was_emitted(make_trace: MakeTrace, values: Values) -> None:
    """ORC-056: drafts are no output; their energy stays in E."""
    given, expected = oracle("056")
    request = {
        "id": "a", "due": 0, "sent": 0, "done": 1, "status": "ok",
        "output_tokens": given["emitted"],
    }  # fmt: skip
    told = [
        counter("speculation.drafted", given["drafted"], "token"),
        counter("speculation.accepted", given["accepted"], "token"),
    ]
    trace = make_trace(2, requests=[request], counters=told, samples=power(given["e"] / 2, 2))
    found = values(trace)
    assert found["speculation.acceptance"] == pytest.approx(expected["acceptance"])
    assert found["energy.per_output_token"] == pytest.approx(expected["j_per_output_token"])


def test_every_covered_oracle_of_traces_is_in_the_file() -> None:
    """The list names lines of the oracle file."""
    assert {f"ORC-{number}" for number in COVERED} <= set(ORACLES)
    assert bytes_per_token(LLAMA_70B) == ORACLES["ORC-027"]["expected"]["bytes_per_token"]
