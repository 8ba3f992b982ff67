"""Operator graphs of a subject: recorded once, told for all sizes that the recording holds for."""

from collections.abc import Hashable
from dataclasses import dataclass, field

import torch
from torch import nn

from accelbench.harness.errors import TrialError
from accelbench.harness.schema.opgraph import OpGraph
from accelbench.harness.schema.symbolic import SymbolicGraph
from accelbench.suites.workloads.lowering.recording import record
from accelbench.suites.workloads.lowering.subject import Subject


@dataclass(frozen=True)
class _Kept:
    """What is known of a subject: its model on the `meta` device, and the recordings so far."""

    model: nn.Module
    graphs: list[SymbolicGraph] = field(default_factory=list)


_kept: dict[Hashable, _Kept] = {}


def lower(
    subject: Subject, key: Hashable, phase: str, batch: int, tokens: int, context: int
) -> OpGraph:
    """The operator graph of one phase at given sizes.

    Args:
        subject: What is lowered.
        key: What recordings are kept under: equal for subjects that are the same, as a frozen
            builder is for the subjects that it makes.
        phase: One of the subject's.
        batch: Samples or sequences, at least 1.
        tokens: New tokens a sequence, at least 1; 1 for models without tokens.
        context: Tokens already in the cache; 0 for models without tokens and in training.

    Raises:
        TrialError: It has no such phase.
    """
    if phase not in subject.phases:
        raise TrialError(
            f"{subject.workload} has no phase {phase!r}",
            remedy=f"one of {', '.join(subject.phases)}",
        )
    sizes = (batch, tokens, context)
    if key not in _kept:
        with torch.device("meta"):
            _kept[key] = _Kept(subject.build())
    kept = _kept[key]
    for graph in kept.graphs:
        if graph.phase == phase and graph.holds(*sizes):
            return graph.at(*sizes)
    made = record(subject, kept.model, phase, *sizes)
    kept.graphs.extend(made)
    return next(graph for graph in made if graph.phase == phase).at(*sizes)


def recordings(key: Hashable) -> tuple[SymbolicGraph, ...]:
    """The recordings kept under a key, in the order they were made."""
    return tuple(_kept[key].graphs) if key in _kept else ()
