"""What a trial under a profiler tells, and what it does not."""

WORK = {"name": "f", "kind": "steady", "start": 0, "end": 4, "flops": 8e9, "bytes": 2e9}
KERNEL = {"name": "k", "kind": "kernel", "start": 1, "end": 3}
ROW = {"id": "0", "due": 0, "sent": 0, "done": 4, "status": "ok", "samples": 2}
EVAL = {"at": 4, "metric": "accuracy", "split": "test", "value": 0.9, "n": 10}


def test_where_time_went_counts_and_work_are_told(make_trace, values):
    """They are the same with and without a profiler."""
    tables = {"requests": [ROW], "phases": [WORK, KERNEL], "evals": [EVAL]}
    plain = values(make_trace(**tables))
    watched = values(make_trace(head={"profiled": True}, **tables))
    for name in ("overhead.ratio", "flops.total", "intensity", "quality.accuracy"):
        assert watched[name] == plain[name] is not None


def test_times_and_rates_are_not(make_trace, values):
    """A profiler makes them longer, so each says that another trial tells."""
    tables = {"requests": [ROW], "phases": [WORK, KERNEL]}
    plain = values(make_trace(**tables))
    watched = values(make_trace(head={"profiled": True}, **tables))
    assert plain.keys() == watched.keys()
    for name in ("e2e.service.mean", "tp.samples", "tp.requests", "flops.achieved"):
        assert plain[name] is not None
        assert watched[name] is None
