"""Greedy answers of a decoder in PyTorch: what an engine's answers are held against."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch

from accelbench.harness.schema.prompts import Prompt

AT_ONCE = 16
"""Most prompts that are run together."""


def answers(model: Any, prompts: Sequence[Prompt]) -> list[list[int]]:
    """The token ids of each answer, as many as asked; no token ends one.

    Prompts of the same length are run together, so that none is padded.

    Args:
        model: Of `transformers`, in the precision that is to be the reference.
        prompts: What is asked; each has tokens.
    """
    by_length: defaultdict[int, list[int]] = defaultdict(list)
    for place, prompt in enumerate(prompts):
        by_length[len(prompt.tokens)].append(place)
    found: list[list[int]] = [[] for _ in prompts]
    for places in by_length.values():
        for start in range(0, len(places), AT_ONCE):
            together = places[start : start + AT_ONCE]
            rows = _generated(model.eval(), [prompts[place] for place in together])
            for place, row in zip(together, rows, strict=True):
                found[place] = row[: prompts[place].output_tokens]
    return found


@torch.inference_mode()
def _generated(model: Any, prompts: Sequence[Prompt]) -> list[list[int]]:
    """As many tokens as the longest answer has, for each prompt."""
    ids, cache = torch.tensor([prompt.tokens for prompt in prompts]), None
    steps: list[list[int]] = []
    for _ in range(max(prompt.output_tokens for prompt in prompts)):
        told = model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        ids, cache = told.logits[:, -1].argmax(dim=-1, keepdim=True), told.past_key_values
        steps.append(ids.flatten().tolist())
    return [list(row) for row in zip(*steps, strict=True)]
