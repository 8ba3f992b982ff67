"""What PyTorch does for the harness's loops: infer, generate, train."""

from collections.abc import Callable
from functools import cached_property
from typing import Any, cast

import torch

from accelbench.harness.schema.protocols import Prompt, Task, Training


class TorchEngine:
    """Implements the engine protocols of `accelbench.harness.load.engines`.

    The model is built when it is first needed: a trial of training builds its own.

    Args:
        task: The workload, its weights and seed.
        device: Where the model lies.
        dtype: Its precision.
    """

    def __init__(self, task: Task, device: torch.device, dtype: torch.dtype) -> None:
        self._task = task
        self._device = device
        self._dtype = dtype

    @cached_property
    def _model(self) -> Any:
        model = self._task.builder.model(self._task.weights, self._task.seed)
        return model.to(self._device, self._dtype).eval()

    def parameters(self) -> int | None:
        """Parameters of the model, or None while there is none."""
        if "_model" not in self.__dict__:
            return None
        return int(sum(parameter.numel() for parameter in self._model.parameters()))

    def prepare(self, inputs: Any) -> torch.Tensor:
        """Inputs as a tensor on the device, in the model's precision."""
        return torch.as_tensor(inputs).to(self._device, self._dtype)

    @torch.inference_mode()
    def infer(self, inputs: torch.Tensor) -> torch.Tensor:
        """One batch; on a GPU the call waits until the outputs are there."""
        outputs = self._model(inputs)
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return cast("torch.Tensor", outputs)

    @torch.inference_mode()
    def generate(
        self, prompt: Prompt, prefilled: Callable[[], None], token: Callable[[], None]
    ) -> None:
        """Greedy decoding with a key-value cache; the first token comes out of the prefill.

        A token is told when its id is known on the host, so the device has finished it.
        """
        ids = torch.tensor([prompt.tokens], device=self._device)
        cache = None
        for number in range(prompt.output_tokens):
            answer = self._model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
            cache = answer.past_key_values
            if number == 0:
                if self._device.type == "cuda":
                    torch.cuda.synchronize(self._device)
                prefilled()
            chosen = int(answer.logits[0, -1].argmax())
            token()
            ids = torch.tensor([[chosen]], device=self._device)

    def train(self, batch_size: int, seed: int) -> Training:
        """A training run of a fresh model, initialised from the seed."""
        model = self._task.builder.model(None, seed).to(self._device, self._dtype)
        return self._task.builder.training(model, batch_size, seed)

    def close(self) -> None:
        """Lets go of the model."""
        self.__dict__.pop("_model", None)
