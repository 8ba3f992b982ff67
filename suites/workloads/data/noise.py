"""Images without a meaning, for networks whose real images no package carries."""

from functools import cache

import numpy as np

from accelbench.suites.workloads.data.labelled import LabelledSamples, Split

TRAIN = 128
TEST = 64


@cache
def noise(channels: int, side: int, classes: int, seed: int) -> Split:
    """Normal noise as float32, shape (count, channels, side, side), and classes drawn by lot.

    Time, memory and energy of a dense network do not depend on what an image shows; accuracy
    does, so that none is told.

    Args:
        channels: Channels of an image.
        side: Its height and width, pixels.
        classes: How many classes there are.
        seed: Seed of all that is drawn.
    """
    draw = np.random.default_rng(seed)
    train, test = (
        LabelledSamples(
            draw.standard_normal((count, channels, side, side), dtype=np.float32),
            draw.integers(classes, size=count),
            scored=False,
        )
        for count in (TRAIN, TEST)
    )
    return Split(
        train,
        test,
        {
            "kind": "synthetic",
            "name": f"normal noise, {channels} x {side} x {side}; classes drawn by lot",
            "generator": f"numpy PCG64, standard normal, seed {seed}",
            "train": TRAIN,
            "test": TEST,
            "split": "drawn apart",
            "split_seed": seed,
        },
    )
