"""Events made of real data, and the values that they stand for; and made-up sounds."""

import numpy as np
import pytest

from accelbench.suites.workloads.data import events
from accelbench.suites.workloads.data.events import CHANGE, DIGIT_RATES, STEPS, VOWEL_CHANGES
from accelbench.suites.workloads.data.sequences import labelled
from accelbench.suites.workloads.data.voices import clips


def test_an_event_tells_a_change_and_its_direction():
    """At most one a frame; what they add up to follows the feature; silence after the end."""
    rising = np.array([0.0, 0.15, 0.25, 0.25], np.float32)
    spoken = labelled([np.stack([rising, -rising], axis=1)], np.array([0]), 6)
    found = events._delta_modulated(spoken)[0]
    assert found.tolist() == [
        [0, 0, 0, 0],
        [1, 0, 0, 1],
        [1, 0, 0, 1],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
    ]
    followed = CHANGE * np.cumsum(found[:, 0] - found[:, 2])
    assert followed[3] == pytest.approx(rising[3], abs=CHANGE)


def test_values_below_zero_have_channels_of_their_own():
    """A dense network reads as many channels as a spiking one."""
    spoken = labelled([np.array([[0.5, -2.0]], np.float32)], np.array([0]), 1)
    assert events._signed(spoken).tolist() == [[[0.5, 0, 0, 2.0]]]
    assert VOWEL_CHANGES.channels == 24


def test_a_bright_pixel_spikes_more_often():
    """Rates are brightness; the facts say that these are no native events."""
    pytest.importorskip("sklearn")
    coded, shown = DIGIT_RATES.read(0, "events"), DIGIT_RATES.read(0, "values")
    assert coded.test.inputs.shape == (360, STEPS, 64)
    assert shown.test.inputs.shape == (360, 1, 64)
    assert set(np.unique(coded.test.inputs)) == {0, 1}
    rates = coded.train.inputs.mean(axis=(0, 1))
    assert rates == pytest.approx(shown.train.inputs.mean(axis=(0, 1)), abs=0.01)
    assert coded.facts["kind"] == "converted"
    assert "no native events" in coded.facts["converted"]
    assert coded.facts["density"]["test"] == pytest.approx(coded.test.inputs.mean())


def test_sounds_come_of_formulas_alone():
    """Within full scale; the fourth is an even tone, the others have pauses."""
    sound = clips.__wrapped__(4, 16_000)
    assert (sound.dtype, sound.shape) == (np.float32, (4, 16_000))
    assert np.abs(sound).max() <= 0.2
    loud = np.abs(sound).reshape(4, -1, 800).max(axis=2)
    assert loud[3].min() > 0.9 * loud[3].max()
    assert (loud[:3].min(axis=1) < 0.2 * loud[:3].max(axis=1)).all()
