"""What PyTorch does for the harness's loops: infer, generate, train."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from accelbench.adapters.engines.torch.facts import format_of, model_facts
from accelbench.harness.errors import TrialError
from accelbench.harness.load.engines import sleep_until_ns, steps_of
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.prompts import Prompt
from accelbench.harness.schema.protocols import Quality, Task, Training


class TorchEngine:
    """Implements the engine protocols of `accelbench.harness.load.engines`.

    Whatever it returns or tells of is finished: on a GPU it waits for the device.

    Args:
        task: The workload, its weights and seed.
        device: Where the model lies.
        dtype: Its precision.
        max_batch: Most prompts that it takes at once.

    Attributes:
        max_batch: The same.
        parameters: Parameters of the model, shared ones once.
        weight_bytes: Bytes that they take.

    Raises:
        TrialError: The workload has no PyTorch model.
    """

    def __init__(
        self, task: Task, device: torch.device, dtype: torch.dtype, max_batch: int
    ) -> None:
        self.max_batch = max_batch
        self._builder = task.builder
        self._device = device
        self._dtype = dtype
        self._model = self._built(task.weights, task.seed).eval()
        self.parameters = sum(parameter.numel() for parameter in self._model.parameters())
        self.weight_bytes = sum(parameter.nbytes for parameter in self._model.parameters())

    def facts(self, *, trains: bool) -> Mapping[str, Plain]:
        """What is found in the model, and in which formats it works.

        Args:
            trains: Whether a trial trained; gradients and both moments of the optimiser then
                have the format of their parameter.
        """
        found, kept = self._found, format_of(self._dtype)
        formats: dict[str, Plain] = {**found["precision_map"], "activations": kept}
        if self._builder.task == "generate":
            formats["kv"] = kept
        if trains:
            formats |= {"gradients": kept, "optimizer_state": kept}
        return {**found, "precision_map": formats}

    @cached_property
    def _found(self) -> dict[str, Any]:
        return dict(model_facts(self._model))

    def prepare(self, inputs: Any) -> torch.Tensor:
        """Inputs as a tensor on the device, in the model's precision."""
        return torch.as_tensor(inputs).to(self._device, self._dtype)

    @torch.inference_mode()
    def infer(self, inputs: torch.Tensor) -> Any:
        """The model's outputs for one batch."""
        outputs = self._model(inputs)
        self._wait()
        return outputs

    @torch.inference_mode()
    def generate_batch(
        self,
        prompts: Sequence[Prompt],
        prefilled: Callable[[], None],
        tokens: Callable[[Sequence[int]], None],
    ) -> Sequence[Sequence[int]]:
        """Decodes greedily; tokens are told when their ids are known on the host."""
        ids: list[Sequence[int]] = []
        for members, step in zip(steps_of(prompts), self.greedy(prompts, prefilled), strict=True):
            tokens(members)
            ids.append(step)
        return ids

    def greedy(
        self, prompts: Sequence[Prompt], prefilled: Callable[[], None]
    ) -> Iterator[Sequence[int]]:
        """The ids of each step, one a prompt; the first come out of the prefill.

        Shorter prompts are padded on the left. All rows are computed until the longest answer is
        done, and an end-of-text token stops none. The key-value cache is the model's own.
        """
        longest = max(len(prompt.tokens) for prompt in prompts)
        pads = [longest - len(prompt.tokens) for prompt in prompts]
        rows = [(0,) * pad + prompt.tokens for pad, prompt in zip(pads, prompts, strict=True)]
        ids = torch.tensor(rows, device=self._device)
        places = _Places(pads, longest, self._device) if any(pads) else None
        cache = None
        for step in range(max(prompt.output_tokens for prompt in prompts)):
            answer = self._model(
                ids,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
                **(places.next() if places else {}),
            )
            cache = answer.past_key_values
            if step == 0:
                self._wait()
                prefilled()
            ids = answer.logits[:, -1].argmax(dim=-1, keepdim=True)
            yield ids.flatten().tolist()

    def wait_until_ns(self, at_ns: int) -> None:
        """Waits in real time."""
        sleep_until_ns(at_ns)

    def train(self, batch_size: int, seed: int) -> Training:
        """A training run of a fresh model, initialised from the seed."""
        training = self._builder.training(self._built(None, seed), batch_size, seed)
        return training if self._device.type == "cpu" else _Waited(training, self._wait)

    def _built(self, weights: Path | None, seed: int) -> Any:
        model = self._builder.model(weights, seed)
        if not isinstance(model, torch.nn.Module):
            raise TrialError("the workload has no PyTorch model", remedy="use another adapter")
        return model.to(self._device, self._dtype)

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


class _Places:
    """Where the tokens of prompts stand that are padded on the left, for call after call.

    Without padding a model finds this out by itself.

    Args:
        pads: Padding of each prompt.
        longest: Tokens of the longest prompt.
        device: Where the model lies.
    """

    def __init__(self, pads: Sequence[int], longest: int, device: torch.device) -> None:
        rows = [[0] * pad + [1] * (longest - pad) for pad in pads]
        self._mask = torch.tensor(rows, device=device)
        self._places = (self._mask.cumsum(dim=-1) - 1).clamp(min=0)
        self._first = True

    def next(self) -> Mapping[str, torch.Tensor]:
        """What the model is told at the next call: that of the prompts, then that of a token."""
        if not self._first:
            self._mask = torch.nn.functional.pad(self._mask, (0, 1), value=1)
            self._places = self._places[:, -1:] + 1
        self._first = False
        return {"attention_mask": self._mask, "position_ids": self._places}


class _Waited:
    """A training run on a GPU whose steps are finished when they return."""

    def __init__(self, training: Training, wait: Callable[[], None]) -> None:
        self._training = training
        self._wait = wait
        self.batches = training.batches
        self.save = training.save

    def step(self, batch: Any) -> int:
        """One optimiser step; returns the number of samples in it."""
        size = self._training.step(batch)
        self._wait()
        return size

    def evaluate(self) -> Sequence[Quality]:
        """Quality on each held-out split."""
        return self._training.evaluate()
