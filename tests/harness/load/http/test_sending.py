"""Loads that are sent by real dispatchers to a null server."""

import numpy as np

from accelbench.harness.load.http.calibration import errors
from accelbench.harness.load.http.null_server import NullServer
from accelbench.harness.load.http.sending import processes_for
from tests.harness.load.http.plans import plan


def late_s(part):
    """Sent less due of each request, in seconds."""
    replies = part.replies
    return (replies["sent_ns"].to_numpy() - replies["due_ns"].to_numpy()) / 1e9


def test_every_request_of_a_schedule_is_sent_once_and_keeps_its_due_instant(load):
    """What was planned stands in the replies, from the common start on."""
    due_s = [0.0, 0.01, 0.01, 0.05]
    with NullServer(tokens=4) as server:
        (part,) = load(server.url, plan(4, due_s=due_s))
    assert part.replies["number"].to_pylist() == [0, 1, 2, 3]
    due_ns = part.replies["due_ns"].to_numpy() - part.start_ns
    assert due_ns.tolist() == [0, 10_000_000, 10_000_000, 50_000_000]
    assert (late_s(part) >= 0).all()
    assert part.replies["output_tokens"].to_pylist() == [4] * 4
    assert part.arrivals["count"].to_pylist() == [1] * 16


def test_a_schedule_shared_by_several_processes_stays_one_schedule(load):
    """Two dispatchers send the same instants that one would, from one start."""
    due_s = np.arange(40) * 0.005
    with NullServer(tokens=2) as server:
        (part,) = load(server.url, plan(40, due_s=due_s), processes=2)
    assert len(part.answers) == 2
    due_ns = part.replies["due_ns"].to_numpy() - part.start_ns
    assert due_ns.tolist() == np.rint(due_s * 1e9).astype(int).tolist()
    assert set(part.replies["status"].to_pylist()) == {"ok"}


def test_users_of_several_processes_take_requests_from_one_source(load):
    """Each request is sent by one of them, none twice and none not at all."""
    with NullServer(tokens=2) as server:
        (part,) = load(server.url, plan(101, users=5), processes=2)
    assert part.replies["number"].to_pylist() == list(range(101))
    assert set(part.replies["status"].to_pylist()) == {"ok"}


def test_a_closed_loop_never_has_more_on_its_way_than_it_has_users(load):
    """At every instant at most so many requests are between sending and end."""
    with NullServer(tokens=3, first_s=0.002) as server:
        (part,) = load(server.url, plan(60, users=4))
    sent = part.replies["sent_ns"].to_numpy()
    done = part.replies["done_ns"].to_numpy()
    open_at = [int(((sent <= at) & (done > at)).sum()) for at in sent]
    assert max(open_at) == 4


def test_the_samples_of_a_query_are_due_together_when_the_last_query_is_done(load):
    """The next query waits for the slowest sample of the one before."""
    with NullServer(tokens=2, first_s=0.001) as server:
        (part,) = load(server.url, plan(6, group=3))
    due = part.replies["due_ns"].to_pylist()
    done = part.replies["done_ns"].to_pylist()
    assert due[:3] == [part.start_ns] * 3
    assert due[3:] == [max(done[:3])] * 3


def test_offline_requests_are_all_due_at_the_start_after_the_warm_up(load):
    """The warm-up is sent by itself; the rest is due at one instant, whenever it is sent."""
    with NullServer(tokens=2, first_s=0.001) as server:
        warmup, part = load(server.url, plan(12, mode="start", users=2, warmup=3))
    assert warmup.replies["number"].to_pylist() == [0, 1, 2]
    assert part.replies["due_ns"].to_pylist() == [part.start_ns] * 9
    assert max(warmup.replies["done_ns"].to_pylist()) < part.start_ns
    assert late_s(part).max() > 0.002


def test_with_one_slot_response_times_grow_as_the_schedule_implies(load):
    """Half the rate that is offered can be served: each request waits longer than the last."""
    service_s, gap_s, count = 0.05, 0.01, 10
    with NullServer(tokens=1, first_s=service_s, slots=1) as server:
        (part,) = load(server.url, plan(count, due_s=np.arange(count) * gap_s, tokens=1))
    replies = part.replies
    response = (replies["done_ns"].to_numpy() - replies["due_ns"].to_numpy()) / 1e9
    expected = service_s + np.arange(count) * (service_s - gap_s)
    assert (response >= expected - 0.001).all()
    assert late_s(part).max() < service_s


def test_a_cap_on_open_requests_is_seen_as_lateness_and_loses_nothing(load):
    """What is due beyond the cap is sent late; its response time counts from when it was due."""
    with NullServer(tokens=1, first_s=0.02) as server:
        (part,) = load(server.url, plan(5, due_s=[0.0] * 5, cap=1, tokens=1))
    late = np.sort(late_s(part))
    assert (late >= np.arange(5) * 0.02 - 0.001).all()
    assert part.replies["status"].to_pylist() == ["ok"] * 5


def test_stamps_agree_with_those_of_the_server(load):
    """Ours come after the server's, and are near them."""
    with NullServer(tokens=8, first_s=0.002, gap_s=0.001) as server:
        (part,) = load(server.url, plan(40, users=2, tokens=8), stamped=True)
    found = errors(part)
    assert found["ttft"].size == found["e2e"].size == 40
    assert found["itl"].size == 40 * 7
    assert (found["ttft"] > 0).all()
    assert np.median(found["ttft"]) < 0.005
    assert abs(np.median(found["itl"])) < 0.002


def test_connections_are_used_again(load):
    """A single user opens one connection for all its requests."""
    with NullServer(tokens=2) as server:
        (part,) = load(server.url, plan(30))
    (answer,) = part.answers
    assert len(answer.tally.opened_ns) == 1
    assert answer.tally.resends == 0
    assert answer.tally.cpu_s > 0
    assert answer.reading_s > 0


def test_what_cannot_be_shared_is_sent_by_one_process():
    """A cap, and a query of several samples, need one who sees all requests."""
    assert processes_for(4, plan(9, due_s=range(9))) == 4
    assert processes_for(4, plan(9, due_s=range(9), cap=2)) == 1
    assert processes_for(4, plan(9, group=3)) == 1
    assert processes_for(4, plan(9, users=2)) == 2
