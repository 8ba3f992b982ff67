"""The voice activity detector Silero VAD (16 kHz) in PyTorch, layer by layer."""

import warnings
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from accelbench.harness.foreign import foreign
from accelbench.suites.workloads.classifiers.silero import CHUNK
from accelbench.suites.workloads.lowering.subject import Subject

CONTEXT = 64
"""Samples of the chunk before that are put before a chunk."""

_WINDOW, _HOP, _BANDS, _STATE = 256, 128, 129, 128
_CHANNELS = ((_BANDS, 128, 1), (128, 64, 2), (64, 64, 2), (64, 128, 1))
"""Channels in and out and stride of each convolution over the frames of a chunk."""


class SileroNetwork(nn.Module):
    """A short-time spectrum, four convolutions, an LSTM cell and a single output a chunk."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("basis", torch.zeros(2 * _BANDS, 1, _WINDOW))
        self.encoder = nn.ModuleList(
            nn.Conv1d(into, out, kernel_size=3, stride=stride, padding=1)
            for into, out, stride in _CHANNELS
        )
        self.cell = nn.LSTMCell(_STATE, _STATE)
        self.head = nn.Conv1d(_STATE, 1, kernel_size=1)

    def forward(self, audio: Tensor) -> Tensor:
        """The probability of speech in each chunk, shape (batch, chunks).

        Every clip begins with an empty state; a chunk is computed when the one before it is, as
        where audio comes from a microphone.

        Args:
            audio: Shape (batch, samples); whole chunks.
        """
        before = audio.new_zeros(audio.shape[0], CONTEXT)
        state: tuple[Tensor, Tensor] | None = None
        spoken = []
        for chunk in torch.split(audio, CHUNK, dim=1):
            state = self.cell(self._features(torch.cat([before, chunk], dim=1)), state)
            spoken.append(torch.sigmoid(self.head(functional.relu(state[0]).unsqueeze(-1))))
            before = chunk[:, -CONTEXT:]
        return torch.cat(spoken, dim=2).squeeze(1)

    def _features(self, heard: Tensor) -> Tensor:
        """What the convolutions make of one chunk and its context, shape (batch, 128)."""
        filled = functional.pad(heard.unsqueeze(1), (0, CONTEXT), mode="reflect")
        waves = functional.conv1d(filled, cast("Tensor", self.basis), stride=_HOP)
        found = (waves[:, :_BANDS].square() + waves[:, _BANDS:].square()).sqrt()
        for layer in self.encoder:
            found = functional.relu(layer(found))
        return found.squeeze(-1)


def subject(chunks: int) -> Subject:
    """The pass over clips of so many chunks, for lowering; it is not trained."""

    def forward(model: nn.Module, batch: int, tokens: int, context: int) -> Tensor:  # noqa: ARG001  (has no tokens)
        return cast("Tensor", model(torch.empty(batch, chunks * CHUNK)))

    return Subject("silero_vad", SileroNetwork, {"forward": forward})


def from_torchscript(path: Path) -> SileroNetwork:
    """The network with the weights of the published file, of which no code is run.

    Raises:
        ForeignError: The file cannot be read, or holds other tensors.
    """
    with foreign("loading the weights", where=path.name), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript, which the file is
        loaded = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]  # torch's is untyped
        published = loaded.state_dict()
        model = SileroNetwork()
        model.load_state_dict({own: published[theirs] for own, theirs in _names().items()})
    return model


def _names() -> dict[str, str]:
    """The published name of each tensor."""
    names = {"basis": "_model.stft.forward_basis_buffer"}
    for kind in ("weight", "bias"):
        names[f"head.{kind}"] = f"_model.decoder.decoder.2.{kind}"
        for layer in range(len(_CHANNELS)):
            names[f"encoder.{layer}.{kind}"] = f"_model.encoder.{layer}.reparam_conv.{kind}"
        for side in ("ih", "hh"):
            names[f"cell.{kind}_{side}"] = f"_model.decoder.rnn.{kind}_{side}"
    return names
