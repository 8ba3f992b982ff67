"""The suite soak: trials that last, and what is left of it for a server."""

from accelbench.cli.compose import compose_suite
from accelbench.harness.metrics import drift, memory_growth
from accelbench.harness.run.planner import resolve


def test_its_load_lasts_long_enough_for_drift_and_growth():
    """Longer than either needs, at the rate of its arrivals; one trial, as that is what is asked."""
    cells = resolve(compose_suite("soak", []))
    load = cells["serve"].scenario
    assert load.requests > drift.FEWEST
    assert load.requests / load.arrivals.rate_per_s > drift.SHORTEST_S
    assert load.requests / load.arrivals.rate_per_s > memory_growth.SHORTEST_S
    assert {cell.rules.trials for cell in cells.values()} == {1}


def test_a_change_over_time_is_told_and_all_else_is_refused_as_in_serving():
    """A soak that found something must not be withheld for it."""
    (serving, *_) = resolve(compose_suite("serving", [])).values()
    for cell in resolve(compose_suite("soak", [])).values():
        assert {*cell.rules.invalid} == {*serving.rules.invalid} - {"unsteady"}
        assert {*cell.rules.warn} == {*serving.rules.warn, "unsteady"}


def test_hours_are_one_override_away():
    """Longer loads, and the time limit that they need."""
    longer = ["scenario.requests=28800", "scenario.samples=640000000", "rules.time_limit_s=20000"]
    cells = resolve(compose_suite("soak", longer))
    assert cells["serve"].scenario.requests == 28800
    assert cells["batches"].scenario.samples == 640000000
    assert all(cell.rules.time_limit_s == 20000 for cell in cells.values())


def test_a_server_is_given_what_servers_do():
    """It generates; it takes no batches of images."""
    assert set(resolve(compose_suite("soak", ["adapter=vllm_server"]))) == {"serve"}
