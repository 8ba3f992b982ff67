"""Quantities as people read them."""

import pytest

from accelbench.harness.units import human


@pytest.mark.parametrize(
    ("value", "unit", "told"),
    [
        (0.0123, "s", "12.3 ms"),
        (1234.5, "token/s", "1.23 ktoken/s"),
        (0.909, "request/s", "0.909 request/s"),
        (0.0021, "J/token", "2.1 mJ/token"),
        (0.123456, "1", "0.1235"),
        (0.0, "s", "0 s"),
    ],
)
def test_a_quantity_has_three_digits_and_a_prefix_that_makes_sense(value, unit, told):
    """What is counted has no thousandths; shares are written plainly."""
    assert human(value, unit) == told
