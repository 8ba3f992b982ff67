"""What becomes of a load when the server does one thing wrong: counted, with a reason, in time."""

import time

import pytest

from tests.harness.load.http.misbehaving import misbehaving
from tests.harness.load.http.plans import plan


@pytest.mark.parametrize(
    ("behaviour", "options", "status", "reason"),
    [
        ("refuse", {}, "failed", "refused"),
        ("close_at_once", {}, "failed", "closed"),
        ("partial_head", {}, "failed", "closed"),
        ("half_stream", {}, "failed", "2 arrivals"),
        ("reset_mid_stream", {}, "failed", "2 arrivals"),
        ("too_many_requests", {}, "failed", "HTTP 429"),
        ("internal_error", {}, "failed", "HTTP 500"),
        ("bad_json", {}, "failed", "not JSON"),
        ("error_event", {}, "failed", ""),
        ("wrong_type", {}, "failed", "content type"),
        ("zero_tokens", {}, "failed", "no token"),
        ("bad_chunk_size", {}, "failed", "chunk"),
        ("length_too_long", {}, "failed", "closed"),
        ("length_too_short", {}, "failed", "beyond the end"),
        ("redirect", {}, "failed", "HTTP 30"),
        ("no_done", {}, "ok", None),
        ("no_usage", {}, "ok", None),
        ("continue_first", {}, "ok", None),
        ("close_after_answer", {}, "ok", None),
    ],
)
def test_each_fault_becomes_a_status_with_a_reason(load, behaviour, options, status, reason):
    """Each of three requests is a record; none is lost, and none hangs."""
    with misbehaving(behaviour, **options) as url:
        (part,) = load(url, plan(3))
    assert part.replies["number"].to_pylist() == [0, 1, 2]
    assert part.replies["status"].to_pylist() == [status] * 3
    for error in part.replies["error"].to_pylist():
        assert (error is None) if reason is None else (reason in error), error


@pytest.mark.parametrize("behaviour", ["hang", "endless", "slow_loris"])
def test_a_server_that_never_ends_an_answer_costs_the_time_limit_of_a_request(load, behaviour):
    """The request times out, and what came of it is kept."""
    began = time.monotonic()
    options = {"gap_s": 0.02} if behaviour == "endless" else {}
    with misbehaving(behaviour, **options) as url:
        (part,) = load(url, plan(2, users=2), timeout_s=0.5)
    assert part.replies["status"].to_pylist() == ["timeout"] * 2
    assert time.monotonic() - began < 10
    if behaviour == "endless":
        assert part.arrivals.num_rows > 10


def test_the_time_limit_of_a_trial_ends_what_a_long_timeout_would_not(load):
    """When the trial's time is up nothing is waited for; what was sent is a record."""
    with misbehaving("hang") as url:
        (part,) = load(url, plan(50, users=2), timeout_s=60.0, limit_s=1.0)
    assert part.replies["status"].to_pylist() == ["timeout"] * 2
    assert "time limit of the trial" in part.replies["error"][0].as_py()


def test_an_answer_of_too_many_bytes_is_given_up(load):
    """A line of a hundred megabytes neither fills the memory nor holds up the others."""
    with misbehaving("long_line") as url:
        (part,) = load(url, plan(2, users=2), response_bytes=1_000_000)
    assert part.replies["status"].to_pylist() == ["failed"] * 2
    assert "1000000 bytes" in part.replies["error"][0].as_py()


def test_a_server_that_dies_leaves_a_record_of_every_request(load):
    """What it answered is ok, what it was answering is closed, what came after is refused."""
    with misbehaving("dies_after", requests=3) as url:
        (part,) = load(url, plan(10))
    status = part.replies["status"].to_pylist()
    assert status[:3] == ["ok"] * 3
    assert status[3:] == ["failed"] * 7


def test_an_idle_connection_that_the_server_closed_costs_a_new_one_and_no_request(load):
    """A request that such a connection took in vain is sent once more, at its first due instant."""
    with misbehaving("close_after_answer") as url:
        (part,) = load(url, plan(20))
    assert set(part.replies["status"].to_pylist()) == {"ok"}


def test_a_connection_that_was_given_up_is_not_given_up_twice(load):
    """After a malformed answer the loop goes on; the descriptor may be another connection's."""
    with misbehaving("bad_chunk_size") as url:
        (part,) = load(url, plan(30, due_s=[0.02 * k for k in range(30)]), timeout_s=0.1)
    assert part.replies["status"].to_pylist() == ["failed"] * 30
