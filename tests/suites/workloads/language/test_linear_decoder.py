"""Linear attention: one sum, whichever way it is computed, and a state of constant size."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from accelbench.suites.workloads.language.decoder_network import random_model  # noqa: E402  (likewise)
from accelbench.suites.workloads.language.linear_network import (  # noqa: E402  (torch)
    CHUNK,
    attend,
    state_elements,
)
from accelbench.suites.workloads.language.shape import Shape  # noqa: E402  (likewise)

pytestmark = pytest.mark.torch

SHAPE = Shape(32, 2, 4, 4, 48, 256, 512, attention="linear")


@pytest.fixture(scope="module")
def model():
    """A small decoder with linear attention."""
    return random_model(SHAPE.config(), 0).eval()


@pytest.mark.parametrize("tokens", [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5])
def test_chunks_give_the_sum_over_all_tokens_before(tokens):
    """Each answer is the weighted mean of its formula, summed pair by pair in float64."""
    torch.manual_seed(0)
    queries, keys, turned_queries, turned_keys = torch.rand(4, 1, 2, tokens, 8).unbind()
    values, state, total = torch.randn(1, 2, tokens, 8), torch.rand(1, 2, 8, 8), torch.rand(1, 2, 8)
    answers, _ = attend((queries, keys), (turned_queries, turned_keys), values, (state, total))
    seen = torch.ones(tokens, tokens).tril().double()
    weights = (turned_queries.double() @ turned_keys.double().mT) * seen
    above = weights @ values.double() + turned_queries.double() @ state.double()
    below = ((queries.double() @ keys.double().mT) * seen).sum(-1, keepdim=True)
    below += (queries.double() * total.double().unsqueeze(-2)).sum(-1, keepdim=True)
    torch.testing.assert_close(answers.double(), above / below, rtol=1e-4, atol=1e-5)


def test_token_by_token_is_all_at_once(model):
    """Decoding from the state gives the logits of one prefill over the same tokens."""
    ids = torch.randint(0, 256, (2, CHUNK + 6))
    with torch.inference_mode():
        whole, state, steps = model(ids).logits, None, []
        for place in range(ids.shape[1]):
            told = model(ids[:, place : place + 1], past_key_values=state, logits_to_keep=1)
            state = told.past_key_values
            steps.append(told.logits)
    torch.testing.assert_close(torch.cat(steps, dim=1), whole, rtol=1e-4, atol=1e-5)


def test_padding_on_the_left_changes_nothing(model):
    """With a mask and positions as the engine tells them."""
    ids = torch.randint(0, 256, (1, 20))
    padded = torch.nn.functional.pad(ids, (5, 0))
    mask = torch.nn.functional.pad(torch.ones_like(ids), (5, 0))
    places = (mask.cumsum(-1) - 1).clamp(min=0)
    with torch.inference_mode():
        alone = model(ids, logits_to_keep=1).logits
        beside = model(padded, attention_mask=mask, position_ids=places, logits_to_keep=1).logits
    torch.testing.assert_close(beside, alone, rtol=1e-4, atol=1e-5)


def test_what_comes_later_changes_no_logits_before(model):
    """It is causal."""
    ids = torch.randint(0, 256, (1, 30))
    other = ids.clone()
    other[:, 20:] = (other[:, 20:] + 1) % 256
    with torch.inference_mode():
        torch.testing.assert_close(model(ids).logits[:, :20], model(other).logits[:, :20])


def test_the_state_does_not_grow(model):
    """Its elements are those told, after three tokens and after a hundred; sums are float32."""
    for tokens in (3, 100):
        with torch.inference_mode():
            state = model.to(torch.bfloat16)(
                torch.zeros(1, tokens, dtype=torch.long)
            ).past_key_values
        kept = [part for layer in state.layers for part in layer]
        assert sum(part.numel() for part in kept) == state_elements(SHAPE.config())
        assert {part.dtype for part in kept} == {torch.float32}
    model.float()
