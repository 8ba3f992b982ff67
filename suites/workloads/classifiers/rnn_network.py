"""The recurrent network in PyTorch."""

from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence


class RnnNetwork(nn.Module):
    """Layers of cells, and a fully connected layer over the last state of the topmost.

    Args:
        cell: Kind of the cell.
        features: Numbers a step.
        hidden: Width of the state.
        classes: How many classes there are.
        layers: Layers of cells.
        bidirectional: Whether a second network reads each sequence from its end.
        packed: Whether steps after a sequence's end are left out. PyTorch sorts a batch by
            lengths on the host, so that on a GPU each batch waits for these.
    """

    def __init__(
        self,
        cell: Literal["lstm", "gru"],
        features: int,
        hidden: int,
        classes: int,
        *,
        layers: int,
        bidirectional: bool,
        packed: bool,
    ) -> None:
        super().__init__()
        kind = {"lstm": nn.LSTM, "gru": nn.GRU}[cell]
        self.recurrent = kind(
            features, hidden, num_layers=layers, batch_first=True, bidirectional=bidirectional
        )
        self.classify = nn.Linear(hidden * (1 + bidirectional), classes)
        self.blocks = [self.recurrent]
        self._bidirectional, self._packed = bidirectional, packed

    def forward(self, sequences: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Scores by class, shape (batch, classes).

        Args:
            sequences: Shape (batch, steps, features).
            lengths: Steps of each that are no padding, int64, shape (batch,); None for all.
        """
        if lengths is None:
            return cast("Tensor", self.classify(self._last(self.recurrent(sequences)[1])))
        if self._packed:
            packed = pack_padded_sequence(
                sequences, lengths.cpu(), batch_first=True, enforce_sorted=False
            )
            return cast("Tensor", self.classify(self._last(self.recurrent(packed)[1])))
        states = self.recurrent(sequences)[0]
        own = states[torch.arange(len(lengths), device=lengths.device), lengths - 1]
        return cast("Tensor", self.classify(own))

    def _last(self, kept: Tensor | tuple[Tensor, Tensor]) -> Tensor:
        """The topmost layer's last state, of both directions side by side."""
        states = kept if isinstance(kept, Tensor) else kept[0]
        return torch.cat([states[-2], states[-1]], dim=1) if self._bidirectional else states[-1]
