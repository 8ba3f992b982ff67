"""Facts that our engine tells of inference, of each family and lever that the checklist asks about."""

from dataclasses import replace

from accelbench.harness.schema.scenario import Offline, SingleStream

ALL_AT_ONCE = Offline("offline", 2, 4)
ONE_BY_ONE = SingleStream("single_stream", 2)


def inferred_facts(facts, folder):
    """Of recurrence, graphs, encoders, experts, exits, spikes, pruned and quantised weights.

    Args:
        facts: Runs a trial: (adapter, builder, scenario, folder).
        folder: For its files.
    """
    from accelbench.adapters.engines.torch.adapter import TorchAdapter
    from accelbench.adapters.engines.torch.levers.options import Levers
    from accelbench.suites.workloads.classifiers.early_exit import EarlyExit
    from accelbench.suites.workloads.classifiers.gnn import GraphNetwork
    from accelbench.suites.workloads.classifiers.mlp import Mlp
    from accelbench.suites.workloads.classifiers.rnn import Recurrent
    from accelbench.suites.workloads.classifiers.spiking import Spiking
    from accelbench.suites.workloads.language.decoder import Decoder
    from accelbench.suites.workloads.language.encoder import Encoder
    from accelbench.suites.workloads.language.encoder_decoder import EncoderDecoder

    plain, narrow = TorchAdapter(), Mlp(width=8, depth=1)
    tiny = Decoder(32, 1, 2, 1, 64, output_tokens=3, prompt_tokens=8)
    classifiers = (
        Recurrent(sequences="digit_columns", hidden=4),
        GraphNetwork(nodes=1500, hidden=4),
        EarlyExit(widths=(2, 2)),
        Spiking(hidden=8),
        Encoder(hidden=16, layers=1, heads=2, intermediate=16, tokens=16),
    )
    generators = (
        replace(tiny, experts=2, experts_per_token=1),
        replace(tiny, attention="linear", kv_heads=2),
        EncoderDecoder(hidden=16, encoder_layers=1, decoder_layers=1, heads=2, head_dim=8),
    )
    levers = (Levers(quantization="ternary"), Levers(sparsity="unstructured", sparse_kernel="csr"))
    return [
        facts(TorchAdapter(profile=True), narrow, ALL_AT_ONCE, folder),
        *(facts(plain, builder, ALL_AT_ONCE, folder) for builder in classifiers),
        *(facts(plain, builder, ONE_BY_ONE, folder) for builder in generators),
        *(facts(TorchAdapter(levers=lever), narrow, ALL_AT_ONCE, folder) for lever in levers),
    ]
