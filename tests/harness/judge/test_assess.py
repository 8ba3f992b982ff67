"""What follows from a trial's trace, whenever it is asked."""

from types import SimpleNamespace

import pytest

from accelbench.harness.judge.assess import assess
from accelbench.harness.schema.cell import Gate
from accelbench.harness.schema.trace import Target


@pytest.fixture
def cell(make_rules):
    """A cell whose workload has a gate; no sheet."""
    workload = SimpleNamespace(gate=Gate("accuracy", 0.9))
    return SimpleNamespace(platform=None, rules=make_rules(), workload=workload)


def in_turn(services):
    """Requests of these service times, one a second."""
    return [
        {"id": str(k), "due": k, "sent": k, "done": k + taken, "status": "ok"}
        for k, taken in enumerate(services)
    ]


def test_an_assessment_is_measurements_reasons_status_and_class(make_trial, cell):
    """The same for the same trace."""
    trace = make_trial(requests=in_turn([0.1] * 50 + [0.2] * 50))
    found = assess(trace, cell)
    assert found == assess(trace, cell)
    assert found.measurements["e2e.service.p50"].n == 100
    assert [reason.code for reason in found.reasons] == ["quality_below_gate", "unsteady"]
    assert (found.status, found.steady_state) == ("invalid", "slow-down")


def test_simulated_machines_and_training_are_free_of_the_gate(make_trial, cell):
    """The first compute nothing, the second has a target of its own."""
    work = in_turn([0.1] * 50)
    simulated = make_trial(head={"clock": "simulated", "evidence": "simulated"}, requests=work)
    assert assess(simulated, cell).reasons == ()
    evals = [{"at": 9, "metric": "accuracy", "split": "test", "value": 0.5, "n": 10}]
    head = {"target": Target("accuracy", "test", 0.5)}
    assert assess(make_trial(head=head, requests=work, evals=evals), cell).reasons == ()


def test_a_trial_without_service_times_has_no_class(make_trial, cell):
    """Nothing was finished."""
    found = assess(make_trial(requests=[]), cell)
    assert found.steady_state is None
    assert found.status == "invalid"
