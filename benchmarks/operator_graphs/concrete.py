"""FLOPs of the model as it is run, by PyTorch's own counter, with attention in its parts.

What the counter cannot see is switched off: fused attention, which it knows by its products alone,
and oneDNN's recurrent layers, which are one operator to it.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from families import TOKENS, Case
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from accelbench.harness.schema.builders import Answers, Generates, Trains
from accelbench.harness.schema.training import Practice
from accelbench.suites.workloads.language import encoder_decoder_network
from accelbench.suites.workloads.language.decoder_phases import one_text_a_row

TRAINED = ("train.forward", "train.backward")


@dataclass(frozen=True)
class Counted:
    """What PyTorch's counter has seen.

    Attributes:
        phases: The phases of the builder that together do the same.
        batch: Samples or sequences.
        tokens: New tokens a sequence; 1 for models without tokens.
        context: Tokens in the cache.
        flops: By operator.
    """

    phases: tuple[str, ...]
    batch: int
    tokens: int
    context: int
    flops: Mapping[str, int]

    @property
    def total(self) -> int:
        """FLOPs of all operators."""
        return sum(self.flops.values())


def counted(case: Case, builder: Any) -> Iterator[Counted]:
    """Inference of a workload and, where it is lowered, a training step.

    Args:
        case: What is counted.
        builder: Its builder.

    Raises:
        MissingPart: Its weights or data are not on this machine.
    """
    trains = any(phase.name in TRAINED for phase in builder.phases())
    if isinstance(builder, Generates):
        yield from _generating(case, builder)
        yield _next_tokens(case, builder)
        return
    yield _answering(case, builder)
    if trains:
        own_steps = case.of_real_data and isinstance(builder, Trains) and not _recurs(builder)
        yield _step(case, builder) if own_steps else _lesson(case, builder)


def _flops(call: Callable[[], object]) -> Mapping[str, int]:
    counter = FlopCounterMode(display=False)
    with (
        counter,
        sdpa_kernel(SDPBackend.MATH),
        torch.backends.mkldnn.flags(enabled=False, deterministic=None, allow_tf32=None),
        one_text_a_row(),
    ):
        call()
    found: Counter[str] = Counter()
    for operator, flops in counter.get_flop_counts().get("Global", {}).items():
        found[str(operator)] += flops
    return found


@contextmanager
def _where(case: Case) -> Iterator[None]:
    """What is made meanwhile lies in memory, or nowhere."""
    with torch.device("cpu" if case.of_real_data else "meta"):
        yield


def _model(case: Case, builder: Any) -> Any:
    with _where(case):
        model = builder.model(None, 0)
    if case.experts:
        model.set_experts_implementation(case.experts)
    return model.to(getattr(torch, case.dtype))


def _answering(case: Case, builder: Any) -> Counted:
    model, inputs = _model(case, builder).eval(), _inputs(case, builder)
    with torch.inference_mode():
        flops = _flops(lambda: _said(model, inputs))
    return Counted(("forward",), case.batch, _tokens(inputs), 0, flops)


def _said(model: nn.Module, inputs: Any) -> Any:
    return model(**inputs) if isinstance(inputs, Mapping) else model(inputs)


def _inputs(case: Case, builder: Any) -> Any:
    """What the model answers: data of the workload, or what has its shapes alone."""
    if not case.of_real_data:
        with _where(case):
            if hasattr(builder, "example"):
                return builder.example(case.batch)
            return torch.zeros(case.batch, TOKENS, dtype=torch.int64)
    if _recurs(builder):
        steps = builder.lowered_steps()
        features = torch.zeros(case.batch, steps, builder.known.features)
        return {"sequences": features, "lengths": torch.full((case.batch,), steps)}
    if not isinstance(builder, Answers):
        raise TypeError(f"{case.preset} answers nothing")
    arrays = builder.samples().batch(range(case.batch))
    if isinstance(arrays, Mapping):
        return {name: torch.as_tensor(array) for name, array in arrays.items()}
    return torch.as_tensor(arrays)


def _recurs(builder: Any) -> bool:
    """Whether it reads sequences of unequal length, of which a graph has the mean."""
    return hasattr(builder, "lowered_steps")


def _tokens(inputs: Any) -> int:
    """Tokens of a sequence: of a table of whole numbers the columns, of anything else 1."""
    ids = inputs.get("input_ids") if isinstance(inputs, Mapping) else inputs
    whole = ids is not None and not ids.is_floating_point() and ids.dim() > 1
    return int(ids.shape[1]) if whole else 1


def _step(case: Case, builder: Any) -> Counted:
    """A step of the workload's own training run; the optimiser multiplies no matrices."""
    run = builder.training(_model(case, builder), case.batch, 0, Practice())
    batch = next(iter(run.batches(0)))
    flops = _flops(lambda: run.step(batch, lambda _part: None))
    (part,) = batch
    inputs = part if isinstance(part, Tensor) else part[0]
    return Counted(TRAINED, case.batch, _tokens(inputs), 0, flops)


def _lesson(case: Case, builder: Any) -> Counted:
    """The loss that the workload learns from, of inputs without a right answer, and its gradients."""
    model, inputs = _model(case, builder).train(), _inputs(case, builder)

    def step() -> None:
        answer = _said(model, inputs)
        if not hasattr(builder, "truths"):
            answer.mean().backward()
            return
        with _where(case):
            truths = torch.zeros_like(builder.truths(case.batch))
        builder.loss(answer, truths).backward()

    return Counted(TRAINED, case.batch, _tokens(inputs), 0, _flops(step))


def _ids(case: Case, builder: Any) -> Tensor:
    """Prompts, all as long as the shortest."""
    with _where(case):
        if not case.of_real_data:
            return torch.zeros(case.batch, TOKENS, dtype=torch.int64)
        rows: Sequence[Sequence[int]] = [one.tokens for one in builder.prompts(case.batch, 0)]
        shortest = min(map(len, rows))
        return torch.tensor([list(row[:shortest]) for row in rows])


def _generating(case: Case, builder: Any) -> Iterator[Counted]:
    """Reading prompts, and the next step with what the first one left in the cache."""
    model, ids = _model(case, builder).eval(), _ids(case, builder)
    kept: list[Any] = []
    with torch.inference_mode():
        read = _flops(lambda: kept.append(model(ids, use_cache=True, logits_to_keep=1)))
        cache = kept[0].past_key_values
        step = _flops(lambda: model(ids[:, :1], past_key_values=cache, logits_to_keep=1))
    batch, tokens = ids.shape
    yield Counted(("prefill",), batch, tokens, 0, read)
    begun = tokens + (1 if _has_encoder(builder) else 0)
    yield Counted(("decode",), batch, 1, begun, step)


def _has_encoder(builder: Any) -> bool:
    """Whether its decoder begins with a token of its own beside those of the prompt."""
    return "encoder_decoder" in builder.geometry()


def _next_tokens(case: Case, builder: Any) -> Counted:
    """Cross-entropy of each next token of a prompt, or of an answer as long as its prompt."""
    model, ids = _model(case, builder).train(), _ids(case, builder)
    if _has_encoder(builder):
        told = {"ids": ids}
        flops = _flops(lambda: encoder_decoder_network.loss(model, told, ids).backward())
        return Counted(TRAINED, case.batch, ids.shape[1], 0, flops)

    def step() -> None:
        logits = model(ids[:, :-1], use_cache=False).logits
        functional.cross_entropy(logits.mT, ids[:, 1:]).backward()

    return Counted(TRAINED, case.batch, ids.shape[1] - 1, 0, _flops(step))
