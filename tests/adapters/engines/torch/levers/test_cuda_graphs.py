"""Calls replayed from CUDA graphs."""

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

needs_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def test_a_model_of_several_inputs_is_refused():
    """Before anything is recorded."""
    from accelbench.adapters.engines.torch.levers.graphs import GraphedCalls
    from accelbench.harness.errors import TrialError

    with pytest.raises(TrialError, match="models of one input"):
        GraphedCalls(torch.nn.Linear(8, 4)).prepare({"ids": torch.zeros(2, 8)})


@pytest.mark.gpu
@needs_a_gpu
@pytest.mark.parametrize(
    ("call", "error", "why"),
    [
        (lambda x: (x, x), "TrialError", "models of one output"),
        (lambda x: x * x.sum().item(), "ForeignError", "recording a CUDA graph"),
    ],
)
def test_what_cannot_be_recorded_is_refused_in_one_line(call, error, why):
    """A model of several outputs, and one that waits for the device."""
    from accelbench.adapters.engines.torch.levers.graphs import GraphedCalls
    from accelbench.harness import errors

    with pytest.raises(getattr(errors, error), match=why), torch.inference_mode():
        GraphedCalls(call).prepare(torch.randn(2, 8, device="cuda"))


@pytest.mark.gpu
@needs_a_gpu
def test_a_replayed_call_answers_as_the_model_does():
    """For each shape that was prepared; an answer stays when the next is made."""
    from accelbench.adapters.engines.torch.levers.graphs import GraphedCalls

    model = torch.nn.Linear(8, 4).cuda().eval()
    calls = GraphedCalls(model)
    first, second = (torch.randn(size, 8, device="cuda") for size in (2, 3))
    with torch.inference_mode():
        for inputs in (first, second):
            calls.prepare(inputs)
        answers = [calls(inputs) for inputs in (first, second, -first)]
        for answer, inputs in zip(answers, (first, second, -first), strict=True):
            torch.testing.assert_close(answer, model(inputs))
