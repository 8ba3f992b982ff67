"""Adaptation: few parameters are trained, and at first nothing has changed."""

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

from accelbench.harness.errors import MissingPart  # noqa: E402  (after the check)
from accelbench.suites.workloads import extras  # noqa: E402  (likewise)
from accelbench.suites.workloads.language.adaptation import Adaptation  # noqa: E402  (likewise)

pytestmark = pytest.mark.torch


class Block(nn.Module):
    """Two linear layers, one of which is a place for adapters."""

    def __init__(self):
        super().__init__()
        self.q_proj = nn.Linear(8, 8, bias=False)
        self.mlp = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))

    def forward(self, x):
        """Shape as that of x."""
        return self.mlp(self.q_proj(x))


@pytest.fixture
def model():
    """Two blocks from one seed."""
    torch.manual_seed(0)
    return nn.Sequential(Block(), Block())


def adapted(model, method, rank=2):
    """The model, adapted at the places that it has."""
    if method == "lora":
        pytest.importorskip("peft")
    return Adaptation(method, rank).put_into(model, ["q_proj"], {".mlp": 8})


@pytest.mark.parametrize("method", ["none", "lora", "adapter"])
def test_an_adapted_model_begins_as_it_was(model, method):
    """The second factor and the way back up from the bottleneck are zero."""
    inputs = torch.randn(5, 8)
    before = model(inputs)
    torch.testing.assert_close(adapted(model, method)(inputs), before)


@pytest.mark.parametrize(
    ("method", "trained"),
    [("none", 2 * (64 + 280)), ("lora", 2 * 2 * 2 * 8), ("adapter", 2 * (2 * 2 * 8 + 2 + 8))],
)
def test_only_what_is_told_is_trained(model, method, trained):
    """The share is that of the parameters which change in a step."""
    own, how = adapted(model, method), Adaptation(method, 2)
    told = how.facts(own)
    assert told["trained_parameters"] == trained
    assert told["share"] == trained / sum(p.numel() for p in own.parameters())
    before = {name: value.clone() for name, value in own.state_dict().items()}
    optimiser = torch.optim.SGD([p for p in own.parameters() if p.requires_grad], lr=1.0)
    for _ in range(2):
        optimiser.zero_grad()
        own(torch.randn(5, 8)).square().sum().backward()
        optimiser.step()
    changed = {name for name, value in own.state_dict().items() if not torch.equal(value, before[name])}  # fmt: skip
    assert changed == {name for name, p in own.named_parameters() if p.requires_grad}


def test_facts_tell_rank_precision_and_library(model):
    """As far as the method has them."""
    told = Adaptation("adapter", 2).facts(adapted(model, "adapter"))
    assert (told["method"], told["rank"], told["adapter_precision"]) == ("adapter", 2, "float32")
    assert "alpha" not in told


def test_low_rank_factors_are_of_a_stated_library(model):
    """With its version, and the scale of the factors."""
    told = Adaptation("lora", 2, 4).facts(adapted(model, "lora"))
    assert told["alpha"] == 4
    assert told["library"].startswith("peft ")


def test_names_that_no_module_has_are_refused(model):
    """Nothing is frozen in silence."""
    with pytest.raises(ValueError, match="no module of the model is named"):
        Adaptation("adapter").put_into(model, [], {".attention": 8})


def test_without_peft_the_extra_is_named(model, monkeypatch):
    """The remedy is a command; adapters need no such library."""
    monkeypatch.setattr(extras.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingPart, match=r"accelbench\[peft\]"):
        Adaptation("lora").put_into(model, ["q_proj"], {})
    Adaptation("adapter").put_into(model, [], {".mlp": 8})


def test_a_rank_below_one_is_refused():
    """Nor a scale."""
    for wrong in ({"rank": 0}, {"alpha": 0}):
        with pytest.raises(ValueError, match="at least 1"):
            Adaptation("lora", **wrong)
