"""The few numbers of a cell that are shown first, by scenario."""

import pytest

from accelbench.harness.bundle.summary import CellSummary
from accelbench.harness.metrics.catalogue import definition
from accelbench.harness.schema.measurement import Measurement
from accelbench.reports import headline as module
from accelbench.reports.headline import generates, headline

TOKENS = ("ttft.response.p50", "ttft.response.p99", "tpot.p50", "itl.gap.p99")
SERVED = (*TOKENS, "e2e.response.p99", "tp.system")
LEVEL = ("goodput.requests", "slo.attainment")


def cell(scenario, *names, absent=(), family="decoder"):
    """A cell with these measurements, some of them without a value."""
    found = {name: Measurement(1.0, "1", 9) for name in (*names, "e2e.service.mean")}
    found |= {name: Measurement(None, "1", 0, reason="it failed") for name in absent}
    return CellSummary(
        "a", "lm", family, scenario, "engine", "here", "measured", "wall", "valid", (), 1, found
    )


@pytest.mark.parametrize(
    ("scenario", "load"),
    [
        ("open_loop", "load.offered"),
        ("closed_loop", "load.in_flight.mean"),
        ("sustainable", "sustainable.load"),
    ],
)
def test_a_serving_load_shows_load_waits_and_rates(scenario, load):
    """Goodput and attainment beside the raw rate where there is a service level, and only there."""
    assert list(headline(cell(scenario, *SERVED, load))) == [load, *SERVED]
    shown = headline(cell(scenario, *LEVEL, *SERVED, load, "energy.per_output_token"))
    assert list(shown) == [load, *SERVED, *LEVEL, "energy.per_output_token"]


def test_a_multi_stream_load_is_judged_by_its_queries():
    """The p99 of the time until the last sample of a query is the result."""
    names = ("query.response.p99", "query.response.p50")
    assert next(iter(headline(cell("multi_stream", *names, *SERVED)))) == names[0]
    assert list(headline(cell("multi_stream", *names))) == list(names)


def test_offline_generation_is_judged_by_its_tokens():
    """And by its requests; samples are of work that generates none."""
    names = ("tp.system", "tp.requests", "tpot.p50")
    assert list(headline(cell("offline", *names, "tp.samples"))) == list(names)
    assert list(headline(cell("offline", "tp.samples", "tp.requests"))) == ["tp.samples"]


def test_a_kernel_is_judged_by_its_operations_and_bytes():
    """What a peak is made of, beside the calls; a network's are left to its roofline."""
    names = ("tp.samples", "flops.achieved", "bandwidth.achieved")
    assert list(headline(cell("offline", *names, family="kernel"))) == list(names)
    assert list(headline(cell("offline", *names, family="cnn"))) == ["tp.samples"]


def test_a_mix_shows_each_of_its_classes():
    """The wait, the time per token and the throughput of each, after what is of all requests."""
    of_classes = [f"class.{name}.{one}" for name in "ab" for one in ("tp.system", "tpot.mean")]
    names = (*of_classes, "class.a.share", "class.a.ttft.response.p50")
    shown = headline(cell("open_loop", "load.offered", *SERVED, *names))
    assert list(shown) == ["load.offered", *SERVED, *of_classes]
    turns = cell("single_stream", "tp.decode", "class.switch.ttft")
    assert "class.switch.ttft" in headline(turns)
    loaded = cell("open_loop", "load.offered", absent=["class.switch.ttft"])
    assert "class.switch.ttft" not in headline(loaded)


def test_a_server_that_tells_no_prefill_generates_all_the_same():
    """Its tokens arrived one by one."""
    assert generates(cell("open_loop", *TOKENS))
    assert generates(cell("single_stream", "tp.decode"))
    assert not generates(cell("open_loop", "tp.requests"))


def test_a_load_without_tokens_shows_whole_requests():
    """Such as images, or a server that failed before its first token."""
    names = ("load.offered", "tp.requests", "e2e.response.p50", "e2e.response.p99")
    assert list(headline(cell("open_loop", *names))) == list(names)


def test_the_first_stays_without_a_value():
    """Its absence is the news; the others would only be noise."""
    one = cell("open_loop", "tp.system", absent=("load.offered", *TOKENS))
    assert list(headline(one)) == ["load.offered", "tp.system"]


def test_every_number_is_a_metric():
    """A name that nothing measures would never be shown."""
    tables = (module._BY_SCENARIO, module._GENERATING)
    names = {name for table in tables for listed in table.values() for name in listed}
    assert all(definition(name.removesuffix("*") + "x" * name.endswith("*")) for name in names)
