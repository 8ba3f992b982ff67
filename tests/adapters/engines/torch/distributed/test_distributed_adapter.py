"""What the adapter for several devices can do, before any process is started."""

import pytest

from accelbench.adapters.engines.torch.distributed.adapter import TorchDistributedAdapter
from accelbench.adapters.engines.torch.distributed.facts import way_facts
from accelbench.harness.schema.scenario import Offline, TrainToTarget
from accelbench.suites.workloads.classifiers.mlp import Mlp
from accelbench.suites.workloads.fake import FakeGenerator

TRAIN = TrainToTarget("train_to_target", "accuracy", 0.9, 32, 1)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"devices": 0}, "devices must be at least 1"),
        ({"microbatches": 0}, "microbatches must be at least 1"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"bucket_mb": 0.0}, "above 0"),
        ({"patience_s": 0.0}, "above 0"),
        ({"zero_stage": 2}, "ddp has zero_stage 0 or 1, got 2"),
        ({"strategy": "fsdp", "zero_stage": 1}, "fsdp has zero_stage 2 or 3, got 1"),
        ({"strategy": "none"}, "2 devices need a strategy"),
        ({"strategy": "pipeline"}, "needs as many microbatches"),
        ({"strategy": "pipeline", "microbatches": 2, "overlap": False}, "cannot be off"),
    ],
)
def test_options_that_make_no_sense_are_refused_in_words(options, why):
    """Before anything is started."""
    with pytest.raises(ValueError, match=why):
        TorchDistributedAdapter(**options)


def test_it_trains_and_does_nothing_else():
    """Inference is for another adapter; what is not trained is for none here."""
    adapter = TorchDistributedAdapter()
    assert adapter.supports(Mlp(), TRAIN) is None
    assert "adapter=torch" in adapter.supports(Mlp(), Offline("offline", 1, 1))
    assert adapter.supports(FakeGenerator(), TRAIN) is not None


def test_a_pipeline_is_for_the_cpu():
    """Its messages could not be noted with NCCL."""
    staged = TorchDistributedAdapter(strategy="pipeline", microbatches=2, device="cuda")
    assert "on the CPU alone" in staged.supports(Mlp(), TRAIN)


@pytest.mark.parametrize(
    ("options", "parallel"),
    [
        ({"devices": 1, "strategy": "fsdp"}, (1, 1, 1, 0)),
        ({"devices": 4}, (4, 1, 1, 0)),
        ({"devices": 4, "zero_stage": 1}, (4, 1, 4, 1)),
        ({"devices": 2, "strategy": "fsdp"}, (2, 1, 2, 3)),
        ({"devices": 2, "strategy": "pipeline", "microbatches": 4}, (1, 2, 1, 0)),
    ],
)
def test_degrees_of_each_way_are_facts(options, parallel):
    """Data, pipeline, sharded optimiser and ZeRO stage; one device is alone whatever it is told."""
    told = way_facts(TorchDistributedAdapter(**options), {})["parallel"]
    names = ("data", "pipeline", "sharded_optimizer", "zero_stage")
    assert tuple(told[name] for name in names) == parallel


def test_overlap_is_told_as_it_is():
    """On the CPU FSDP waits for each collective; a device alone has nothing to overlap."""
    told = way_facts(TorchDistributedAdapter(), {})["communication"]
    assert (told["backend"], told["overlap"]) == ("gloo", True)
    assert not way_facts(TorchDistributedAdapter(overlap=False), {})["communication"]["overlap"]
    sharded = TorchDistributedAdapter(strategy="fsdp")
    assert not way_facts(sharded, {})["communication"]["overlap"]
    assert "communication" not in way_facts(TorchDistributedAdapter(devices=1), {})
