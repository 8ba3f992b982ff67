"""The catalogue is complete, and a record holds what applies to it and no more."""

import re
from collections.abc import Callable
from typing import TypeAlias

import pytest

from accelbench.harness.metrics.catalogue import catalogue, measure
from accelbench.harness.metrics.registry import (
    Definition,
    Value,
    define,
    measurement,
)
from accelbench.harness.schema.trace import Trace

MakeTrace: TypeAlias = Callable[..., Trace]

NAMES = {item.name for item in catalogue()}


@pytest.mark.parametrize("item", catalogue(), ids=lambda item: item.name)
def test_every_metric_says_what_it_is(item: Definition) -> None:
    """Each has unit, formula, source with a section, direction, version and a sentence."""
    assert re.fullmatch(r"[a-z0-9_]+(\.([a-z0-9_]+|<\w+>))*", item.name)
    assert item.unit
    assert item.formula
    assert "section" in item.source
    assert item.better in ("lower", "higher", "neither")
    assert item.version >= 1
    assert item.summary.endswith(".")
    assert item.summary[0].isupper()


def test_the_published_names_are_there() -> None:
    """Names other programs rely on; families have all four statistics."""
    families = (
        "ttft.response", "ttft.service", "e2e.response", "e2e.service", "itl.gap", "itl.request",
        "tpot", "prefill.time", "decode.time", "queue.time", "total.paper", "train.step",
    )  # fmt: skip
    single = {
        "itl.mean_paper", "tp.prefill", "tp.prefill.computed", "tp.decode", "tp.system",
        "tp.requests", "tp.samples", "energy.total", "power.avg", "energy.per_token",
        "energy.per_output_token", "energy.per_inference", "tokens_per_joule", "flops.total",
        "flops.achieved", "flops.utilization", "bandwidth.achieved", "bandwidth.utilization",
        "intensity", "roofline.bound", "memory.peak", "train.time_to_target",
        "train.samples_per_s", "quality.<metric>", "batch.efficiency.<B>", "goodput.tokens",
        "goodput.requests", "slo.attainment", "overhead.ratio", "energy.net", "edp", "ed2p",
        "kv.bytes_per_sequence", "kv.bytes_total",
    }  # fmt: skip
    censored = {
        f"{name}.censored.{p}"
        for name in ("e2e.response", "ttft.response")
        for p in ("p50", "p95", "p99")
    }
    spread = {f"{name}.{s}" for name in families for s in ("mean", "p50", "p95", "p99")}
    assert single | censored | spread <= NAMES


def test_catalogue_is_ordered_by_name() -> None:
    """The same order every time."""
    assert [item.name for item in catalogue()] == sorted(NAMES)


def test_a_name_is_defined_once() -> None:
    """A second metric of the same name is refused."""
    with pytest.raises(ValueError, match=r"'energy\.total' is defined twice"):
        define(Definition("energy.total", "J", "x", "x", "x", "lower"))


def test_a_value_that_is_no_number_becomes_absent() -> None:
    """Infinity in a trace is told, not printed."""
    item = Definition("x", "J", "x", "x", "x", "lower", 3)
    found = measurement(item, Value(float("inf"), 4))
    assert (found.value, found.n, found.version) == (None, 4, 3)
    assert found.reason == "the trace gives inf, which is no finite number"


def test_headlines_of_an_empty_trace_have_reasons(make_trace: MakeTrace) -> None:
    """With nothing in the trace there are idle rates, and headlines that say why not."""
    found = measure(make_trace(), None)
    assert {name: item.reason for name, item in found.items() if item.value is None} == {
        "energy.total": "no probe watched this trial",
        "flops.utilization": "no working phase in the window, so no FLOPs",
        "quality": "no evaluation on split 'test' was reported",
    }
    assert {name for name, item in found.items() if item.value == 0} == {
        "tp.requests",
        "tp.system",
    }


def test_a_one_shot_model_has_no_token_metrics(make_trace: MakeTrace) -> None:
    """What has no tokens, phases or target in its trace is left out."""
    requests = [{"id": "0", "due": 0, "sent": 0, "done": 1, "samples": 8, "status": "ok"}]
    found = measure(make_trace(requests=requests), None)
    stems = {name.split(".")[0] for name in found}
    assert {"e2e", "tp", "energy", "flops", "quality"} <= stems
    assert stems.isdisjoint({"ttft", "itl", "tpot", "prefill", "decode", "cache", "kv", "train"})
    assert {"tp.samples", "tp.requests"} == {name for name in found if name.startswith("tp.")}


def test_measurements_carry_the_version_and_unit_of_their_definition(make_trace: MakeTrace) -> None:
    """A record can be recomputed with the definition it names."""
    requests = [{"id": "0", "due": 0, "sent": 0, "done": 1, "samples": 8, "status": "ok"}]
    definitions = {item.name: item for item in catalogue()}
    for name, item in measure(make_trace(requests=requests), None).items():
        known = definitions.get(name, definitions["quality.<metric>"])
        assert (item.unit, item.version) == (known.unit, known.version)
