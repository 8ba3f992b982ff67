"""A machine, rules and works for trials with PyTorch."""

import pytest

from accelbench.harness.schema.platform import Platform
from accelbench.harness.schema.protocols import Task, Work
from accelbench.harness.schema.recorder import Recorder
from accelbench.harness.schema.rules import Limits, Rules


@pytest.fixture
def task():
    """Makes a task of a builder, with or without trained weights."""
    sheet = Platform("here", "this machine", "cpu", {}, (), None, None, (), ("none",))

    def make(builder, weights=None, seed=3):
        return Task(builder, sheet, weights, seed)

    return make


@pytest.fixture
def run(tmp_path):
    """Runs one trial of a scenario in an open session and returns its trace."""

    def trial(session, scenario, warmup=1, seed=4):
        rules = Rules("test", "-", 1, warmup, "shared", 60, 0, Limits(), (), ())
        recorder = Recorder(session.clock)
        session.execute(Work(scenario, rules, seed, tmp_path), recorder)
        return recorder.freeze("measured", precision=session.precision)

    return trial
