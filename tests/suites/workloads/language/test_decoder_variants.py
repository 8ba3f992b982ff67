"""Variants of the decoder: what they tell of themselves, and that an engine runs each as it is."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from accelbench.adapters.engines.torch.engine import TorchEngine  # noqa: E402  (after the check)
from accelbench.harness.errors import TrialError  # noqa: E402  (likewise)
from accelbench.harness.load.agreement import agreement  # noqa: E402  (likewise)
from accelbench.harness.schema.protocols import Task  # noqa: E402  (likewise)
from accelbench.harness.schema.training import Practice  # noqa: E402  (likewise)
from accelbench.suites.workloads.language.decoder import Decoder  # noqa: E402  (likewise)

pytestmark = pytest.mark.torch

SIZES = {"hidden": 32, "layers": 2, "heads": 4, "kv_heads": 4, "intermediate": 48}
ASKED = {"words": "real", "prompt_tokens": 24, "prompt_spread": 0.5, "output_tokens": 6}
KINDS = {
    "full": Decoder(**SIZES, **ASKED),
    "multi-query": Decoder(**SIZES | {"kv_heads": 1}, **ASKED),
    "sliding": Decoder(**SIZES, **ASKED, attention="sliding", window=8),
    "linear": Decoder(**SIZES, **ASKED, attention="linear"),
    "experts": Decoder(**SIZES, **ASKED, experts=4),
}


@pytest.mark.parametrize("name", KINDS)
def test_an_engine_in_float32_gives_the_reference_answers(name):
    """Prompts of unequal lengths in one batch, padded, agree to the last token."""
    workload = KINDS[name]
    prompts = workload.prompts(4, 0)
    task, cpu = Task(workload, None, None, 0), torch.device("cpu")
    engine = TorchEngine(task, cpu, torch.float32, 4, Practice())
    steps = engine.generate_batch(prompts, lambda: None, lambda _: None)
    answers = torch.tensor(steps).T.tolist()
    texts = [workload.text(prompt, ids) for prompt, ids in zip(prompts, answers, strict=True)]
    assert agreement(workload, prompts, texts).value == 1.0


def test_geometry_tells_kinds_of_attention_and_experts():
    """In words, with the size of a window or of a state, and how the context is contained."""
    told = {name: workload.geometry() for name, workload in KINDS.items()}
    assert "whole context" in told["full"]["attention"]
    assert told["multi-query"]["attention"].startswith("multi-query")
    assert "window of 8 tokens" in told["sliding"]["attention"]
    assert "elu(x) + 1" in told["linear"]["attention"]
    assert "state of 576 float32 elements" in told["linear"]["context"]["contained"]
    assert told["experts"]["experts"]["count"] == 4
    assert told["experts"]["experts"]["per_token"] == 2
    assert told["experts"]["experts"]["capacity_factor"].startswith("none")
    limited = Decoder(**SIZES, experts=4, capacity=1.5).geometry()
    assert limited["experts"]["capacity_factor"] == 1.5


def test_a_cache_is_told_with_its_window_and_a_state_as_none():
    """Linear attention has no keys and values that grow."""
    assert KINDS["full"].kv(4.0).window is None
    assert KINDS["sliding"].kv(4.0).window == 8
    assert KINDS["linear"].kv(4.0) is None


@pytest.mark.parametrize(
    ("options", "own"),
    [({"attention": "linear"}, "linear attention"), ({"experts": 4, "capacity": 1.0}, "capacity")],
)
def test_what_no_other_engine_reads_is_not_exported(options, own, tmp_path):
    """The message names what it is."""
    with pytest.raises(TrialError, match=own):
        Decoder(**SIZES, **options).export(tmp_path)


def test_a_variant_leaves_the_prompts_as_they_are():
    """Only the model differs, so that what is compared is the same work."""
    assert KINDS["linear"].prompts(3, 1) == KINDS["full"].prompts(3, 1)
