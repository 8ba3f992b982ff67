"""Silero VAD, a real recurrent network with real weights: is there speech in this audio."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelbench.harness.errors import TrialError
from accelbench.harness.schema.builders import Samples
from accelbench.harness.schema.opgraph import OpGraph
from accelbench.harness.schema.phases import Phase
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.quality import Quality
from accelbench.harness.schema.symbolic import SymbolicGraph
from accelbench.suites.workloads.assets.catalogue import SILERO_VAD
from accelbench.suites.workloads.data.voices import RATE_HZ, clips
from accelbench.suites.workloads.extras import require

CHUNK = 512
"""Samples that are answered with one probability: 32 ms."""

CLIPS = 8
LONGEST = 31
"""Clips, and their most chunks, for which the published network's answers are known."""

TOLERANCE = 0.02
"""A probability that is off by more is counted as another answer."""

REFERENCE = Path(__file__).with_name("silero_reference.json")
"""What the published TorchScript file says to `clips`, in float32 on a CPU, clip by chunk."""


@dataclass(frozen=True)
class SileroVad:
    """Tells speech from other sounds, 32 ms of audio after another, with an LSTM in between.

    The clips are synthetic, so that no accuracy is told; the agreement with the published
    network's own answers is.

    Attributes:
        chunks: Chunks of 32 ms of a clip; each waits for the one before.
    """

    chunks: int = LONGEST

    def __post_init__(self) -> None:
        if not 1 <= self.chunks <= LONGEST:
            raise ValueError(f"chunks must be 1 to {LONGEST}")

    def model(self, weights: Path | None, seed: int) -> Any:  # noqa: ARG002  (nothing is drawn)
        """The network in float32, with the published weights.

        Raises:
            MissingPart: PyTorch is not installed, or the asset is not on this machine.
            ForeignError: The file cannot be read.
            TrialError: Other weights were asked for.
        """
        require("torch", "torch")
        if weights is not None:
            raise TrialError("silero_vad has its published weights only", where=weights.name)
        from accelbench.suites.workloads.classifiers import silero_network  # noqa: PLC0415  (torch)

        return silero_network.from_torchscript(SILERO_VAD.find())

    def facts(self) -> Mapping[str, Plain]:
        """Where the weights come from, and that the audio is made up."""
        return {
            "weights": "real",
            "weights_source": f"{SILERO_VAD.members[0].name} of {SILERO_VAD.facts()['source']}",
            "weights_sha256": SILERO_VAD.members[0].sha256,
            "weights_format": "TorchScript, the tensors of its 16 kHz model",
            "weights_licence": SILERO_VAD.licence,
            "data": {
                "kind": "synthetic",
                "name": "made-up vowels with pauses, every fourth clip a tone",
                "generator": "formulas, no seed",
                "rate_hz": RATE_HZ,
                "train": 0,
                "test": CLIPS,
                "split": "none",
            },
            "agreement": {
                "with": "the published file in float32 on a CPU",
                "rule": f"share of chunks whose probability is within {TOLERANCE}",
            },
        }

    def geometry(self) -> Mapping[str, Plain]:
        """The layers in order; every clip has one length."""
        return {
            "execution": "dense",
            "rnn": {
                "cell": "lstm",
                "features": 128,
                "hidden": 128,
                "layers": 1,
                "directions": 1,
                "steps": {"longest": self.chunks, "mean": float(self.chunks)},
                "lowered_steps": self.chunks,
                "gates": "the 4 gates are rows of one matrix",
            },
            "convolutions": [
                {"in": into, "out": out, "kernel": [3], "stride": [stride], "feature_map": [frames]}
                for into, out, stride, frames in (
                    (129, 128, 1, 4),
                    (128, 64, 2, 2),
                    (64, 64, 2, 1),
                    (64, 128, 1, 1),
                )
            ],
            "input_shapes": {f"{self.chunks * CHUNK}": 1.0},
            "padding": {"policy": "none: all clips have one length", "share": 0.0},
        }

    def samples(self) -> Samples:
        """The clips."""
        known = json.loads(REFERENCE.read_text(encoding="utf-8"))
        spoken = np.array(known, np.float32)[:, : self.chunks]
        return VoiceSamples(clips(CLIPS, LONGEST * CHUNK)[:, : self.chunks * CHUNK], spoken)

    def check_files(self) -> None:
        """Finds the weights.

        Raises:
            MissingPart: The asset was not got yet.
        """
        SILERO_VAD.find()

    def phases(self) -> Sequence[Phase]:
        """The forward pass over a whole clip."""
        return (Phase("forward"),)

    def lower(self, phase: str, batch: int, tokens: int, context: int) -> OpGraph:
        """The operator graph of all chunks of a clip; needs no weights.

        Raises:
            TrialError: It has no such phase.
        """
        require("torch", "torch")
        from accelbench.suites.workloads.classifiers import silero_network  # noqa: PLC0415  (torch)
        from accelbench.suites.workloads.lowering.graphs import lower  # noqa: PLC0415  (torch)

        return lower(silero_network.subject(self.chunks), self, phase, batch, tokens, context)

    def recordings(self) -> Sequence[SymbolicGraph]:
        """Those that `lower` has made so far."""
        from accelbench.suites.workloads.lowering.graphs import recordings  # noqa: PLC0415  (torch)

        return recordings(self)


@dataclass(frozen=True, eq=False)
class VoiceSamples:
    """Clips, and what the published network says to them.

    Attributes:
        audio: float32, shape (count, samples).
        spoken: Probability of speech in each chunk, shape (count, chunks).
    """

    audio: NDArray[np.float32]
    spoken: NDArray[np.float32]

    @property
    def count(self) -> int:
        """How many clips there are."""
        return len(self.audio)

    def batch(self, indices: Sequence[int]) -> NDArray[np.float32]:
        """The clips at these indices."""
        return self.audio[list(indices)]

    def figures(self, answered: Iterable[tuple[Sequence[int], Any]]) -> Sequence[Quality]:
        """Share of the chunks of first answers that are what the published network says.

        Args:
            answered: Pairs of indices and probabilities, shape (indices, chunks).
        """
        alike: dict[int, float] = {}
        for indices, spoken in answered:
            off = np.abs(np.asarray(spoken) - self.spoken[list(indices)])
            for index, share in zip(indices, (off <= TOLERANCE).mean(axis=1), strict=True):
                alike.setdefault(index, float(share))
        if not alike:
            return ()
        return (Quality("agreement", "test", sum(alike.values()) / len(alike), len(alike)),)
