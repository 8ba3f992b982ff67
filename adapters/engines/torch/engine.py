"""What PyTorch does for the harness's loops: infer, generate, train."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import torch

from accelbench.adapters.engines.torch.facts import DTYPES, format_of, model_facts
from accelbench.adapters.engines.torch.instants import CudaInstants
from accelbench.adapters.engines.torch.levers.graphs import GraphedCalls
from accelbench.adapters.engines.torch.levers.options import Levers
from accelbench.adapters.engines.torch.levers.pull import Pulled, laid_out, over, pull, stored_bytes
from accelbench.harness.errors import TrialError
from accelbench.harness.load.engines import Instants, sleep_until_ns, steps_of
from accelbench.harness.load.host import HostInstants
from accelbench.harness.schema.builders import Counting, Counts, Generates, Training, Trains
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.prompts import Prompt
from accelbench.harness.schema.protocols import Task
from accelbench.harness.schema.training import Practice
from accelbench.harness.units import NS_PER_S


class TorchEngine:
    """Implements the engine protocols of `accelbench.harness.load.engines`.

    On a GPU what it returns of a batch or a step may still be in the making; of tokens it tells
    when they are on the host.

    Args:
        task: The workload, its weights and seed.
        device: Where the model lies.
        dtype: Its precision.
        max_batch: Most prompts that it takes at once.
        practice: How a training step is carried out.
        levers: What is done to the model.

    Attributes:
        max_batch: The same.
        transfers: What went from the host to the device and back: what, from when to when, on the
            wall clock, ns, and its bytes. None where the processor is the device.
        parameters: Parameters of the model, shared ones once.
        weight_bytes: Bytes that they take, after levers were pulled.
        pulled: What the levers did.

    Raises:
        TrialError: The workload has no PyTorch model.
    """

    def __init__(
        self,
        task: Task,
        device: torch.device,
        dtype: torch.dtype,
        max_batch: int,
        practice: Practice,
        levers: Levers | None = None,
    ) -> None:
        self.max_batch = max_batch
        self.transfers: list[tuple[str, int, int, int]] = []
        self._practice = practice
        self._builder = task.builder
        self._weights = task.weights
        self._device = device
        self._dtype = dtype
        self._levers = levers or Levers()
        self._model = self._built(task.weights, task.seed).eval()
        self._tied_within_ns: int | None = None
        self.parameters = sum(parameter.numel() for parameter in self._model.parameters())
        self._found = dict(model_facts(self._model))
        self.pulled: Pulled = pull(self._model, self._levers)
        self.weight_bytes = stored_bytes(self._model)
        self._graphed = GraphedCalls(self._model) if self._levers.cuda_graphs else None

    def facts(self, *, trains: bool) -> Mapping[str, Plain]:
        """What is found in the model, and in which formats it works.

        Args:
            trains: Whether a trial trained; gradients and both moments of the optimiser then
                have the format of their parameter.
        """
        found, kept = over(self._found, self.pulled.facts), format_of(self._dtype)
        formats: dict[str, Any] = {**found["precision_map"], "activations": kept}
        if isinstance(self._builder, Generates):
            formats["kv"] = kept
        if trains:
            formats |= {"gradients": kept, "optimizer_state": kept}
            cast = self._practice.autocast
            if cast != "none":
                formats["activations"] = f"{format_of(DTYPES[cast])} where autocast takes it"
        tied = self._tied_within_ns
        clock = {} if tied is None else {"device_clock": {"tied_within_s": tied / NS_PER_S}}
        return {**found, **clock, "precision_map": formats}

    def prepare(self, inputs: Any) -> Any:
        """Inputs as tensors on the device: real numbers in the model's precision, others as given.

        Args:
            inputs: A numpy array, or a mapping of names to them.
        """
        with self._transfer("inputs") as moved:
            if isinstance(inputs, Mapping):
                named = {name: self._placed(array) for name, array in inputs.items()}
                moved.extend(one.nbytes for one in named.values())
                return named
            placed = self._placed(inputs)
            moved.append(placed.nbytes)
        if self._graphed is not None:
            with torch.inference_mode():
                self._graphed.prepare(placed)
        return placed

    def fetch(self, outputs: torch.Tensor) -> Any:
        """Outputs as a numpy array of float32 on the host."""
        with self._transfer("outputs") as moved:
            fetched = outputs.float().cpu().numpy()
            moved.append(fetched.nbytes)
        return fetched

    @torch.inference_mode()
    def infer(self, inputs: Any) -> Any:
        """The model's outputs for one batch; a mapping gives the arguments by name."""
        if self._graphed is not None:
            return self._graphed(inputs)
        return self._model(**inputs) if isinstance(inputs, dict) else self._model(inputs)

    def wait(self) -> None:
        """Waits for the device."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def instants(self) -> Instants:
        """Readings of the clock on a CPU, events on a GPU."""
        if self._device.type == "cuda":
            taken = CudaInstants()
            self._tied_within_ns = taken.within_ns
            return taken
        return HostInstants(time.perf_counter_ns)

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
                self.wait()
                prefilled()
            ids = answer.logits[:, -1].argmax(dim=-1, keepdim=True)
            yield ids.flatten().tolist()

    def wait_until_ns(self, at_ns: int) -> None:
        """Waits in real time."""
        sleep_until_ns(at_ns)

    def train(self, batch_size: int, seed: int) -> Training:
        """A training run of a fresh model, from the session's weights or else from the seed.

        Raises:
            TrialError: The workload is not one that is trained.
        """
        if not isinstance(self._builder, Trains):
            raise TrialError("the workload is not one that is trained", remedy="use one that is")
        model = self._built(self._weights, seed)
        pull(model, self._levers)
        return self._builder.training(model, batch_size, seed, self._practice)

    def counting(self, now_ns: Callable[[], int]) -> AbstractContextManager[Counting] | None:
        """Watches what the model does inside; None where its workload has nothing to count.

        Args:
            now_ns: Reads the recorder's clock.
        """
        if not isinstance(self._builder, Counts):
            return None
        return self._builder.counting(self._model, now_ns)

    def _built(self, weights: Path | None, seed: int) -> Any:
        model = self._builder.model(weights, seed)
        if not isinstance(model, torch.nn.Module):
            raise TrialError("the workload has no PyTorch model", remedy="use another adapter")
        return model.to(self._device, self._dtype)

    def _placed(self, array: Any) -> torch.Tensor:
        tensor = torch.as_tensor(array)
        placed = tensor.to(self._device, self._dtype if tensor.is_floating_point() else None)
        return laid_out(placed, self._levers)

    @contextmanager
    def _transfer(self, what: str) -> Iterator[list[int]]:
        """Times what goes between host and device, where they do not share memory.

        Yields:
            A list that takes the bytes of each array.
        """
        moved: list[int] = []
        if self._device.type != "cuda":
            yield moved
            return
        self.wait()
        began_ns = time.perf_counter_ns()
        yield moved
        self.wait()
        self.transfers.append((what, began_ns, time.perf_counter_ns(), sum(moved)))


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
