"""Mixtures of experts: what routers say is counted, and capacity drops what is beyond it."""

import itertools

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from accelbench.harness.schema.builders import Counts  # noqa: E402  (after the check)
from accelbench.suites.workloads.language import experts  # noqa: E402  (torch)
from accelbench.suites.workloads.language.decoder import Decoder  # noqa: E402  (likewise)

pytestmark = pytest.mark.torch

SIZES = {"hidden": 32, "layers": 2, "heads": 4, "kv_heads": 2, "intermediate": 48, "experts": 4}


def test_every_token_is_counted_once_for_each_of_its_experts():
    """In each layer; of calls within the window alone, many tokens and few alike."""
    workload = Decoder(**SIZES)
    assert isinstance(workload, Counts)
    model, clock = workload.model(None, 0).eval(), itertools.count()
    with torch.inference_mode(), workload.counting(model, lambda: next(clock)) as counted:
        model(torch.randint(0, 256, (1, 50)))
        model(torch.randint(0, 256, (1, 3)))
    model(torch.randint(0, 256, (1, 7)))
    for window, tokens in (((0, 4), 53), ((0, 2), 50), ((2, 4), 3), ((4, 99), 0)):
        *given, dropped = counted.counts(*window)
        assert [one.name for one in given] == ["moe.expert_tokens"] * 8
        assert {one.scope for one in given} == {
            f"layer {layer}, expert {expert}" for layer in range(2) for expert in range(4)
        }
        for layer in range(2):
            assert sum(one.value for one in given[4 * layer : 4 * layer + 4]) == 2 * tokens
        assert (dropped.name, dropped.value) == ("moe.dropped_tokens", 0)


def test_counting_changes_no_answer():
    """The logits are those of the model that nobody watches."""
    workload = Decoder(**SIZES)
    model, ids = workload.model(None, 0).eval(), torch.randint(0, 256, (2, 9))
    with torch.inference_mode():
        alone = model(ids).logits
        with workload.counting(model, lambda: 0):
            assert torch.equal(model(ids).logits, alone)


def test_a_dense_decoder_counts_nothing():
    """It has no router."""
    assert Decoder(hidden=32, layers=1, heads=4).counting(None, lambda: 0) is None


@pytest.mark.parametrize("capacity", [0.25, 0.5, 1.0])
def test_no_expert_takes_more_than_its_capacity(capacity):
    """What is given and what is dropped make all that routers asked for."""
    workload = Decoder(**SIZES, capacity=capacity)
    model, tokens = workload.model(None, 0).eval(), 40
    with torch.inference_mode(), workload.counting(model, lambda: 0) as counted:
        model(torch.randint(0, 256, (1, tokens)))
    *given, dropped = counted.counts(0, 1)
    assert max(one.value for one in given) <= capacity * tokens * 2 / 4
    assert sum(one.value for one in given) + dropped.value == 2 * 2 * tokens
    assert dropped.value > 0 or capacity == 1.0


def test_room_enough_gives_the_answers_of_room_without_end():
    """A capacity that nothing exceeds drops nothing."""
    ids = torch.randint(0, 256, (1, 12))
    with torch.inference_mode():
        free, roomy = (
            Decoder(**SIZES, capacity=room).model(None, 0).eval()(ids).logits
            for room in (None, 4.0)
        )
    torch.testing.assert_close(roomy, free, rtol=1e-4, atol=1e-5)


def test_first_choices_and_earlier_tokens_keep_their_place():
    """Second choices go first, then later tokens; a dropped choice has no weight and no expert."""

    class Router:
        """One of two experts."""

        num_experts = 2

    chosen = torch.tensor([[0, 1], [0, 1], [0, 1], [1, 0]])
    weights = torch.full((4, 2), 0.5)
    _, left, kept = experts._limited(0.75)(Router(), None, (None, weights, chosen))
    assert kept.tolist() == [[0, 1], [0, 1], [0, 2], [1, 2]]
    assert left.tolist() == [[0.5, 0.5], [0.5, 0.5], [0.5, 0.0], [0.5, 0.0]]
