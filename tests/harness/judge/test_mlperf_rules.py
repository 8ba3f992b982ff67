"""MLPerf's rules as presets: least duration, early stopping, seeds."""

from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest
import yaml

from accelbench.harness.schema.decode import decode
from accelbench.harness.schema.rules import Limits, Rules
from accelbench.harness.schema.trace import Arrivals, ServiceLevel, Target


def preset(name):
    """The rules as they ship."""
    return decode(
        Rules, yaml.safe_load((files("accelbench.conf") / "rules" / f"{name}.yaml").read_text())
    )


def stream(n, taken=1.0):
    """Requests one after another, each as long as given, seconds."""
    return [
        {"id": str(k), "due": k * taken, "sent": k * taken, "done": (k + 1) * taken, "status": "ok"}
        for k in range(n)
    ]


def open_loop(took):
    """Requests due a second after another."""
    return [
        {"id": str(k), "due": k, "sent": k, "done": k + taken, "status": "ok"}
        for k, taken in enumerate(took)
    ]


@pytest.fixture
def early_stopping(make_trial, make_rules, judged):
    """What the code says of requests: `early_stopping(rows, slo=..., arrivals=...)`."""

    def told(rows, **head):
        rules = make_rules(["early_stopping"])
        return judged(make_trial(1e6, head, requests=rows), rules=rules).get("early_stopping")

    return told


def test_a_window_lasts_as_long_as_the_rules_ask_for(make_trial, judged):
    """The detail tells what fills it at the rate seen; training lasts as its target does."""
    short = make_trial(20.0, requests=stream(8, 2.5))
    assert judged(short, duration_s=20) == {}
    assert judged(short, duration_s=50) == {
        "too_few_samples": "the window lasts 20 s, at least 50 s are asked for: ask for about"
        " 20 requests or batches instead of 8, by the rate seen"
    }
    head = {"target": Target("accuracy", "test", 0.9)}
    steps = make_trial(20.0, head, requests=stream(8, 2.5))
    assert "too_few_samples" not in judged(steps, duration_s=50)


def test_a_single_stream_needs_64_requests(early_stopping):
    """One fewer has no percentile to report."""
    assert early_stopping(stream(64)) is None
    assert early_stopping(stream(63)) == (
        "early stopping at p90 needs 64 queries, there are 63, at least so many are asked for:"
        " ask for more requests"
    )


def test_a_multi_stream_load_needs_662_queries(early_stopping):
    """Counted by query, not by sample."""
    rows = [{**row, "query": row["id"]} for row in stream(662)]
    assert early_stopping(rows) is None
    assert early_stopping(rows[1:]).startswith("early stopping at p99 needs 662 queries")


def test_a_server_passes_by_its_slow_requests(early_stopping):
    """Two of 838 may be slow, three may not; then it tells how many it takes."""
    for slow, verdict in ((2, None), (3, 1001)):
        took = np.full(838, 0.1)
        took[:slow] = 0.3
        found = early_stopping(
            open_loop(took), arrivals=Arrivals("poisson", 1.0), slo=ServiceLevel(e2e_s=0.2)
        )
        assert found == (
            verdict
            and f"3 of 838 requests took longer than 200 ms (e2e.response), so many may of at"
            f" least {verdict}: ask for a lower load, a wider limit, or more requests"
        )


def test_an_open_loop_without_a_limit_is_not_judged_as_a_server(early_stopping):
    """Its result is the rate at which a limit is met, so there must be one."""
    found = early_stopping(open_loop([0.1] * 500), arrivals=Arrivals("poisson", 1.0))
    assert found is not None
    assert found.endswith("give scenario.slo ttft_s and itl_s, or e2e_s")


def test_offline_has_no_percentile(early_stopping):
    """Whatever its count."""
    assert early_stopping([{**row, "due": 0.0} for row in stream(5)]) is None


def test_only_mlperf_asks_for_early_stopping():
    """Ten minutes, one trial, a process of its own, no caching; the rest as in the standard."""
    rules, standard = preset("mlperf"), preset("standard")
    assert {*rules.invalid} - {*standard.invalid} == {"early_stopping"}
    assert rules.warn == standard.warn
    assert rules.limits == replace(standard.limits, duration_s=600.0)
    assert (rules.trials, rules.session, rules.cache) == (1, "fresh", "cold")
    assert (rules.accuracy, preset("mlperf_accuracy").accuracy) == ("answered", "all")
    assert preset("mlperf_accuracy").limits == Limits()


def test_the_preset_says_what_it_follows():
    """And is never called a result of MLPerf: it has no LoadGen."""
    for name in ("mlperf", "mlperf_accuracy"):
        told = preset(name).follows
        assert told is not None
        assert told.startswith("MLPerf Inference: ")
        assert told.endswith("no LoadGen")
    assert preset("standard").follows is None


def test_a_negative_seed_is_refused(make_rules):
    """Before anything is drawn from it."""
    with pytest.raises(ValueError, match="seed must not be negative, got -1"):
        replace(make_rules(), seed=-1)
