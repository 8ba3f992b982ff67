"""The phases of a model that are lowered to operator graphs, and the sizes that each is asked at."""

from dataclasses import dataclass

TRAINING = ("train.forward", "train.backward", "train.optimizer")
"""The parts of a training step, in order."""


@dataclass(frozen=True)
class Phase:
    """A phase that a builder lowers, at any batch.

    Attributes:
        name: "forward" of what answers, "prefill" and "decode" of what generates, or one of
            `TRAINING`.
        tokens: Whether it is asked for a number of new tokens a sequence. Where it is not, its
            graph is the same whatever number it is given.
        context: Whether tokens may have come before these; as `tokens`.
    """

    name: str
    tokens: bool = False
    context: bool = False


def training_phases(*, tokens: bool = False) -> tuple[Phase, ...]:
    """The parts of a training step.

    Args:
        tokens: Whether sequences have a number of tokens that is asked for.
    """
    return tuple(Phase(name, tokens=tokens) for name in TRAINING)
