"""What all classifiers of images have in common."""

import subprocess
import sys

import numpy as np
import pytest

from accelbench.harness.errors import ForeignError, TrialError
from accelbench.harness.schema.builders import Answers, Generates, Records, Trains
from accelbench.harness.schema.training import Practice
from accelbench.suites.workloads.classifiers.cnn import Cnn
from accelbench.suites.workloads.classifiers.cnn_residual import ResNet
from accelbench.suites.workloads.classifiers.cnn_separable import SeparableCnn
from accelbench.suites.workloads.classifiers.diffusion import Diffusion
from accelbench.suites.workloads.classifiers.early_exit import EarlyExit
from accelbench.suites.workloads.classifiers.mlp import Mlp
from accelbench.suites.workloads.classifiers.vit import Vit

pytest.importorskip("sklearn")
torch = pytest.importorskip("torch")

pytestmark = pytest.mark.torch

SMALL = (
    Mlp(width=16, depth=2),
    Cnn(channels=4, hidden=8),
    ResNet(width=4),
    SeparableCnn(width=4, channels=(8, 8), strides=(1, 2)),
    EarlyExit(widths=(4, 8)),
    Vit(hidden=16, blocks=2, heads=2, intermediate=16),
    Diffusion(width=8, heads=2, steps=10),
)
FAMILIES = pytest.mark.parametrize("workload", SMALL, ids=lambda one: one.name)


def same(one, other):
    """Whether two models have the same weights."""
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def trained(workload, *, steps=2, batch_size=16, practice=None):
    """A model and its run, after some steps."""
    model = workload.model(None, 0)
    training = workload.training(model, batch_size, 0, practice or Practice())
    batches = iter(training.batches(0))
    for _ in range(steps):
        training.step(next(batches), lambda _: None)
    return model, training


@FAMILIES
def test_it_answers_trains_and_records_and_does_not_generate(workload):
    """As the protocols have it."""
    assert isinstance(workload, Answers)
    assert isinstance(workload, Trains)
    assert isinstance(workload, Records)
    assert not isinstance(workload, Generates)


def test_importing_a_builder_imports_no_engine():
    """A plan is checked on machines that have none."""
    modules = ("cnn_residual", "cnn_separable", "diffusion", "early_exit", "mlp", "vit")
    imports = "; ".join(f"import accelbench.suites.workloads.classifiers.{one}" for one in modules)
    check = "import sys; print(bool({'torch', 'sklearn', 'safetensors'} & set(sys.modules)))"
    told = subprocess.run(
        [sys.executable, "-c", f"{imports}; {check}"], capture_output=True, text=True, check=True
    )
    assert told.stdout == "False\n"


@FAMILIES
def test_the_seed_alone_decides_the_initial_weights(workload):
    """The global random state neither matters nor is touched."""
    torch.manual_seed(5)
    first = workload.model(None, 1)
    drawn = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(1))
    assert same(first, workload.model(None, 1))
    assert not same(first, workload.model(None, 2))


@FAMILIES
def test_saved_weights_come_back_unchanged(workload, tmp_path):
    """What a training run saves is the model that was trained."""
    model, training = trained(workload)
    training.save(tmp_path / "weights.safetensors")
    assert same(model, workload.model(tmp_path / "weights.safetensors", seed=9))
    assert not same(model, workload.model(None, 0))


def test_weights_of_another_network_are_refused_in_one_line(tmp_path):
    """The message names the file, and what did not fit."""
    _, training = trained(Cnn(channels=2, hidden=4))
    training.save(tmp_path / "weights.safetensors")
    with pytest.raises(ForeignError, match=r"weights\.safetensors: loading the weights") as found:
        Cnn(channels=4, hidden=4).model(tmp_path / "weights.safetensors", 0)
    assert "\n" not in str(found.value)


@FAMILIES
def test_a_step_lowers_the_loss_on_its_own_batch(workload):
    """What is learned is learned by the gradients of this loss."""
    _, training = trained(workload, steps=0)
    batch = next(iter(training.batches(0)))
    losses = [float(training.step(batch, lambda _: None).loss) for _ in range(12)]
    assert losses[-1] < losses[0]


@FAMILIES
def test_samples_are_answered_one_by_one_as_in_a_batch(workload):
    """An answer does not depend on what else is in the batch."""
    model, samples = trained(workload)[0].eval(), workload.samples()

    def answer(indices):
        batch = samples.batch(indices)
        with torch.no_grad():
            if isinstance(batch, dict):
                return model(**{name: torch.from_numpy(array) for name, array in batch.items()})
            return model(torch.from_numpy(batch))

    together = answer([3, 1, 2])
    assert together.shape[0] == 3
    for row, index in zip(together, (3, 1, 2), strict=True):
        assert torch.allclose(answer([index])[0], row, atol=1e-5)


@FAMILIES
def test_narrow_weights_are_given_narrow_inputs(workload):
    """Real numbers come in the model's format; a step and an evaluation are possible."""
    model = workload.model(None, 0).to(torch.bfloat16)
    training = workload.training(model, 8, 0, Practice())
    step = training.step(next(iter(training.batches(0))), lambda _: None)
    assert step.samples == 8
    assert np.isfinite(float(step.loss))
    assert training.evaluate()[0].n == workload.samples().count


@FAMILIES
def test_activations_of_blocks_may_be_recomputed(workload):
    """The run is the same, and keeps less; ReLU keeps nothing that the next layer does not."""
    model, training = trained(workload)
    other, less = trained(workload, practice=Practice(checkpointing=True))
    pairs = zip(model.state_dict().values(), other.state_dict().values(), strict=True)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in pairs)
    kept = [run.facts()["bytes"]["activations"] for run in (training, less)]
    assert kept[1] == kept[0] if workload.name == "mlp" else kept[1] < kept[0]


@FAMILIES
def test_every_phase_is_lowered_and_its_flops_are_torchs_own(workload):
    """Forward, and the parts of a training step, of a batch of 3; nothing is run for it."""
    from torch.utils.flop_counter import FlopCounterMode

    phases = ("forward", "train.forward", "train.backward", "train.optimizer")
    graphs = {phase: workload.lower(phase, 3, 1, 0) for phase in phases}
    with torch.device("meta"):
        model, inputs = workload.lowered_network().train(), workload.example(3)
        truths = workload.truths(3)
    with FlopCounterMode(display=False) as counted:
        answer = model(**inputs) if isinstance(inputs, dict) else model(inputs)
        forward = counted.get_total_flops()
        workload.loss(answer, truths).backward()
    assert graphs["forward"].flops == graphs["train.forward"].flops == forward
    assert {graph.parameters for graph in graphs.values()} == {
        sum(own.numel() for own in model.parameters())
    }
    assert graphs["forward"].workload == workload.name
    if not isinstance(workload, SeparableCnn):
        both = graphs["train.forward"].flops + graphs["train.backward"].flops
        assert both == counted.get_total_flops()
    assert {graph.phase for graph in workload.recordings()} >= set(phases)


def test_a_phase_that_there_is_not_is_refused():
    """A classifier has no prefill."""
    with pytest.raises(TrialError, match="prefill"):
        Mlp(width=16).lower("prefill", 1, 1, 0)


@FAMILIES
def test_facts_tell_the_data_and_how_it_is_trained(workload):
    """Optimiser and step size are those of the training run."""
    facts = workload.facts()
    optimiser = workload.training(workload.model(None, 0), 8, 0, Practice()).optimiser
    told = facts["training"]["optimizer"]
    assert type(optimiser).__name__ in told
    assert f"{optimiser.defaults['lr']:g}" in told
    assert facts["training"]["loss"]
    assert facts["weights"] == "random"
    assert facts["data"]["kind"] == ("converted" if workload.name == "diffusion" else "real")
    assert facts["data"]["sha256"]


@FAMILIES
def test_geometry_says_that_all_images_have_one_size(workload):
    """So there is nothing to pad."""
    geometry = workload.geometry()
    assert geometry["input_shapes"] == {"1x8x8": 1.0}
    assert geometry["padding"]["share"] == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"learning_rate": 0}, "learning_rate"),
        ({"image_side": 0}, "image_side"),
        ({"image_side": 16}, "8 x 8"),
        ({"classes": 3}, "10 classes"),
        ({"images": "noise", "classes": 0}, "classes"),
    ],
)
def test_options_out_of_range_are_refused(options, told):
    """In one line that names the option."""
    with pytest.raises(ValueError, match=told):
        Mlp(**options)


def test_noise_is_answered_and_learned_but_not_scored():
    """Images of another size are synthetic, and no accuracy is told of them."""
    workload = Mlp(width=8, images="noise", image_channels=3, image_side=4, classes=5)
    _, training = trained(workload)
    assert training.evaluate() == ()
    assert workload.facts()["data"]["kind"] == "synthetic"
    assert workload.samples().batch([0]).shape == (1, 3, 4, 4)
