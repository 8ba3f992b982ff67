"""What a workload can be asked to do follows from the methods that its builder has."""

from typing import Any

import pytest

from accelbench.harness.errors import TrialError
from accelbench.harness.load.abilities import (
    exporting,
    generating,
    lacks,
    lacks_files,
    lacks_to_generate,
)
from accelbench.harness.schema.arrivals import Constant
from accelbench.harness.schema.scenario import (
    ClosedLoop,
    MultiStream,
    Offline,
    OpenLoop,
    Scenario,
    SingleStream,
    Sustainable,
    TrainToTarget,
)
from accelbench.harness.schema.trace import ServiceLevel
from accelbench.suites.workloads.fake import FakeClassifier, FakeGenerator

SAMPLES, PROMPTS = FakeClassifier(), FakeGenerator()
QUEUES: tuple[Scenario, ...] = (
    ClosedLoop("closed_loop", 2, 6),
    OpenLoop("open_loop", Constant("constant", 100.0), 4),
    Sustainable("sustainable", Constant("constant", 1.0), 10, ServiceLevel(e2e_s=0.1)),
)
IN_TURN: tuple[Scenario, ...] = (
    SingleStream("single_stream", 1),
    Offline("offline", 1, 1),
    MultiStream("multi_stream", 4, 5),
)
TRAIN = TrainToTarget("train_to_target", "accuracy", 0.9, 8, 2)


class Taught(FakeClassifier):
    """A workload that is trained."""

    def training(self, model: Any, batch_size: int, seed: int, practice: Any) -> Any:
        """Never asked for here."""


class Silent:
    """A builder that neither answers nor generates."""


class Written(FakeGenerator):
    """A workload that writes its model."""

    def export(self, folder: Any) -> Any:
        """Never asked for here."""


@pytest.mark.parametrize("scenario", QUEUES)
def test_samples_do_not_queue(scenario: Scenario) -> None:
    """A load with a queue is for what generates, and the scenario is named."""
    assert scenario.kind.replace("_", " ") in (lacks(SAMPLES, scenario) or "")
    assert lacks(PROMPTS, scenario) is None


@pytest.mark.parametrize("scenario", IN_TURN)
def test_samples_and_prompts_are_asked_in_turn(scenario: Scenario) -> None:
    """Both kinds can do what has no queue."""
    assert lacks(SAMPLES, scenario) is lacks(PROMPTS, scenario) is None


def test_only_what_is_trained_is_trained() -> None:
    """It takes a training run of its own, whatever else the workload does."""
    assert "trained" in (lacks(SAMPLES, TRAIN) or "")
    assert "trained" in (lacks(PROMPTS, TRAIN) or "")
    assert lacks(Taught(), TRAIN) is None


def test_a_builder_that_does_nothing_is_told_so() -> None:
    """Neither samples nor tokens."""
    silent: Any = Silent()
    assert "neither" in (lacks(silent, IN_TURN[0]) or "")


def test_a_server_generates_and_nothing_else() -> None:
    """No training, no samples; prompts under any load."""
    assert "a server" in (lacks_to_generate(PROMPTS, TRAIN, "a server") or "")
    assert "tokens" in (lacks_to_generate(SAMPLES, IN_TURN[0], "a server") or "")
    assert [lacks_to_generate(PROMPTS, one, "a server") for one in QUEUES] == [None] * 3


def test_another_engine_needs_files() -> None:
    """A workload that writes none is told apart before anything is started."""
    assert "vLLM" in (lacks_files(PROMPTS, "vLLM") or "")
    assert lacks_files(Written(), "vLLM") is None


def test_who_asks_for_what_is_not_there_is_refused() -> None:
    """In one line of ours, not by a missing attribute."""
    with pytest.raises(TrialError, match="does not generate"):
        generating(SAMPLES)
    with pytest.raises(TrialError, match="no model files"):
        exporting(PROMPTS)
    written = Written()
    assert generating(PROMPTS) is PROMPTS
    assert exporting(written) is written
