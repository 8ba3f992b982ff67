"""A cell that searches for the highest rate within a service level."""

from dataclasses import replace

import pytest

from accelbench.harness.run.search import next_rate
from accelbench.harness.schema.arrivals import Poisson
from accelbench.harness.schema.measurement import Interval, Measurement
from accelbench.harness.schema.record import Record
from accelbench.harness.schema.scenario import Sustainable
from accelbench.harness.schema.trace import ServiceLevel

SEARCH = Sustainable(
    "sustainable", Poisson("poisson", 4.0), 100, ServiceLevel(ttft_s=0.5), repeats=2
)


def record(repeat, rate, ttft_s, status="valid"):
    """A trial at a rate with its p99 of the time to first token."""
    found = Measurement(ttft_s, "s", 100, Interval(ttft_s, ttft_s, 0.95, "exact", "requests"))
    share = Measurement(1.0 if ttft_s <= 0.5 else 0.5, "1", 100)
    return Record(
        schema="accelbench.record/1",
        cell="s",
        cell_hash="",
        repeat=repeat,
        round=repeat,
        session="",
        workload="w",
        scenario="sustainable",
        adapter="a",
        platform="p",
        evidence="measured",
        clock="wall",
        status=status,
        reasons=(),
        measurements={"ttft.response.censored.p99": found, "slo.attainment": share},
        engine={},
        started_utc="",
        finished_utc="",
        rate_per_s=rate,
    )


def searched(edge, search=SEARCH, status=lambda _rate: "valid"):
    """All rates that are tried of a machine that keeps up to an edge, in order."""
    done = []
    while (rate := next_rate(search, done)) is not None:
        ttft_s = 0.1 if rate <= edge else 5.0
        done.append(record(len(done), rate, ttft_s, status(rate)))
    return [one.rate_per_s for one in done]


def test_each_rate_is_tried_as_often_as_asked_before_the_next():
    """It doubles from the first, two trials each, then cuts the bracket."""
    rates = searched(10.0)
    assert rates[:8] == [4.0, 4.0, 8.0, 8.0, 16.0, 16.0, 11.3, 11.3]
    assert rates[::2] == rates[1::2]


def test_the_search_ends_with_a_bracket_of_the_wanted_width():
    """The edge lies between the highest rate that passed and the lowest that did not."""
    rates = set(searched(10.0))
    low = max(rate for rate in rates if rate <= 10.0)
    high = min(rate for rate in rates if rate > 10.0)
    assert high <= low * 1.1


def test_a_search_goes_on_from_its_records_wherever_it_stopped():
    """The same records lead to the same rate, so that a killed campaign repeats nothing."""
    whole = searched(10.0)
    done = [record(k, rate, 0.1 if rate <= 10 else 5.0) for k, rate in enumerate(whole)]
    for cut in range(len(done)):
        assert next_rate(SEARCH, done[:cut]) == whole[cut]


def test_a_rate_whose_trials_do_not_count_does_not_pass():
    """An invalid trial proves nothing."""
    rates = searched(100.0, status=lambda rate: "valid" if rate < 10 else "invalid")
    assert max(rates) == 16.0


def test_a_search_ends_where_every_trial_breaks_down():
    """A server that does not start is not tried at other rates."""
    assert searched(100.0, status=lambda _rate: "failed") == [4.0, 4.0]


def test_a_search_ends_at_its_most_trials():
    """Whatever is left open."""
    assert len(searched(1e9, replace(SEARCH, most_trials=5))) == 5


def test_the_trials_of_a_search_are_open_loops_at_its_rate():
    """All else is that of the search."""
    loop = SEARCH.at(7.5)
    assert loop.arrivals == Poisson("poisson", 7.5)
    assert (loop.requests, loop.slo) == (100, SEARCH.slo)


@pytest.mark.parametrize("wrong", [{"repeats": 0}, {"resolution": 0.0}, {"requests": 0}])
def test_a_search_that_cannot_end_is_refused(wrong):
    """When it is composed."""
    with pytest.raises(ValueError, match=r"least 1|resolution"):
        replace(SEARCH, **wrong)
