"""Mixtures of experts: how tokens are spread over them, counted while a model runs, and capacity.

A router says for each token which experts get it. What it said is kept with the time of the call
and counted when the window has closed, so that counting costs the window next to nothing.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from accelbench.harness.schema.builders import Count
from accelbench.suites.workloads.language.decoder_geometry import expert_count

_KEPT_AS_IT_IS = 64
"""Choices of one call up to which they are kept uncounted: then fewer bytes than a count needs."""


def routers(model: nn.Module) -> list[nn.Module]:
    """The routers of a model of `transformers`, layer by layer; none of a dense one."""
    return [part for part in model.modules() if type(part).__name__.endswith("TopKRouter")]


def limit(model: Any, capacity: float) -> None:
    """Gives every expert limited room in each call; what is beyond it is dropped.

    An expert takes ceil(capacity * tokens * experts per token / experts) tokens: first choices
    before second ones, tokens in their order (Lepikhin et al. 2020, "GShard", algorithm 1). A
    dropped token passes the layer by with the weight that is left to it, 0 where none is.

    Args:
        model: Of `transformers`, with routers.
        capacity: Room as a multiple of an expert's even share.
    """
    model.set_experts_implementation("eager")  # the one that passes over a token without an expert
    for router in routers(model):
        router.register_forward_hook(_limited(capacity))


@dataclass
class Routing:
    """What the routers of a model said since it has been watched.

    Attributes:
        experts: Experts of a layer.
        said: Of each layer, the times of its router's calls and what was chosen in each: experts by
            token, or, of many, already how often each was chosen.
        hooks: What takes note.
    """

    experts: int
    said: list[list[tuple[int, Tensor]]] = field(default_factory=list)
    hooks: list[Any] = field(default_factory=list)

    def counts(self, start_ns: int, end_ns: int) -> Sequence[Count]:
        """Tokens that each expert of each layer was given, and those dropped.

        Padding counts as tokens, since experts compute it.

        Args:
            start_ns: From when calls count, on the clock that the watch was given.
            end_ns: Until when.
        """
        found, dropped = [], 0
        for layer, calls in enumerate(self.said):
            tally = torch.zeros(self.experts + 1, dtype=torch.int64)
            for at_ns, chosen in calls:
                if start_ns <= at_ns < end_ns:
                    tally += self.tally(chosen).cpu()
            *given, lost = tally.tolist()
            dropped += lost
            found += [
                Count("moe.expert_tokens", tokens, "token", f"layer {layer}, expert {expert}")
                for expert, tokens in enumerate(given)
            ]
        return [*found, Count("moe.dropped_tokens", dropped, "token", "process")]

    def tally(self, chosen: Tensor) -> Tensor:
        """How often each expert was chosen, and at the end how often none was."""
        if chosen.dim() == 1:
            return chosen
        flat = chosen.flatten()
        counts = flat.new_zeros(self.experts + 1)
        return counts.scatter_add_(0, flat, torch.ones_like(flat))


def watch(model: nn.Module, experts: int, now_ns: Callable[[], int]) -> Routing:
    """Takes note of what the routers say from now on.

    Args:
        model: Of `transformers`, with routers.
        experts: Experts of a layer.
        now_ns: Reads the clock.
    """
    found = Routing(experts)
    for router in routers(model):
        calls: list[tuple[int, Tensor]] = []
        found.said.append(calls)
        found.hooks.append(router.register_forward_hook(_noting(found, calls, now_ns)))
    return found


def counting(
    model: nn.Module, config: Any, now_ns: Callable[[], int]
) -> AbstractContextManager[Routing] | None:
    """As `watched`, of a decoder; None where its layers are dense.

    Args:
        model: Of `transformers`, or one that holds it.
        config: Its geometry.
        now_ns: Reads the clock.
    """
    count = expert_count(config)
    return watched(model, count, now_ns) if count else None


@contextmanager
def watched(model: nn.Module, experts: int, now_ns: Callable[[], int]) -> Iterator[Routing]:
    """As `watch`, until the block is left."""
    found = watch(model, experts, now_ns)
    try:
        yield found
    finally:
        for hook in found.hooks:
            hook.remove()


def _noting(
    found: Routing, calls: list[tuple[int, Tensor]], now_ns: Callable[[], int]
) -> Callable[..., None]:
    def note(_router: nn.Module, _inputs: Any, said: Any) -> None:
        chosen = said[-1].detach()
        many = chosen.numel() > _KEPT_AS_IT_IS
        calls.append((now_ns(), found.tally(chosen) if many else chosen))

    return note


def _limited(capacity: float) -> Callable[..., Any]:
    def within(router: Any, _inputs: Any, said: Any) -> Any:
        logits, weights, chosen = said
        tokens, each = chosen.shape
        room = math.ceil(capacity * tokens * each / router.num_experts)
        taken = functional.one_hot(chosen.T.flatten(), router.num_experts)
        place = (taken.cumsum(dim=0) * taken).sum(dim=-1).view(each, tokens).T
        beyond = place > room
        return (
            logits,
            weights.masked_fill(beyond, 0.0),
            chosen.masked_fill(beyond, router.num_experts),
        )

    return within
