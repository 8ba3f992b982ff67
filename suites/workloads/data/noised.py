"""Images with noise of known strength, for a network that takes it away step by step."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelbench.harness.schema.quality import Quality
from accelbench.suites.workloads.data.labelled import LabelledSamples, Split

_FIRST, _LAST, _STEPS = 1e-4, 0.02, 1000


def kept(steps: int) -> NDArray[np.float64]:
    """The share of an image's variance that is left after each number of steps, from 0 on.

    Noise of linearly growing variance is added in each step (Ho et al. 2020); with fewer than
    their thousand steps each takes as much more.

    Args:
        steps: Steps from the image to noise alone.
    """
    added = np.linspace(_FIRST, _LAST, steps) * _STEPS / steps
    return np.concatenate([[1.0], np.cumprod(1 - np.minimum(added, 0.999))])


@cache
def noised(clean: Split, steps: int, seed: int) -> Split:
    """Images after some number of steps, drawn evenly from 1 to all, and that number.

    Truths are the noise, to learn from; of the test samples the same images one step earlier.

    Args:
        clean: Real images with values in [0, 1], which become [-1, 1], or noise, which stays;
            shape (count, channels, side, side).
        steps: Steps from an image to noise alone.
        seed: Seed of the numbers of steps and of the noise.
    """
    draw = np.random.default_rng([seed, steps])
    real = clean.facts["kind"] == "real"
    learned = _walk(clean.train, steps, draw, real=real)
    tested = _walk(clean.test, steps, draw, real=real)
    train = LabelledSamples(learned.inputs(), learned.noise)
    test = DenoisedSamples(tested.inputs(), tested.after(tested.steps - 1))
    told = {
        "kind": "converted" if real else "synthetic",
        "name": f"{clean.facts['name']}; noise added in 1 to {steps} steps",
        "noise": f"numpy PCG64, standard normal, seed {seed}; one draw an image",
        "train": train.count,
        "test": test.count,
    }
    return Split(train, test, {**clean.facts, **told})


@dataclass(frozen=True, eq=False)
class _Walk:
    """Images on their way to noise.

    Attributes:
        clean: Where they come from, float32, shape (count, channels, side, side).
        noise: Where each goes, likewise.
        steps: Steps that each has gone, int64, shape (count,).
        shares: Of the variance that is left, by steps.
    """

    clean: NDArray[np.float32]
    noise: NDArray[np.float32]
    steps: NDArray[np.int64]
    shares: NDArray[np.float64]

    def after(self, steps: NDArray[np.int64]) -> NDArray[np.float32]:
        """The images after other numbers of steps."""
        share = self.shares[steps][:, None, None, None]
        mixed = np.sqrt(share) * self.clean + np.sqrt(1 - share) * self.noise
        return mixed.astype(np.float32)

    def inputs(self) -> Mapping[str, NDArray[Any]]:
        """What a network is given."""
        return {"images": self.after(self.steps), "steps": self.steps}


def _walk(samples: LabelledSamples, steps: int, draw: np.random.Generator, *, real: bool) -> _Walk:
    images = np.asarray(samples.inputs, np.float32)
    return _Walk(
        clean=2 * images - 1 if real else images,
        noise=draw.standard_normal(images.shape, dtype=np.float32),
        steps=draw.integers(1, steps, endpoint=True, size=len(images)),
        shares=kept(steps),
    )


@dataclass(frozen=True, eq=False)
class DenoisedSamples(LabelledSamples):
    """Images with noise; the truth is what they are one step earlier."""

    def figures(self, answered: Iterable[tuple[Sequence[int], Any]]) -> Sequence[Quality]:
        """The mean squared error of the first answers, over all pixels; as a loss.

        Args:
            answered: Pairs of indices and images, shape (indices, channels, side, side).
        """
        first: dict[int, float] = {}
        for indices, images in answered:
            errors = (np.asarray(images) - self.labels[list(indices)]) ** 2
            for index, error in zip(indices, errors.mean(axis=(1, 2, 3)), strict=True):
                first.setdefault(index, float(error))
        if not first:
            return ()
        return (Quality("loss", "test", sum(first.values()) / len(first), len(first)),)
