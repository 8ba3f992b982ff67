"""The workloads of the survey's Figure 3, each as a phase of a preset, and where it puts them.

The figure names six categories and no model, batch or length. Here each has a full-size preset with
the precision of Table 2. Batch inference has three cases, because the survey says two things of
it (section 2 and Figure 3): decoding, prompts, and a model that answers in one pass.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Region = Literal["roof", "ridge", "memory"]

REGIONS: Mapping[Region, str] = MappingProxyType(
    {"roof": "on the compute-bound roof", "ridge": "near the ridge", "memory": "memory-bound"}
)
"""Where the figure places a workload, as it says it."""

REFERENCE = "fig3_reference"
"""The sheet on which it does."""

NEAR = 2.0
"""What "near" is taken to be: within this factor of the ridge. The survey gives no number."""


@dataclass(frozen=True)
class Case:
    """One workload of the figure.

    Attributes:
        name: Its category.
        workload: A preset.
        phase: As `WorkloadBuilder.lower` names it, or "train" for a whole step.
        batch: Samples or sequences.
        tokens: New tokens a sequence; 1 for models without tokens.
        context: Tokens already in the cache.
        precision: Key of `ELEMENT_BYTES`.
        region: Where the survey puts it.
        rank: Its place in the survey's order of intensities, from the highest; equal where
            the survey puts two side by side.
    """

    name: str
    workload: str
    phase: str
    batch: int
    tokens: int
    context: int
    precision: str
    region: Region
    rank: int


CASES = (
    Case("pre-training", "llama2_7b", "train", 4, 4096, 0, "bf16", "roof", 0),
    Case("fine-tuning", "llama2_7b", "train", 8, 512, 0, "bf16", "ridge", 1),
    Case("PEFT (low-rank factors)", "llama2_7b_lora", "train", 8, 512, 0, "bf16", "ridge", 1),
    Case("batch inference (decoding)", "llama2_7b", "decode", 32, 1, 512, "int8", "memory", 2),
    Case("batch inference (prompts)", "llama2_7b", "prefill", 32, 512, 0, "int8", "memory", 2),
    Case("batch inference (images)", "resnet50", "forward", 32, 1, 0, "int8", "memory", 2),
    Case("edge inference", "mobilenet_v1", "forward", 1, 1, 0, "int8", "memory", 3),
    Case("real-time inference", "llama2_7b", "decode", 1, 1, 512, "int8", "memory", 4),
)
"""The figure's workloads from the highest intensity to the lowest, as the survey orders them."""


def agrees(region: Region, intensity: float, ridge: float) -> bool:
    """Whether an intensity lies where the survey puts the workload.

    Args:
        region: Where that is.
        intensity: FLOP/byte.
        ridge: Of the reference accelerator, FLOP/byte.
    """
    if region == "ridge":
        return ridge / NEAR <= intensity <= ridge * NEAR
    return (intensity >= ridge) is (region == "roof")


def out_of_order(cases: Sequence[Case], intensities: Sequence[float]) -> list[tuple[str, str]]:
    """Pairs of workloads that the survey orders the other way round.

    Args:
        cases: The workloads.
        intensities: FLOP/byte of each.

    Returns:
        In each pair the one first that the survey gives the higher intensity, and that has less.
    """
    found = list(zip(cases, intensities, strict=True))
    return [
        (one.name, other.name)
        for one, higher in found
        for other, lower in found
        if one.rank < other.rank and higher < lower
    ]
