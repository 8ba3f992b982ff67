"""One recording of a subject: its own code, run on tensors that have symbolic shapes and no data."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call

from accelbench.harness.errors import TrialError
from accelbench.harness.foreign import foreign
from accelbench.harness.schema.phases import TRAINING
from accelbench.harness.schema.symbolic import SIZES, SymbolicGraph, SymbolicOperator
from accelbench.suites.workloads.lowering.attention import WholeAttention
from accelbench.suites.workloads.lowering.recorder import Notes, Recorder
from accelbench.suites.workloads.lowering.sizes import NeedsNumbersError, Sizes
from accelbench.suites.workloads.lowering.stacks import Stack, extended, repeating, shortened
from accelbench.suites.workloads.lowering.subject import Subject


def record(
    subject: Subject, model: nn.Module, phase: str, batch: int, tokens: int, context: int
) -> list[SymbolicGraph]:
    """Recordings that hold for these sizes and as many others as can be shown.

    Sizes that are asked as 0 or 1 are numbers, the others symbols. Where a shape is no polynomial
    in a symbol, or a decision of the model's code bounds no single one, it becomes a number too.

    Args:
        subject: What is recorded.
        model: As it builds it, on the `meta` device.
        phase: One of its phases; those of training are recorded together.
        batch: Samples or sequences.
        tokens: New tokens a sequence.
        context: Tokens already in the cache.

    Raises:
        TrialError: Shapes depend on the data.
        ForeignError: The model's code fails on tensors without data.
    """
    asked = dict(zip(SIZES, (batch, tokens, context), strict=True))
    fixed: frozenset[str] = frozenset()
    near = True
    while True:
        sizes = Sizes(asked, fixed, near=near)
        try:
            graphs = _recorded(subject, model, phase, sizes)
        except NeedsNumbersError as found:
            if found.sizes <= fixed:
                raise TrialError(
                    f"shapes of {subject.workload} depend on its data",
                    where=phase,
                    remedy="let the subject's call fix what the data decide",
                ) from None
            fixed |= found.sizes
            continue
        except (RuntimeError, TypeError):
            if sizes.symbolic:  # some operators take numbers alone
                fixed = frozenset(SIZES)
                continue
            with foreign(f"lowering {subject.workload}", where=phase):
                raise
        first = graphs[0]
        if first.holds(batch, tokens, context):
            return graphs
        pinned = _pinned(first, asked)
        fixed |= pinned
        near = bool(pinned)


def _recorded(subject: Subject, model: nn.Module, phase: str, sizes: Sizes) -> list[SymbolicGraph]:
    phases = TRAINING if phase in TRAINING else (phase,)
    notes = _whole(subject, model, phase, sizes)
    batch, tokens, context = sizes.spans()
    parameters = sum(own.numel() for own in model.parameters())
    return [
        SymbolicGraph(
            workload=subject.workload,
            phase=name,
            batch=batch,
            tokens=tokens,
            context=context,
            operators=tuple(_counted(op, count) for op, count in own.counts.items()),
            edges=_edges(own),
            parameters=parameters,
            shared=_shared(model),
        )
        for name, own in zip(phases, notes, strict=True)
    ]


def _pinned(graph: SymbolicGraph, asked: Mapping[str, int]) -> set[str]:
    """Sizes that the model's code turned into a number, which is not the one asked for."""
    spans = zip(SIZES, (graph.batch, graph.tokens, graph.context), strict=True)
    return {name for name, own in spans if own.low == own.high != asked[name]}


def _whole(subject: Subject, model: nn.Module, phase: str, sizes: Sizes) -> list[Notes]:
    """What the whole model does, from a few layers of its stacks where these repeat."""
    model.train(phase in TRAINING)
    stacks = repeating(model, subject.stacks)

    def run(longer: Stack | None) -> list[Notes]:
        counts = {own.path: own.short + (own.period if own is longer else 0) for own in stacks}
        with shortened(model, counts):
            return _run(subject, model, phase, sizes)

    base, missing = run(None), [own.missing for own in stacks]
    by_phase = zip(*(run(own) for own in stacks), strict=True) if stacks else [()] * len(base)
    found = [extended(own, longer, missing) for own, longer in zip(base, by_phase, strict=True)]
    known = [own for own in found if own is not None]
    return known if len(known) == len(found) else _run(subject, model, phase, sizes)


def _run(subject: Subject, model: nn.Module, phase: str, sizes: Sizes) -> list[Notes]:
    mode = FakeTensorMode(
        shape_env=sizes.env, allow_non_fake_inputs=True, static_shapes=not sizes.symbolic
    )
    mode.cache_enabled = False  # what is known from another recording would make no guards here
    return (
        _trained(subject, model, sizes, mode)
        if phase in TRAINING
        else [_inferred(subject, model, phase, sizes, mode)]
    )


def _inferred(
    subject: Subject, model: nn.Module, phase: str, sizes: Sizes, mode: FakeTensorMode
) -> Notes:
    state = _state(model, mode)
    recorder = Recorder(sizes, _parameters(model, state))
    with mode, torch.device("meta"), torch.inference_mode(), recorder:
        _called(model, state, lambda own: subject.calls[phase](own, *sizes.values))
    return recorder.notes


def _trained(subject: Subject, model: nn.Module, sizes: Sizes, mode: FakeTensorMode) -> list[Notes]:
    """Forward pass, backward pass and a step of the optimiser, with the state of a second step."""
    loss, optimiser = subject.loss, subject.optimiser
    assert loss is not None
    assert optimiser is not None
    batch, tokens, _ = sizes.values
    state = _state(model, mode)
    parameters = _parameters(model, state)
    forward, backward = Recorder(sizes, parameters), Recorder(sizes, parameters)
    with mode, torch.device("meta"), torch.enable_grad():
        with forward, WholeAttention():
            found = _called(model, state, lambda own: loss(own, batch, tokens))
        with backward:
            torch.autograd.backward(found)
    stepping = Recorder(sizes, model.parameters())
    with _gradients(model):
        stepper = optimiser(model)
        stepper.step()
        with stepping:
            stepper.step()
    return [forward.notes, backward.notes, stepping.notes]


class _Calling(nn.Module):
    """Hands its model to a function, so that any use of it can be given other tensors."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, use: Callable[[nn.Module], Any]) -> Any:
        """What the function makes of the model."""
        return use(self.model)


def _called(model: nn.Module, state: dict[str, Tensor], use: Callable[[nn.Module], Any]) -> Any:
    named = {f"model.{name}": own for name, own in state.items()}
    return functional_call(_Calling(model), named, (use,))


def _state(model: nn.Module, mode: FakeTensorMode) -> dict[str, Tensor]:
    """Parameters and buffers as tensors that symbolic ones can meet, each once."""
    return {
        name: mode.from_tensor(own, static_shapes=True)
        for found in (model.named_parameters(), model.named_buffers())
        for name, own in found
    }


def _parameters(model: nn.Module, state: dict[str, Tensor]) -> list[Tensor]:
    return [state[name] for name, _ in model.named_parameters()]


@contextmanager
def _gradients(model: nn.Module) -> Iterator[None]:
    """Gives what is trained a gradient, for as long as it is entered."""
    trained = [own for own in model.parameters() if own.requires_grad]
    try:
        for own in trained:
            own.grad = torch.empty_like(own)
        yield
    finally:
        for own in trained:
            own.grad = None


def _counted(op: SymbolicOperator, count: int) -> SymbolicOperator:
    return SymbolicOperator(**{**vars(op), "count": count})


def _edges(notes: Notes) -> tuple[tuple[int, ...], ...]:
    place = {op: index for index, op in enumerate(notes.counts)}
    return tuple(sorted((place[one], place[other]) for one, other in notes.edges))


def _shared(model: nn.Module) -> tuple[tuple[str, ...], ...]:
    groups: dict[int, list[str]] = {}
    for name, own in model.named_parameters(remove_duplicate=False):
        groups.setdefault(id(own), []).append(name)
    return tuple(tuple(names) for names in groups.values() if len(names) > 1)
