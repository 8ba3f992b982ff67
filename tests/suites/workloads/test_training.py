"""Training by gradient descent, whatever the family."""

import copy
from itertools import chain, islice

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402  (only with torch)

from accelbench.harness.errors import ForeignError, TrialError  # noqa: E402
from accelbench.harness.schema.quality import Quality  # noqa: E402
from accelbench.harness.schema.training import Practice  # noqa: E402
from accelbench.suites.workloads.training import GradientTraining  # noqa: E402

pytestmark = pytest.mark.torch


class Sums:
    """Teaches the sum of three numbers."""

    count = 22
    names_none = False

    def __init__(self):
        draw = torch.Generator().manual_seed(0)
        self.inputs = torch.randn(self.count, 3, generator=draw)
        self.asked = []

    def batch(self, indices, model):
        """Numbers and their sums; notes which were asked for."""
        self.asked.append(list(indices))
        chosen = self.inputs[list(indices)].to(next(model.parameters()).dtype)
        return chosen, chosen.sum(1, keepdim=True)

    def lengths(self, indices):
        """All alike."""
        return {1: len(indices)}

    def loss(self, model, batch):
        """Of squares."""
        return nn.functional.mse_loss(model(batch[0]), batch[1])

    def optimiser(self, model):
        """Adam."""
        return torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.01)

    def blocks(self, model):
        """All but the last layer."""
        return [] if self.names_none else list(model)[:-1]

    def evaluate(self, model):
        """The loss on all numbers."""
        assert not model.training
        assert not torch.is_grad_enabled()
        value = float(self.loss(model, (self.inputs, self.inputs.sum(1, keepdim=True))))
        return [Quality("loss", "test", value, self.count)]

    def facts(self):
        """In words."""
        return {"optimizer": "Adam", "loss": "squares"}


class NoBlocks(Sums):
    """The same, of a model that names nothing to recompute."""

    names_none = True


def network(seed=0, middle=nn.Tanh):
    """A network of four layers that always begins the same."""
    torch.manual_seed(seed)
    inner = nn.Sequential(middle(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8))
    return nn.Sequential(nn.Linear(3, 8), inner, nn.Linear(8, 1))


def normed(_=None):
    """A middle with batch normalisation."""
    return nn.BatchNorm1d(8)


def trained(model, practice=None, *, batch_size=4, steps=6, lesson=None, seed=7):
    """A run after some steps, and the parts of steps that it told."""
    training = GradientTraining(model, lesson or Sums(), batch_size, seed, practice or Practice())
    marks = []
    batches = islice(training.batches(0), steps)
    losses = [training.step(batch, marks.append).loss for batch in batches]
    return training, marks, losses


def same(one, other, **tolerance):
    """Whether two models have the same weights and buffers."""
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.allclose(a, b, **tolerance) for a, b in pairs)


def test_each_epoch_has_all_samples_once_in_its_own_order():
    """Batches are full but for the last; the order depends on the seed and the epoch alone."""
    orders = []
    for seed, epoch in ((7, 0), (7, 0), (7, 1), (8, 0)):
        lesson = Sums()
        training = GradientTraining(network(), lesson, 4, seed, Practice())
        torch.manual_seed(len(orders))
        assert len(list(training.batches(epoch))) == 6
        orders.append(lesson.asked)
    assert [len(part) for part in orders[0]] == [4, 4, 4, 4, 4, 2]
    assert sorted(chain(*orders[0])) == list(range(22))
    assert orders[0] == orders[1]
    assert len({str(order) for order in orders}) == 3


def test_a_batch_is_made_when_it_is_asked_for():
    """So that its making can be timed as input."""
    lesson = Sums()
    batches = iter(GradientTraining(network(), lesson, 4, 7, Practice()).batches(0))
    assert lesson.asked == []
    next(batches)
    assert len(lesson.asked) == 1


def test_a_step_tells_its_parts_and_leaves_the_loss_on_the_device():
    """Forward, backward, optimiser; the loss is that before the step."""
    model, lesson = network(), Sums()
    before = copy.deepcopy(model)
    training = GradientTraining(model, lesson, 4, 7, Practice())
    batch = next(iter(training.batches(0)))
    marks = []
    step = training.step(batch, marks.append)
    assert marks == ["forward", "backward", "optimizer"]
    assert step.samples == 4
    assert isinstance(step.loss, torch.Tensor)
    assert not step.loss.requires_grad
    assert float(step.loss) == pytest.approx(lesson.loss(before, batch[0]).item())
    assert not same(model, before)


def test_micro_batches_add_up_to_the_step_of_the_whole_batch():
    """Each is marked; a last batch that is not full weighs each of its samples alike."""
    whole, _, losses = trained(model := network(), batch_size=4)
    parts, marks, again = trained(split := network(), Practice(accumulate=4), batch_size=4)
    assert same(model, split, atol=1e-6)
    assert torch.allclose(torch.stack(losses), torch.stack(again), atol=1e-6)
    assert marks[:9] == ["forward", "backward"] * 4 + ["optimizer"]
    assert parts.facts()["gradient_accumulation"] == 4
    assert whole.facts()["gradient_accumulation"] == 1


def test_lengths_are_those_of_the_micro_batches_without_making_them():
    """In the order of the batches, those of one process alone, the smaller last one too."""
    lesson = Sums()
    training = GradientTraining(network(), lesson, 4, 7, Practice(accumulate=2))
    told = [[dict(part) for part in parts] for parts in training.lengths(0)]
    assert lesson.asked == []
    assert told == [[{1: 2}, {1: 2}]] * 5 + [[{1: 1}, {1: 1}]]
    shared = GradientTraining(network(), Sums(), 4, 7, Practice(rank=1, ranks=2))
    assert list(shared.lengths(0)) == [[{1: 2}]] * 5


def test_what_is_computed_again_is_counted():
    """The FLOPs of the blocks in a micro-batch, by hand; none are told where nothing is."""
    training, _, _ = trained(network(), Practice(checkpointing=True, accumulate=2), batch_size=4)
    products = 3 * 8 + 8 * 8 + 8 * 8
    assert training.facts()["recomputed"] == {"flops": 2 * 2 * products, "samples": 2}
    kept, _, _ = trained(network())
    assert "recomputed" not in kept.facts()


def test_processes_share_each_batch_evenly():
    """Together they take it whole; one that cannot be shared evenly is left out."""
    taken = []
    for rank in range(2):
        lesson = Sums()
        training = GradientTraining(network(), lesson, 4, 7, Practice(rank=rank, ranks=2))
        assert len(list(training.batches(0))) == 5
        taken.append(lesson.asked)
    alone = Sums()
    list(GradientTraining(network(), alone, 4, 7, Practice()).batches(0))
    for mine, other, whole in zip(*taken, alone.asked, strict=False):
        assert len(mine) == len(other) == 2
        assert sorted(mine + other) == sorted(whole)


@pytest.mark.parametrize(
    ("batch_size", "practice", "told"),
    [
        (6, Practice(accumulate=4), "no multiple of accumulate 4"),
        (6, Practice(accumulate=2, ranks=2), "no multiple"),
        (24, Practice(ranks=2), "above the 22 samples"),
    ],
)
def test_a_batch_that_cannot_be_shared_is_refused(batch_size, practice, told):
    """The message has the numbers."""
    with pytest.raises(ValueError, match=told):
        GradientTraining(network(), Sums(), batch_size, 0, practice)


@pytest.mark.parametrize("middle", [nn.Tanh, normed])
def test_recomputed_activations_change_nothing_but_memory(middle):
    """Weights and the statistics of batch normalisation are those of a run that keeps them."""
    kept, _, _ = trained(model := network(middle=middle))
    dropped, _, _ = trained(other := network(middle=middle), Practice(checkpointing=True))
    assert same(model, other)
    told, less = kept.facts(), dropped.facts()
    assert less["bytes"]["activations"] < told["bytes"]["activations"]
    assert told["memory"]["activation_checkpointing"] == "none"
    assert "block" in less["memory"]["activation_checkpointing"]


def test_recomputation_needs_blocks():
    """A model that names none is refused in one line that says what to do."""
    with pytest.raises(TrialError, match=r"names no blocks.*checkpointing=false"):
        GradientTraining(network(), NoBlocks(), 4, 0, Practice(checkpointing=True))


@pytest.mark.parametrize("kind", ["bf16", "fp16"])
def test_arithmetic_may_be_narrower_than_the_weights(kind):
    """Weights stay in float32 and learn; with fp16 the loss is scaled, yet told unscaled."""
    exact, _, losses = trained(network(), batch_size=1, steps=22)
    training, _, narrow = trained(
        model := network(), Practice(autocast=kind), batch_size=1, steps=22
    )
    assert {own.dtype for own in model.parameters()} == {torch.float32}
    assert float(narrow[0]) == pytest.approx(float(losses[0]), rel=0.02)
    learned = training.evaluate()[0].value
    assert learned < GradientTraining(network(), Sums(), 4, 7, Practice()).evaluate()[0].value
    facts = training.facts()
    assert (facts["autocast"], exact.facts()["autocast"]) == (kind, "none")
    assert facts["loss_scaling"] == ("dynamic" if kind == "fp16" else "none")


def test_bytes_of_training_are_those_that_are_there():
    """Frozen parameters have neither gradients nor state; before the first step nobody has."""
    model = network()
    for own in model[0].parameters():
        own.requires_grad = False
    training = GradientTraining(model, Sums(), 4, 7, Practice())
    assert training.facts()["bytes"]["gradients"] == 0
    training.step(next(iter(training.batches(0))), lambda _: None)
    facts = training.facts()
    learned = 2 * (8 * 8 + 8) + 8 + 1
    assert facts["trained_parameters"] == learned
    assert facts["bytes"]["weights"] == 4 * (learned + 3 * 8 + 8)
    assert facts["bytes"]["gradients"] == 4 * learned
    assert facts["bytes"]["optimizer_state"] == 4 * (2 * learned + 6)  # moments, and a step each
    assert facts["bytes"]["activations"] > 0
    assert facts["optimizer"] == "Adam"


def test_telling_facts_leaves_the_run_as_it_is():
    """A forward pass for the activations changes no statistics, weights, modes or random state."""
    training, _, _ = trained(model := network(middle=normed))
    model.eval()
    before = copy.deepcopy(model.state_dict())
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    assert training.facts() == training.facts()
    assert torch.equal(torch.rand(1), expected)
    assert not model.training
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())


def test_evaluation_is_in_its_own_mode():
    """Without gradients; the next step trains again."""
    training, _, _ = trained(model := network(middle=lambda: nn.Dropout(0.5)))
    first = training.evaluate()
    assert first == training.evaluate()
    training.step(next(iter(training.batches(1))), lambda _: None)
    assert model.training


def test_saved_weights_have_each_tensor_once(tmp_path):
    """Tied weights are written under one name."""
    from safetensors.torch import load_file

    model = network()
    model.append(nn.Linear(8, 1))
    model[3].weight = model[2].weight
    GradientTraining(model, Sums(), 4, 7, Practice()).save(tmp_path / "w.safetensors")
    saved = load_file(tmp_path / "w.safetensors")
    assert set(model.state_dict()) - set(saved) == {"3.weight"}
    assert torch.equal(saved["2.weight"], model[2].weight)


def test_weights_that_cannot_be_written_are_told_in_one_line(tmp_path):
    """The message names the file."""
    training = GradientTraining(network(), Sums(), 4, 7, Practice())
    with pytest.raises(ForeignError, match=r"w\.safetensors: saving the weights"):
        training.save(tmp_path / "nowhere" / "w.safetensors")
