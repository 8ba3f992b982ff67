"""What training steps ask for, from graphs of the sizes that their micro-batches had."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from accelbench.harness.errors import TrialError
from accelbench.harness.load.engines import Demand, DemandOf
from accelbench.harness.load.training_demand import training_demand
from accelbench.harness.schema.opgraph import Operator, OpGraph
from accelbench.harness.schema.training import Lengths

WEIGHTS = 100


class Lowers:
    """Passes of `tokens` squared FLOPs a sample, over weights that are read once a call."""

    def lower(self, phase: str, batch: int, tokens: int, context: int) -> OpGraph:
        """The backward pass is twice the forward pass; the optimiser moves the weights."""
        kind = phase.removeprefix("train.")
        passes = {"forward": 1, "backward": 2, "optimizer": 0}[kind]
        moved = WEIGHTS + passes * batch * tokens
        one = Operator("op", 1, (), (), "float32", passes * batch * tokens**2, moved, 0)
        return OpGraph("lowers", phase, batch, tokens, context, (one,), (), WEIGHTS)


class Run:
    """A run of micro-batches of these lengths, the same in each epoch."""

    def __init__(self, *batches: Sequence[Lengths]) -> None:
        self.batches = batches

    def lengths(self, epoch: int) -> Iterator[Sequence[Lengths]]:  # noqa: ARG002  (all alike)
        """Those of each batch."""
        yield from self.batches


class Unlike:
    """A run whose graph is another."""

    def lengths(self, epoch: int) -> Iterator[Sequence[Lengths]]:
        """None."""
        raise TrialError(f"the graph of epoch {epoch} is of the mean")


def demand() -> DemandOf:
    """Of the workload, in float32."""
    lowers: Any = Lowers()
    return DemandOf(lowers, "fp32")


def found(run: Any, steps: Sequence[int] = (1,), **told: Any) -> Any:
    """What a run asked for."""
    return training_demand(run, told, steps, demand())


def test_each_micro_batch_is_of_its_own_size() -> None:
    """The last batch of an epoch is smaller; as many steps count as were done in each epoch."""
    run = Run([{1: 4}, {1: 4}], [{1: 3}, {1: 2}])
    asked = found(run, (2, 1))
    assert [[part.flops for part in step.forward] for step in asked.steps] == [
        [4, 4],
        [3, 2],
        [4, 4],
    ]
    assert [part.moved for part in asked.steps[1].backward] == [4 * 106, 4 * 104]
    assert [step.optimizer for step in asked.steps] == [[Demand(0, 400)]] * 3
    assert asked.flops == 3 * (8 + 5 + 8)
    assert asked.moves
    assert asked.steps[1].of("forward", 1) == Demand(2, 408)
    assert asked.steps[1].of("forward", 2) is asked.steps[1].of("communication", 0) is None


def test_samples_of_several_lengths_are_not_padded_and_weights_are_read_once() -> None:
    """FLOPs by each length; what a batch moves whatever its samples counts once."""
    (step,) = found(Run([{2: 3, 5: 1}])).steps
    (forward,) = step.forward
    assert forward == Demand(3 * 4 + 25, 4 * (WEIGHTS + 3 * 2 + 5))


def test_devices_that_share_out_the_optimiser_do_a_share_of_it_each() -> None:
    """The passes are whole on each."""
    run: Any = Run([{1: 4}])
    (step,) = training_demand(run, {}, (1,), demand(), shares=2).steps
    assert step.optimizer == [Demand(0, 200)]
    assert step.forward == [Demand(4, 416)]


@pytest.mark.parametrize(
    ("run", "why"),
    [
        (Unlike(), "not told: the graph of epoch 0 is of the mean"),
        (object(), "not told: the run does not tell how long its samples are"),
    ],
)
def test_a_graph_of_other_sizes_gives_no_figure_but_a_reason(run: Any, why: str) -> None:
    """In the place where it would say how it counted."""
    asked = found(run)
    assert (asked.steps, asked.moves, asked.recomputed) == ((), False, None)
    assert asked.facts == {"flops_counting": why, "traffic": why}
    unknown = training_demand(run, {}, (1,), None)
    assert "this device's part" in str(unknown.facts["flops_counting"])


def test_under_autocast_bytes_are_not_told() -> None:
    """Because elements are of several sizes; FLOPs are the same."""
    asked = found(Run([{1: 4}]), autocast="bf16")
    assert asked.flops == 12
    assert not asked.moves
    assert "autocast" in str(asked.facts["traffic"])


@pytest.mark.parametrize(("lengths", "flops"), [([{1: 4}, {1: 3}], 21.0), ([{1: 4}, {2: 3}], None)])
def test_what_is_computed_again_grows_with_the_samples(
    lengths: Sequence[Mapping[int, int]], flops: float | None
) -> None:
    """Where all are alike; of others one micro-batch does not tell the next."""
    again = {"flops": 12, "samples": 4}
    assert found(Run(lengths), recomputed=again).recomputed == flops
    assert found(Run(lengths)).recomputed is None


@pytest.mark.torch
def test_a_batch_of_texts_asks_for_what_its_texts_ask_for() -> None:
    """One of each length by itself, or together: the FLOPs are the same, the weights read once."""
    pytest.importorskip("transformers")
    from accelbench.suites.workloads.language.encoder_classifier import EncoderClassifier

    builder = EncoderClassifier(hidden=32, layers=1, heads=2, intermediate=64)
    of = DemandOf(builder, "fp32")
    for phase in ("train.forward", "train.backward"):
        both = of.mixed(phase, {9: 2, 17: 3})
        alike = of.call(phase, 2, 9), of.call(phase, 3, 17)
        assert both.flops == sum(one.flops for one in alike)
        assert max(one.moved for one in alike) < both.moved < sum(one.moved for one in alike)
        assert of.mixed(phase, {9: 2}) == alike[0]


@pytest.mark.torch
def test_packed_sequences_are_of_no_graph_and_padded_ones_are() -> None:
    """The graph takes the mean number of steps for each sequence."""
    pytest.importorskip("torch")
    from accelbench.harness.schema.training import Practice
    from accelbench.suites.workloads.classifiers.rnn import Recurrent

    for lengths, told in (("packed", "not told: the operator graph takes"), ("padded", "analytic")):
        builder: Any = Recurrent(sequences="digit_columns", hidden=4, lengths=lengths)
        run = builder.training(builder.model(None, 0), 512, 0, Practice())
        asked = training_demand(run, {}, (1,), DemandOf(builder, "fp32"))
        assert str(asked.facts["flops_counting"]).startswith(told)
        assert bool(asked.steps) == (lengths == "padded")
