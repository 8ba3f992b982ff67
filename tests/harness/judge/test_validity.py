"""The closed list of validity codes: which apply, at which level, and what the presets say."""

from dataclasses import fields, replace
from importlib.resources import files

import pytest
import yaml

from accelbench.harness.judge.validity import CHECKS, judge, status
from accelbench.harness.metrics.observation import Observation
from accelbench.harness.schema.decode import decode, encode
from accelbench.harness.schema.record import Reason
from accelbench.harness.schema.rules import CODES, Limits, Rules
from accelbench.harness.schema.trace import Arrivals, Meter

LATE = [
    {"id": str(k), "due": k, "sent": k + 0.5, "done": k + 0.9, "status": "ok"} for k in range(40)
]
MACHINE = [
    {"name": name, "at": 100, "value": 9.0, "unit": "1", "scope": "machine"}
    for name in ("throttle.events", "cpu.foreign_share", "clock.step", "generator.error")
]
LOST = {"meter": Meter("metered", "a counter", "board", ("chip",), period_s=50.0)}


def test_the_list_of_codes_is_closed():
    """Each code of the rules has one check, and no check lacks its code."""
    assert tuple(CHECKS) == CODES
    with pytest.raises(ValueError, match="unknown validity code 'bad_luck'"):
        Rules("r", "r", 1, 0, "shared", 1, 0, Limits(), ("bad_luck",), ())


def test_a_code_is_told_at_the_level_that_the_rules_give_it(make_trial, make_rules):
    """Under `invalid` it invalidates, under `warn` it warns, in neither it is not told."""
    trace = make_trial(requests=[{"id": "0", "due": 1, "status": "failed"}])
    for held, level, verdict in (
        (make_rules(["requests_failed"]), "invalid", "invalid"),
        (make_rules([], ["requests_failed"]), "warning", "valid"),
    ):
        found = judge(Observation(trace), {}, held, None)
        assert [(item.code, item.level) for item in found] == [("requests_failed", level)]
        assert status(found) == verdict
    assert judge(Observation(trace), {}, make_rules(["unsteady"], ["arithmetic"]), None) == ()


def test_one_invalid_reason_among_warnings_invalidates():
    """Warnings do not outvote it."""
    warning, invalid = Reason("unsteady", "x", "warning"), Reason("arithmetic", "x", "invalid")
    assert status((warning, warning)) == "valid"
    assert status((warning, invalid)) == "invalid"
    assert status((Reason("crashed", "x", "failed"),)) == "invalid"


def test_what_is_about_hardware_does_not_apply_to_a_simulated_clock(make_trial, judged):
    """Neither load generator nor machine nor meter exist there."""
    head = {"arrivals": Arrivals("constant", 1.0), "meters": LOST}
    real = make_trial(head=head, requests=LATE, counters=MACHINE)
    assert {*judged(real)} == {
        "client_bound",
        "clock_step",
        "energy_window_short",
        "foreign_load",
        "generator_late",
        "probe_lost",
        "throttled",
    }
    head = {**head, "clock": "simulated", "evidence": "simulated"}
    assert judged(make_trial(head=head, requests=LATE, counters=MACHINE)) == {}


def test_every_detail_is_one_line_that_ends_in_what_to_do(make_trial, judged):
    """Figure, limit, a colon, and a remedy."""
    head = {"arrivals": Arrivals("constant", 1.0), "meters": LOST}
    failed = [*LATE, {"id": "x", "due": 1, "status": "failed"}]
    for detail in judged(make_trial(head=head, requests=failed, counters=MACHINE)).values():
        assert "\n" not in detail
        assert ": " in detail
        assert any(word in detail for word in ("at most", "at least", "never", "within", "may"))


@pytest.mark.parametrize(
    ("preset", "own"),
    [
        ("load", ()),
        ("mlperf", ("early_stopping",)),
        ("mlperf_accuracy", ()),
        ("serving", ()),
        ("smoke", ()),
        ("standard", ()),
    ],
)
def test_a_preset_names_every_code_once_and_states_every_limit(preset, own):
    """What MLPerf alone asks for apart; a limit can be overridden because it is there."""
    text = (files("accelbench.conf") / "rules" / f"{preset}.yaml").read_text()
    data = yaml.safe_load(text)
    rules = decode(Rules, data)
    assert sorted((*rules.invalid, *rules.warn)) == sorted({*CODES} - {"early_stopping"} | {*own})
    assert {*data["limits"]} == {field.name for field in fields(Limits)}
    assert {"claims", "cache", "accuracy"} <= {*data}
    assert replace(rules.limits, duration_s=0.0) == Limits()


def test_smoke_forgives_the_machine_and_standard_does_not():
    """What is wrong in the work invalidates in both."""
    rules = {
        name: decode(
            Rules,
            yaml.safe_load((files("accelbench.conf") / "rules" / f"{name}.yaml").read_text()),
        )
        for name in ("smoke", "standard")
    }
    machine = {"foreign_load", "throttled", "generator_late", "probe_lost", "unsteady"}
    assert machine <= {*rules["smoke"].warn}
    assert machine <= {*rules["standard"].invalid}
    assert rules["standard"].warn == ("clock_step",)
    assert {*rules["smoke"].invalid} <= {*rules["standard"].invalid}


def test_rules_of_an_older_bundle_still_decode(make_rules):
    """Limits and keys that came later have defaults."""
    data = encode(make_rules())
    for later in ("claims", "cache", "accuracy", "follows"):
        del data[later]
    data["limits"] = {"foreign_cpu_share": 0.05, "drift": 0.1, "samples": 1}
    assert decode(Rules, data) == make_rules()
