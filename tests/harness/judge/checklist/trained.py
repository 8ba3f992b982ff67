"""Facts that our engines tell of training, of each kind that the checklist asks about."""

from dataclasses import replace

from accelbench.harness.schema.scenario import TrainToTarget

ONE_EPOCH = TrainToTarget("train_to_target", "accuracy", 0.0, 512, 1)
A_LOSS = TrainToTarget("train_to_target", "loss", 1e9, 2, 1)


def trained_facts(facts, folder):
    """Of recomputation, spiking neurons, experts, adapters, and several devices.

    Args:
        facts: Runs a trial: (adapter, builder, scenario, folder).
        folder: For its files.
    """
    from accelbench.adapters.engines.torch.adapter import TorchAdapter
    from accelbench.adapters.engines.torch.distributed.adapter import TorchDistributedAdapter
    from accelbench.adapters.engines.torch.distributed.facts import way_facts
    from accelbench.suites.workloads.classifiers.cnn import Cnn
    from accelbench.suites.workloads.classifiers.spiking import Spiking
    from accelbench.suites.workloads.language.language_model import LanguageModel

    text = folder / "text"
    text.write_text("All happy families are alike. " * 20)
    shape = {"hidden": 16, "layers": 1, "heads": 2, "kv_heads": 1, "intermediate": 16}
    dense = LanguageModel(**shape, text_path=str(text), sequence_tokens=17)
    routed = replace(dense, experts=2, experts_per_token=1)
    staged = TorchDistributedAdapter(strategy="pipeline", microbatches=4)
    sent = {"send": {"calls": 8.0, "bytes": 1024.0}}
    recomputed = facts(
        TorchAdapter(checkpointing=True), Cnn(channels=2, hidden=4), ONE_EPOCH, folder
    )
    return [
        recomputed,
        facts(TorchAdapter(), Spiking(hidden=8), ONE_EPOCH, folder),
        facts(TorchAdapter(), routed, A_LOSS, folder),
        facts(TorchAdapter(), replace(dense, adaptation="adapter", rank=2), A_LOSS, folder),
        {**recomputed, **way_facts(staged, sent)},
    ]
