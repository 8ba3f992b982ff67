"""Cost from a declared price."""

from typing import Any

import pytest

from accelbench.harness.metrics.cost import Price, cost, declared_price, price_per_second
from accelbench.harness.metrics.registry import Absent
from accelbench.harness.schema.measurement import Interval, Measurement

RATE = Measurement(10.0, "sample/s", 3, Interval(8.0, 12.5, 0.95, "any", "trials"))
RENTED: dict[str, Any] = {
    "currency": "USD",
    "date": "2026-01-01",
    "utilisation": 0.5,
    "per_hour": 3.6,
}
BOUGHT: dict[str, Any] = {
    "currency": "EUR", "date": "2026-01-01", "utilisation": 1, "purchase": 31_536_000,
    "amortisation_years": 2,
}  # fmt: skip


def test_a_rented_hour_that_is_half_used() -> None:
    """3.60 an hour is 0.001 a second, and twice that for each second of work."""
    found = cost(RATE, declared_price(RENTED))
    each, per = found["cost.per_inference"], found["cost.throughput_per_price"]
    assert (each.value, each.unit, each.n) == (pytest.approx(0.0002), "USD/inference", 3)
    assert each.interval is not None
    assert each.interval.low == pytest.approx(0.002 / 12.5)
    assert each.interval.high == pytest.approx(0.002 / 8)
    assert (per.value, per.unit) == (pytest.approx(5000), "inference/USD")
    assert per.interval is not None
    assert (per.interval.low, per.interval.high) == (pytest.approx(4000), pytest.approx(6250))


def test_a_machine_that_is_bought_is_written_off() -> None:
    """One unit of currency a second for a year, over two years."""
    price = declared_price(BOUGHT)
    assert isinstance(price, Price)
    assert price_per_second(price) == pytest.approx(0.5)
    assert cost(RATE, price)["cost.per_inference"].unit == "EUR/inference"


@pytest.mark.parametrize("key", ["currency", "date", "utilisation", "per_hour"])
def test_what_a_rented_price_lacks_is_named(key: str) -> None:
    """Nothing is assumed in its place."""
    price = declared_price({k: v for k, v in RENTED.items() if k != key})
    found = cost(RATE, price)
    assert {item.value for item in found.values()} == {None}
    assert found["cost.per_inference"].reason == f"the declared price lacks {key}"


def test_what_a_bought_price_lacks_is_named() -> None:
    """Without a period there is no price of a second."""
    price = declared_price({"purchase": 5})
    assert isinstance(price, Price)
    lacking = "currency, date, utilisation, amortisation_years"
    assert price_per_second(price) == Absent(f"the declared price lacks {lacking}")


@pytest.mark.parametrize(
    ("declared", "reason"),
    [
        ({**RENTED, "purchase": 5, "amortisation_years": 1}, "both that of an hour and that of"),
        ({**RENTED, "utilisation": 1.5}, "the utilisation is a share, at most 1"),
        ({**RENTED, "per_hour": 0}, "prices, periods and the utilisation are above 0"),
        ({**RENTED, "per_our": 1}, "unknown key 'per_our'"),
        (3.6, "expected a mapping"),
    ],
)
def test_a_price_that_is_wrong_says_so(declared: Any, reason: str) -> None:
    """A finished bundle can still be read; the cost is absent with the fault."""
    told = cost(RATE, declared_price(declared))["cost.throughput_per_price"].reason
    assert told is not None
    assert reason in told


@pytest.mark.parametrize(
    ("rate", "reason"),
    [
        (None, "no throughput was measured"),
        (Measurement(None, "sample/s", 2, reason="never"), "never"),
        (Measurement(0.0, "sample/s", 2), "the throughput is 0"),
    ],
)
def test_without_a_throughput_there_is_no_cost(rate: Measurement | None, reason: str) -> None:
    """The reason is that of the throughput."""
    assert cost(rate, declared_price(RENTED))["cost.per_inference"].reason == reason
