"""Events made of real data: changes of speech features, and rates in place of brightness.

No package that was looked at carries recordings of an event sensor; these are converted, and say
so. Each set can also be had as the values that its events were made of, for a dense network.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from accelbench.harness.schema.plain import Plain
from accelbench.suites.workloads.data.digits import CLASSES, SIDE, digits
from accelbench.suites.workloads.data.labelled import LabelledSamples, Split
from accelbench.suites.workloads.data.vowels import VOWELS

CHANGE = 0.1
"""How far a speech feature moves from one event to the next."""

STEPS = 16
"""Time steps for which a digit is shown."""

_NOISE_SEED = 20


@dataclass(frozen=True)
class EventSet:
    """A data set as events, or as the values that they stand for.

    Attributes:
        channels: Of a time step.
        classes: How many classes there are.
        steps: Time steps of a sample of events.
        value_steps: Time steps of a sample of values.
        encoding: How events come of values.
        read: Reads it: by a seed of the split, as "events" or as "values".
    """

    channels: int
    classes: int
    steps: int
    value_steps: int
    encoding: Mapping[str, Plain]
    read: Callable[[int, Literal["events", "values"]], Split]


@cache
def _changes(split_seed: int, form: Literal["events", "values"]) -> Split:
    spoken = VOWELS.split(split_seed)
    if form == "values":
        return _converted(spoken, _signed, "values")
    return _converted(spoken, _delta_modulated, "events where a feature has changed")


@cache
def _rates(split_seed: int, form: Literal["events", "values"]) -> Split:
    shown = digits(split_seed)
    if form == "values":
        return _converted(shown, _still, "values")
    return _converted(shown, _rate_coded, "random spikes at rates")


VOWEL_CHANGES = EventSet(
    channels=2 * VOWELS.features,
    classes=VOWELS.classes,
    steps=VOWELS.longest,
    value_steps=VOWELS.longest,
    encoding={
        "method": "delta modulation: an event up or down where a feature has left the value at its"
        " last event by more than a step, at most one a frame; all begin at 0",
        "step": CHANGE,
    },
    read=_changes,
)
"""Japanese Vowels: a channel up and one down for each feature; silent after a sequence's end."""

DIGIT_RATES = EventSet(
    channels=SIDE**2,
    classes=CLASSES,
    steps=STEPS,
    value_steps=1,
    encoding={
        "method": "rate coding: in every step a pixel spikes with the probability of its brightness",
        "seed": _NOISE_SEED,
    },
    read=_rates,
)
"""Scikit-learn's digits: a channel for each pixel."""


def _converted(
    split: Split, made: Callable[[LabelledSamples], NDArray[np.float32]], into: str
) -> Split:
    train, test = (LabelledSamples(made(part), part.labels) for part in (split.train, split.test))
    density = float(np.mean(np.asarray(test.inputs) != 0))
    return Split(
        train,
        test,
        {
            **split.facts,
            "kind": "converted",
            "converted": f"from real data to {into}; no native events",
            "density": {"test": density, "of": "channels and time steps that are not 0"},
        },
    )


def _delta_modulated(spoken: LabelledSamples) -> NDArray[np.float32]:
    """Ups and then downs of each feature, shape (count, steps, 2 features)."""
    inputs: Any = spoken.inputs
    sequences, lengths = inputs["sequences"], inputs["lengths"]
    told = np.zeros_like(sequences[:, 0])
    events = np.zeros((*sequences.shape[:2], 2 * sequences.shape[2]), np.float32)
    for step in range(sequences.shape[1]):
        heard = (step < lengths)[:, np.newaxis]
        off = sequences[:, step] - told
        up, down = heard & (off > CHANGE), heard & (off < -CHANGE)
        told += CHANGE * (up.astype(np.float32) - down)
        events[:, step] = np.concatenate([up, down], axis=1)
    return events


def _signed(spoken: LabelledSamples) -> NDArray[np.float32]:
    """The features, those above 0 and those below in channels of their own."""
    inputs: Any = spoken.inputs
    values = inputs["sequences"]
    return np.concatenate([np.maximum(values, 0), np.maximum(-values, 0)], axis=2)


def _rate_coded(shown: LabelledSamples) -> NDArray[np.float32]:
    """Spikes of each pixel, shape (count, steps, pixels)."""
    bright = _still(shown)
    draw = np.random.default_rng(_NOISE_SEED)
    chance = draw.random((len(bright), STEPS, bright.shape[2]), dtype=np.float32)
    return (chance < bright).astype(np.float32)


def _still(shown: LabelledSamples) -> NDArray[np.float32]:
    """The brightness of each pixel, one time step."""
    return np.asarray(shown.inputs).reshape(shown.count, 1, -1)
