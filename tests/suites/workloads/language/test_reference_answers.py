"""What the decoder itself would answer, which an engine's answers are held against."""

import pytest

from accelbench.harness.load.agreement import agreement
from accelbench.harness.schema.builders import KnowsAnswers
from accelbench.suites.workloads.classifiers.cnn import Cnn
from accelbench.suites.workloads.fake import FakeClassifier
from accelbench.suites.workloads.language.decoder import Decoder
from accelbench.suites.workloads.language.export import text_of
from accelbench.suites.workloads.requests.served import Served

TINY = Decoder(
    hidden=32,
    layers=2,
    heads=4,
    kv_heads=2,
    intermediate=48,
    vocab=300,
    words="real",
    prompt_tokens=8,
    prompt_spread=0.5,
    output_tokens=6,
    output_spread=0.5,
)


def test_only_a_workload_whose_model_runs_here_knows_its_answers():
    """Not one that classifies, not one that pretends, and not one that a server holds."""
    assert isinstance(TINY, KnowsAnswers)
    for other in (Cnn(), FakeClassifier(), Served(model_name="m")):
        assert not isinstance(other, KnowsAnswers)
        assert agreement(other, TINY.prompts(1, 0), ["x"]) is None


def test_a_token_beyond_characters_is_written_as_a_server_writes_it():
    """By the name that the exported tokenizer has for it."""
    assert text_of([72, 105, 233, 256]) == "Hi\xe9<unused_256>"


@pytest.mark.torch
def test_the_reference_is_the_model_s_own_greedy_answer():
    """Token by token without a cache, of as many tokens as asked, whoever it was run with."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    prompts = TINY.prompts(5, 1)
    model = TINY.model(None, 0).eval()
    wanted = []
    for prompt in prompts:
        ids = list(prompt.tokens)
        for _ in range(prompt.output_tokens):
            with torch.inference_mode():
                ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
        wanted.append(TINY.text(prompt, ids[len(prompt.tokens) :]))
    assert TINY.reference(prompts) == wanted
    assert len({prompt.output_tokens for prompt in prompts}) > 1
