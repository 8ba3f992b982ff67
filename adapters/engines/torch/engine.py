"""What PyTorch does for the harness's loops: infer, generate, train."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from accelbench.adapters.engines.torch.facts import format_of, model_facts
from accelbench.harness.errors import TrialError
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

    Attributes:
        parameters: Parameters of the model, shared ones once.
        weight_bytes: Bytes that they take.

    Raises:
        TrialError: The workload has no PyTorch model.
    """

    def __init__(self, task: Task, device: torch.device, dtype: torch.dtype) -> None:
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
    def generate(
        self, prompt: Prompt, prefilled: Callable[[], None], token: Callable[[], None]
    ) -> None:
        """Decodes greedily; a token is told when its id is known on the host."""
        for _ in self.greedy(prompt, prefilled):
            token()

    def greedy(self, prompt: Prompt, prefilled: Callable[[], None]) -> Iterator[int]:
        """The ids of the generated tokens; the first comes out of the prefill.

        The key-value cache is the model's own. An end-of-text token does not stop it.
        """
        ids = torch.tensor([prompt.tokens], device=self._device)
        cache = None
        for number in range(prompt.output_tokens):
            answer = self._model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
            cache = answer.past_key_values
            if number == 0:
                self._wait()
                prefilled()
            ids = answer.logits[:, -1].argmax(dim=-1, keepdim=True)
            yield int(ids)

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
