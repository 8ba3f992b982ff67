"""Calls replayed from CUDA graphs."""

import pytest

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.torch,
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


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
