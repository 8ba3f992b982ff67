"""Scikit-learn's scans of handwritten digits: 1,797 real images of 8 x 8 pixels."""

import hashlib
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelbench.suites.workloads.data.labelled import LabelledSamples, Split

CLASSES = 10
SIDE = 8
TEST_SHARE = 0.2
_BRIGHTEST = 16
_BASE = 17  # a pixel is one digit to this base


@cache
def digits(split_seed: int) -> Split:
    """The images as float32 in [0, 1], shape (count, 1, 8, 8); nothing is downloaded.

    Args:
        split_seed: Seed of the split into four fifths to learn from and one to be scored on;
            each digit has the same share of both.
    """
    pixels, labels = _scans()
    images = (pixels / _BRIGHTEST).astype(np.float32).reshape(-1, 1, SIDE, SIDE)
    parts = stratified(labels, split_seed)
    train, test = (LabelledSamples(images[part], labels[part]) for part in parts)
    return Split(
        train,
        test,
        {
            "kind": "real",
            "name": "Optical Recognition of Handwritten Digits (UCI), its test part",
            "source": "digits.csv of accelbench, after sklearn.datasets.load_digits",
            "licence": "CC BY 4.0 (UCI)",
            "sha256": hashlib.sha256(pixels.tobytes()).hexdigest(),
            "train": train.count,
            "test": test.count,
            "split": "stratified; test is scored",
            "split_seed": split_seed,
        },
    )


def stratified(labels: NDArray[np.int64], seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Indices to learn from and to be scored on, each class in both by its share.

    It is the split that scikit-learn's `train_test_split` draws from the same seed, so that
    accuracies compare with those of others.

    Args:
        labels: Class of each sample, from 0.
        seed: Seed of what is drawn.
    """
    draw = np.random.RandomState(seed)  # the generator that scikit-learn has
    counts = np.bincount(labels)
    tested = int(np.ceil(TEST_SHARE * len(labels)))
    learned = _shares(counts, len(labels) - tested, draw)
    scored = _shares(counts - learned, tested, draw)
    train, test = [], []
    for label, (own, other) in enumerate(zip(learned, scored, strict=True)):
        mixed = np.flatnonzero(labels == label)[draw.permutation(counts[label])]
        train.append(mixed[:own])
        test.append(mixed[own : own + other])
    return draw.permutation(np.concatenate(train)), draw.permutation(np.concatenate(test))


def _shares(counts: NDArray[Any], taken: int, draw: np.random.RandomState) -> NDArray[np.int64]:
    """How many of each class are taken: by its share, what is left over to the largest rests."""
    exact = counts / counts.sum() * taken
    whole = np.floor(exact)
    rest = exact - whole
    for level in np.unique(rest)[::-1]:
        left = taken - int(whole.sum())
        if left == 0:
            break
        alike = np.flatnonzero(rest == level)
        whole[draw.choice(alike, min(left, len(alike)), replace=False)] += 1
    shares: NDArray[np.int64] = whole.astype(np.int64)
    return shares


def _scans() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Pixels from 0 to 16, shape (count, 64), and the digits that they show."""
    text = files("accelbench.suites.workloads.data").joinpath("digits.csv").read_text()
    rows = [line.split(",") for line in text.splitlines()[1:]]
    pixels = [[int(pixel, _BASE) for pixel in row] for row, _ in rows]
    return np.array(pixels, np.float64), np.array([int(digit) for _, digit in rows], np.int64)
