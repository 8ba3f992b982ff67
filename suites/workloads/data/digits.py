"""Scikit-learn's scans of handwritten digits: 1,797 real images of 8 x 8 pixels."""

import hashlib
from functools import cache

import numpy as np

from accelbench.suites.workloads.data.labelled import LabelledSamples, Split
from accelbench.suites.workloads.extras import require

CLASSES = 10
SIDE = 8
TEST_SHARE = 0.2
_BRIGHTEST = 16


@cache
def digits(split_seed: int) -> Split:
    """The images as float32 in [0, 1], shape (count, 1, 8, 8); nothing is downloaded.

    Args:
        split_seed: Seed of the split into four fifths to learn from and one to be scored on;
            each digit has the same share of both.

    Raises:
        MissingPart: scikit-learn is not installed.
    """
    require("torch", "sklearn")
    from sklearn.datasets import load_digits  # noqa: PLC0415  (slow to import)
    from sklearn.model_selection import train_test_split  # noqa: PLC0415  (likewise)

    pixels, shown = load_digits(return_X_y=True)
    images = (pixels / _BRIGHTEST).astype(np.float32).reshape(-1, 1, SIDE, SIDE)
    labels = shown.astype(np.int64)
    parts = train_test_split(
        np.arange(len(labels)), test_size=TEST_SHARE, random_state=split_seed, stratify=labels
    )
    train, test = (LabelledSamples(images[part], labels[part]) for part in parts)
    return Split(
        train,
        test,
        {
            "kind": "real",
            "name": "Optical Recognition of Handwritten Digits (UCI), its test part",
            "source": "sklearn.datasets.load_digits",
            "licence": "CC BY 4.0 (UCI); shipped in scikit-learn, BSD-3-Clause",
            "sha256": hashlib.sha256(pixels.tobytes()).hexdigest(),
            "train": train.count,
            "test": test.count,
            "split": "stratified; test is scored",
            "split_seed": split_seed,
        },
    )
