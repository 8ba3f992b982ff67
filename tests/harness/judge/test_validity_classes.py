"""A class of a mix that did not come through is told."""

from accelbench.harness.judge.case import Case
from accelbench.harness.judge.outcome import too_few_samples
from accelbench.harness.metrics.observation import Observation


def row(number, name, status="ok", due=None):
    """A request of a class, one second long."""
    at = number if due is None else due
    timed = {"due": at, "sent": at, "done": at + 1}
    return {"id": str(number), **timed, "status": status, "class": name}


def test_a_class_without_a_completed_request_is_told(make_trial, make_rules):
    """Failed, or due outside the window: nothing is known of it. Other classes do not help."""

    def told(*rows):
        """What the code says of these requests."""
        seen = Observation(make_trial(10.0, requests=list(rows)))
        return too_few_samples(Case(seen, {}, make_rules(samples=1), None))

    assert told(row(0, "a"), row(1, "b")) is None
    assert told(row(0, None), row(1, None)) is None
    complaint = "no request of class b was completed in the window"
    assert complaint in told(row(0, "a"), row(1, "b", "failed"))
    assert complaint in told(row(0, "a"), row(1, "b", due=-3))
    assert "class b, c was" in told(row(0, "a"), row(1, "b", "failed"), row(2, "c", due=20))
