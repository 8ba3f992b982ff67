"""What a test set tells of a model that PyTorch runs."""

import pytest

from accelbench.adapters.engines.torch.adapter import TorchAdapter
from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.scenario import SingleStream
from accelbench.suites.workloads.classifiers.early_exit import EarlyExit

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.torch


def test_random_weights_have_no_quality_but_go_so_deep(task, run):
    """Where samples leave decides how long they take, whether they are right or not."""
    builder = EarlyExit(widths=(4, 4), threshold=0.2)
    with TorchAdapter(threads=1).open(task(builder)) as session:
        found = measure(run(session, SingleStream("single_stream", 30)), None)
    assert found["quality"].value is None
    assert not [name for name in found if name.startswith("quality.")]
    assert 1 <= found["exit.depth"].value <= 2
    assert found["exit.share.1"].value + found["exit.share.2"].value == pytest.approx(1)
    assert found["exit.depth"].n == 30
