"""How the costs of many calls add up."""

import pytest

from accelbench.harness.simulation.cost import (
    Cost,
    Coverage,
    OperatorCost,
    bound_shares,
    least_coverage,
    mean_utilisation,
)


def cost(bound: str, seconds: float, utilisation: float, covered: float) -> Cost:
    """The cost of a graph of one operator."""
    return Cost(
        seconds=seconds,
        energy_j={},
        operators=(OperatorCost("op", 1, seconds, 1.0, bound),),
        coverage=Coverage(covered, covered / 2),
        utilisation=utilisation,
    )


BILL = [(3, cost("compute", 1.0, 0.5, 1.0)), (1, cost("HBM", 2.0, 0.25, 0.8))]


def test_shares_of_what_bounds_are_shares_of_time() -> None:
    """Three seconds bound by compute and two by memory are 60 % and 40 %."""
    assert bound_shares(BILL) == {"compute": pytest.approx(0.6), "HBM": pytest.approx(0.4)}


def test_no_time_has_no_shares_and_no_utilisation() -> None:
    """Where no time passed there is nothing to divide by, and no 0 in its place."""
    nothing = [(5, cost("compute", 0.0, 0.0, 1.0))]
    assert bound_shares(nothing) == {}
    assert mean_utilisation(nothing) is None


def test_coverage_of_a_trial_is_that_of_its_worst_graph() -> None:
    """One graph of which a fifth is unknown makes the whole trial known to four fifths."""
    assert least_coverage(BILL) == Coverage(operators=0.8, flops=0.4)


def test_utilisation_is_averaged_over_time() -> None:
    """Half the peak for 3 s and a quarter for 2 s are 0.4 of it."""
    assert mean_utilisation(BILL) == pytest.approx(0.4)
