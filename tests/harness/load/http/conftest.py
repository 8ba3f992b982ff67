"""Loads against the servers of tests."""

import time

import pytest

from accelbench.harness.load.http.sending import send
from accelbench.harness.load.http.target import Target


@pytest.fixture
def load():
    """Sends a plan to a URL; returns the parts of it that were sent."""

    def sent(url, wanted, *, limit_s=20.0, **target):
        until_ns = time.perf_counter_ns() + int(limit_s * 1e9)
        options = {"timeout_s": 5.0, **target}
        return send(Target(url, "model", **options), wanted, until_ns, lambda _: None)

    return sent
