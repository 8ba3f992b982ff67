"""Cost from a declared price (D-35, GAP-17): nothing is assumed, whatever lacks is named."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from accelbench.harness.errors import ConfigError
from accelbench.harness.metrics.ratio import inverted, scaled
from accelbench.harness.metrics.registry import Absent, Definition, define, measurement
from accelbench.harness.schema.decode import decode
from accelbench.harness.schema.measurement import Interval, Measurement
from accelbench.harness.schema.plain import Plain

PER_INFERENCE = define(
    Definition(
        "cost.per_inference",
        unit="currency/inference",
        summary="Price of the machine's time for one inference, in the declared currency.",
        formula="price of a second / utilisation / inferences a second; the price of a second is"
        " that of a rented hour / 3600, or purchase price / amortisation period",
        source="section 3.3",
        better="lower",
    )
)
PER_CURRENCY = define(
    Definition(
        "cost.throughput_per_price",
        unit="inference/currency",
        summary="Inferences for one unit of the declared currency (throughput per dollar).",
        formula="inferences a second * utilisation / price of a second; see cost.per_inference",
        source="section 3.3",
        better="higher",
    )
)

_S_PER_HOUR = 3600.0
_S_PER_YEAR = 365 * 24 * _S_PER_HOUR


@dataclass(frozen=True)
class Price:
    """What a machine costs, as someone declared it; None for what was not told.

    Attributes:
        currency: E.g. "USD".
        date: The day the price held, ISO 8601.
        utilisation: The share of the paid time in which the machine does such work, to 1.
        per_hour: Price of a rented hour.
        purchase: Price of the machine, where it is bought.
        amortisation_years: Over how many years of 365 days it is written off.
    """

    currency: str | None = None
    date: str | None = None
    utilisation: float | None = None
    per_hour: float | None = None
    purchase: float | None = None
    amortisation_years: float | None = None

    def __post_init__(self) -> None:
        amounts = (self.utilisation, self.per_hour, self.purchase, self.amortisation_years)
        if any(amount is not None and amount <= 0 for amount in amounts):
            raise ValueError("prices, periods and the utilisation are above 0")
        if self.utilisation is not None and self.utilisation > 1:
            raise ValueError("the utilisation is a share, at most 1")


def declared_price(declared: Plain) -> Price | Absent:
    """The price under `declare.price` of a cell; what is wrong in it is the reason."""
    try:
        return decode(Price, declared, "declare.price")
    except ConfigError as error:
        return Absent(str(error))


def price_per_second(price: Price) -> float | Absent:
    """What a second of useful work costs, idle time paid for too, in the price's currency."""
    fields: list[str] = ["currency", "date", "utilisation"]
    fields += ["per_hour"] if price.purchase is None else ["purchase", "amortisation_years"]
    lacking = [name for name in fields if getattr(price, name) is None]
    if lacking:
        return Absent(f"the declared price lacks {', '.join(lacking)}")
    if price.per_hour is not None and price.purchase is not None:
        return Absent("the declared price is both that of an hour and that of a purchase")
    assert price.utilisation is not None
    if price.purchase is not None and price.amortisation_years is not None:
        second = price.purchase / (price.amortisation_years * _S_PER_YEAR)
    else:
        assert price.per_hour is not None
        second = price.per_hour / _S_PER_HOUR
    return second / price.utilisation


def cost(rate: Measurement | None, price: Price | Absent) -> Mapping[str, Measurement]:
    """Cost per inference and inferences for the price.

    Args:
        rate: Inferences a second, or None where that was not measured.
        price: The declared price, or what is wrong with it.
    """
    second = price if isinstance(price, Absent) else price_per_second(price)
    reason = second.reason if isinstance(second, Absent) else _no_rate(rate)
    if reason is not None or isinstance(second, Absent) or isinstance(price, Absent):
        lacks = Absent(reason or "", 0 if rate is None else rate.n)
        return {item.name: measurement(item, lacks) for item in (PER_INFERENCE, PER_CURRENCY)}
    assert rate is not None
    assert rate.value is not None
    told = {"currency": price.currency or ""}
    return {
        PER_INFERENCE.name: _told(
            PER_INFERENCE, rate, second / rate.value, inverted(rate.interval, second), **told
        ),
        PER_CURRENCY.name: _told(
            PER_CURRENCY, rate, rate.value / second, scaled(rate.interval, 1 / second), **told
        ),
    }


def _no_rate(rate: Measurement | None) -> str | None:
    if rate is None:
        return "no throughput was measured"
    if rate.value is None:
        return rate.reason
    return None if rate.value > 0 else "the throughput is 0"


def _told(
    definition: Definition,
    rate: Measurement,
    value: float,
    interval: Interval | None,
    currency: str,
) -> Measurement:
    unit = definition.unit.replace("currency", currency)
    return replace(
        rate, value=value, unit=unit, interval=interval, version=definition.version, energy=None
    )
