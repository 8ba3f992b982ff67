"""Recurrent networks on sequences of various lengths: LSTM and GRU."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from accelbench.harness.schema.plain import Plain
from accelbench.suites.workloads.classifiers.classifier import Classifier
from accelbench.suites.workloads.data.digit_columns import DIGIT_COLUMNS
from accelbench.suites.workloads.data.labelled import Split
from accelbench.suites.workloads.data.sequences import SequenceSet
from accelbench.suites.workloads.data.vowels import VOWELS

SEQUENCES: Mapping[str, SequenceSet] = {
    "digit_columns": DIGIT_COLUMNS,
    "japanese_vowels": VOWELS,
}
_GATES = {"lstm": 4, "gru": 3}


@dataclass(frozen=True)
class Recurrent(Classifier):
    """Classifies a sequence by the last state of a recurrent network.

    Attributes:
        sequences: "japanese_vowels": speech, the asset of that name. "digit_columns":
            scikit-learn's scans of digits, column by column.
        cell: Kind of the recurrent cell.
        hidden: Width of its state.
        layers: Layers of cells; each reads the states of the one before.
        bidirectional: Whether a second network reads each sequence from its end.
        lengths: "packed": steps that a sequence does not have are not computed. "padded": all
            sequences are computed up to the longest, and each is read at its own last step.
    """

    name: ClassVar[str] = "rnn"

    sequences: Literal["japanese_vowels", "digit_columns"] = "japanese_vowels"
    cell: Literal["lstm", "gru"] = "lstm"
    hidden: int = 64
    layers: int = 1
    bidirectional: bool = False
    lengths: Literal["packed", "padded"] = "packed"

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.hidden, self.layers) < 1:
            raise ValueError("hidden and layers must be above 0")
        if self.bidirectional and self.lengths == "padded":
            raise ValueError("read from its end a padded sequence begins with padding; use packed")

    @property
    def known(self) -> SequenceSet:
        """The sequences as they are known to be."""
        return SEQUENCES[self.sequences]

    def data(self) -> Split:
        """The sequences and their classes.

        Raises:
            MissingPart: The asset is not on this machine.
        """
        return self.known.split(self.split_seed)

    def geometry(self) -> Mapping[str, Plain]:
        """The cells, how many steps they take, and what becomes of various lengths."""
        known, packed = self.known, self.lengths == "packed"
        return {
            "execution": "dense",
            "rnn": {
                "cell": self.cell,
                "features": known.features,
                "hidden": self.hidden,
                "layers": self.layers,
                "directions": 2 if self.bidirectional else 1,
                "steps": {"longest": known.longest, "mean": round(known.mean_steps, 3)},
                "lowered_steps": self.lowered_steps(),
                "gates": f"the {_GATES[self.cell]} gates of a layer are rows of one matrix",
            },
            "linear": [[self.hidden * (1 + self.bidirectional), known.classes]],
            "input_shapes": {f"{known.longest}x{known.features}": 1.0},
            "padding": {
                "policy": "packed: steps after a sequence's end are stored, but not computed"
                if packed
                else f"padded: every sequence is computed up to {known.longest} steps",
                "share": 0.0 if packed else known.padding_share,
                "share_stored": known.padding_share,
                "of": "steps, over all sequences of the data set",
            },
        }

    def lowered_steps(self) -> int:
        """Steps that stand for a sequence in an operator graph: the mean if packed, rounded."""
        return round(self.known.mean_steps) if self.lengths == "packed" else self.known.longest

    def training_unlike_graph(self) -> str:
        """Packed sequences take as many steps as each has, the graph the mean of all."""
        if self.lengths == "padded":
            return ""
        return f"the operator graph takes {self.lowered_steps()} steps, the mean, for each sequence"

    def network(self) -> Any:
        """The network in PyTorch."""
        from accelbench.suites.workloads.classifiers import rnn_network  # noqa: PLC0415  (torch)

        return rnn_network.RnnNetwork(
            self.cell,
            self.known.features,
            self.hidden,
            self.known.classes,
            layers=self.layers,
            bidirectional=self.bidirectional,
            packed=self.lengths == "packed",
        )

    def example(self, batch: int) -> Any:
        """Sequences of `lowered_steps` steps, none of which is padding."""
        import torch  # noqa: PLC0415  (torch)

        return {"sequences": torch.empty(batch, self.lowered_steps(), self.known.features)}
