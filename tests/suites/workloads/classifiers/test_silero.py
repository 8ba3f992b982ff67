"""Silero VAD: the real network, its real weights where they are here, and its known answers."""

import warnings

import numpy as np
import pytest

from accelbench.harness.errors import ForeignError, MissingPart, TrialError
from accelbench.suites.workloads.assets.catalogue import SILERO_VAD
from accelbench.suites.workloads.classifiers.silero import CHUNK, SileroVad

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.torch

needs_weights = pytest.mark.skipif(not SILERO_VAD.here(), reason="accelbench models get silero_vad")


def _drawn():
    """The network with weights that are drawn."""
    from accelbench.suites.workloads.classifiers.silero_network import SileroNetwork

    torch.manual_seed(0)
    model = SileroNetwork().eval()
    model.basis.normal_(std=0.1)
    return model


def test_a_chunk_depends_on_what_was_before_and_not_on_what_follows():
    """Audio that goes on is answered as it comes; every clip begins anew."""
    audio = torch.from_numpy(SileroVad(chunks=4).samples().batch([0, 1]))
    model = _drawn()
    with torch.no_grad():
        whole, begun = model(audio), model(audio[:, : 2 * CHUNK])
        later = model(audio[:, 2 * CHUNK :])
    assert whole.shape == (2, 4)
    assert torch.allclose(whole[:, :2], begun, atol=1e-6)
    assert not torch.allclose(whole[:, 2:], later, atol=1e-4)


def test_clips_are_short_or_long_and_their_answers_known():
    """Of the first chunks, whatever follows; speech and other sounds are among them."""
    short, long = SileroVad(chunks=3).samples(), SileroVad().samples()
    assert short.batch([5]).shape == (1, 3 * CHUNK)
    assert np.array_equal(short.spoken, long.spoken[:, :3])
    assert long.spoken.max() > 0.9
    assert long.spoken[3].max() < 0.1


def test_agreement_is_the_share_of_chunks_that_are_answered_alike():
    """Of the first answer to each clip."""
    samples = SileroVad(chunks=2).samples()
    right = samples.spoken[[0, 1]]
    off = right + np.array([[0.0, 0.5], [0.01, 0.0]])
    found = samples.figures([([0, 1], off), ([0], right[:1])])[0]
    assert (found.metric, found.value, found.n) == ("agreement", 0.75, 2)
    assert samples.figures([]) == ()


def test_weights_that_are_not_here_name_the_command(monkeypatch, tmp_path):
    """What is real about them is told all the same; other weights are refused."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(MissingPart, match="accelbench models get silero_vad"):
        SileroVad().model(None, 0)
    with pytest.raises(TrialError, match="published weights only"):
        SileroVad().model(tmp_path / "own.safetensors", 0)
    assert SileroVad().facts()["weights_sha256"] == SILERO_VAD.members[0].sha256


def test_a_file_that_is_no_such_network_is_told_in_one_line(tmp_path):
    """Other people's exceptions become ours."""
    from accelbench.suites.workloads.classifiers.silero_network import from_torchscript

    (tmp_path / "bad.jit").write_bytes(b"nothing")
    with pytest.raises(ForeignError, match=r"bad\.jit"):
        from_torchscript(tmp_path / "bad.jit")


def test_flops_are_those_of_its_layers_chunk_by_chunk():
    """Spectrum, four convolutions, the cell and the output, in closed form; no weights needed."""
    convolutions = 4 * 258 * 256 + 3 * (4 * 129 * 128 + 2 * 128 * 64 + 64 * 64 + 64 * 128)
    cell = 4 * 128 * (128 + 128)
    found = SileroVad(chunks=3).lower("forward", 2, 1, 0)
    assert found.flops == 2 * 2 * 3 * (convolutions + cell + 128)


@pytest.mark.parametrize("chunks", [0, 32])
def test_clips_without_known_answers_are_refused(chunks):
    """In one line."""
    with pytest.raises(ValueError, match="chunks must be 1 to 31"):
        SileroVad(chunks=chunks)


@needs_weights
def test_the_network_is_the_published_one():
    """Own layers and the published program say the same, and so do the known answers."""
    workload = SileroVad()
    samples = workload.samples()
    audio = torch.from_numpy(samples.batch(range(samples.count)))
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", DeprecationWarning)
        published = torch.jit.load(str(SILERO_VAD.find())).eval()
        theirs = torch.cat([published(part, 16_000) for part in audio.split(CHUNK, dim=1)], dim=1)
        ours = workload.model(None, 0).eval()(audio)
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert samples.figures([(range(samples.count), ours.numpy())])[0].value == 1.0
