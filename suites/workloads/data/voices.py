"""Synthetic audio for voice detectors: made-up vowels with pauses, and tones, by formulas alone.

No recording of speech is in it, so that a detector's accuracy cannot be told; what one detector
says to it can be compared with what the same one said elsewhere.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16_000
_FORMANTS_HZ = (
    (730.0, 1090.0, 2440.0),
    (270.0, 2290.0, 3010.0),
    (300.0, 870.0, 2240.0),
    (530.0, 1840.0, 2480.0),
    (570.0, 840.0, 2410.0),
)
"""Of the vowels in had, heed, who'd, head and hawed, after Peterson and Barney 1952, rounded."""
_BANDWIDTH_HZ = 90.0
_TONES = 2
_TONE_EVERY = 4
_LOUDNESS = 0.1


@cache
def clips(count: int, samples: int) -> NDArray[np.float32]:
    """Audio at 16 kHz in [-1, 1], shape (count, samples); every fourth clip is a tone.

    Args:
        count: Clips, each of its own pitch and order of vowels.
        samples: Samples of a clip.
    """
    at_s = np.arange(samples) / RATE_HZ
    made = [
        _vowels(at_s, clip) if (clip + 1) % _TONE_EVERY else _tone(at_s, clip)
        for clip in range(count)
    ]
    return (_LOUDNESS * np.stack(made)).astype(np.float32)


def _tone(at_s: NDArray[np.float64], clip: int) -> NDArray[np.float64]:
    sound = np.zeros_like(at_s)
    for n in range(1, 1 + _TONES):
        sound += np.sin(2 * np.pi * (310.0 + 97.0 * clip) * n * at_s) / n
    return sound


def _vowels(at_s: NDArray[np.float64], clip: int) -> NDArray[np.float64]:
    """Harmonics of a falling pitch, weighted by the formants of a vowel; four syllables a second."""
    pitch_hz = 95.0 + 17.0 * (clip % 8)
    turns = pitch_hz * (at_s - 0.06 * at_s**2)
    syllable = np.floor(4 * at_s).astype(int)
    opened = np.maximum(0.0, np.sin(2 * np.pi * 4 * at_s - 0.3 * clip)) ** 0.5
    sound = np.zeros_like(at_s)
    for vowel in range(len(_FORMANTS_HZ)):
        spoken = (syllable + clip) % len(_FORMANTS_HZ) == vowel
        for harmonic in range(1, int(3800 / pitch_hz)):
            loud = _envelope(harmonic * pitch_hz, _FORMANTS_HZ[vowel])
            sound += spoken * loud * np.sin(2 * np.pi * harmonic * turns)
    loudest: float = np.abs(sound).max()
    return np.asarray(sound * opened / loudest)


def _envelope(frequency_hz: float, formants_hz: tuple[float, ...]) -> float:
    """How loud a harmonic is: resonances, each weaker than the one below it."""
    peaks = (
        0.6**order / (1 + ((frequency_hz - formant) / _BANDWIDTH_HZ) ** 2)
        for order, formant in enumerate(formants_hz)
    )
    return sum(peaks)
