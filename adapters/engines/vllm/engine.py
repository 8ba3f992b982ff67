"""vLLM's engine in this process: made, stepped, listened to.

vLLM reads its environment when it is imported, so that comes first.
"""

import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from accelbench.adapters.engines.vllm.counts import Counts
from accelbench.adapters.engines.vllm.facts import (
    Told,
    caches_prefixes,
    compiled_as,
    emptied,
    engine_facts,
    kv_capacity,
    padding,
)
from accelbench.adapters.engines.vllm.launch import OVERRIDES
from accelbench.adapters.engines.vllm.loop import Ended, Progress, serve
from accelbench.adapters.engines.vllm.options import EngineOptions
from accelbench.harness.environment.heap import tell_heap
from accelbench.harness.errors import TrialError
from accelbench.harness.foreign import foreign
from accelbench.harness.load.abilities import exporting, generating
from accelbench.harness.load.engines import FLOPS_COUNTING, TRAFFIC, DemandOf, sleep_until_ns
from accelbench.harness.load.phases import prepares
from accelbench.harness.load.schedule.plan import plan_load
from accelbench.harness.schema.opgraph import ELEMENT_BYTES
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.prompts import Prompt
from accelbench.harness.schema.protocols import Task, Work
from accelbench.harness.schema.recorder import Clock, Recorder, WallClock
from accelbench.harness.units import NS_PER_S

_ONE_CLOCK = (
    time.get_clock_info("monotonic").implementation
    == time.get_clock_info("perf_counter").implementation
)
"""Whether vLLM's stamps, of time.monotonic, are on the recorder's clock."""


@contextmanager
def opened(options: EngineOptions, task: Task) -> Iterator["VllmSession"]:
    """A session, its model loaded; afterwards the environment is as it was before.

    Args:
        options: How vLLM is set up.
        task: The workload and its seed.

    Raises:
        TrialError: vLLM refused an option.
        ForeignError: It could not load the model.
    """
    with (
        _environment({**options.environment(), "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}),
        tempfile.TemporaryDirectory(prefix="accelbench-vllm-") as folder,
    ):
        model = exporting(task.builder).export(Path(folder))
        counts = Counts()
        engine = _made(options.arguments(model, task.seed), counts)
        try:
            yield VllmSession(options, task, engine, counts)
        finally:
            engine.engine_core.shutdown()


@contextmanager
def _environment(wanted: Mapping[str, str]) -> Iterator[None]:
    """The environment with these variables, and without what goes before our options."""
    before = {name: os.environ.get(name) for name in (*wanted, OVERRIDES)}
    os.environ.pop(OVERRIDES, None)
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, of in before.items():
            os.environ.pop(name, None)
            if of is not None:
                os.environ[name] = of


def _made(arguments: Sequence[str], counts: Counts) -> Any:
    """An engine of vLLM, which tells its counts at each step."""
    with foreign("importing vLLM"):
        import torch  # noqa: PLC0415  (of the extra)
        from vllm import EngineArgs, LLMEngine  # noqa: PLC0415  (of the extra, slow)
        from vllm.utils.argparse_utils import FlexibleArgumentParser  # noqa: PLC0415  (likewise)
    set_threads = torch.set_num_threads
    try:
        parser = EngineArgs.add_cli_args(FlexibleArgumentParser(prog="vllm"))
        given = parser.parse_args(list(arguments))
        with foreign("vLLM could not load the model"):
            return LLMEngine.from_engine_args(
                EngineArgs.from_cli_args(given), stat_loggers=[lambda *_: counts]
            )
    except SystemExit as error:
        raise TrialError("vLLM refused an option", remedy="see the session's log") from error
    finally:
        torch.set_num_threads = set_threads  # vLLM puts a refusal in its place


class VllmEngine:
    """Drives vLLM's engine step by step, as `loop.serve` asks.

    Args:
        engine: vLLM's LLMEngine.
    """

    def __init__(self, engine: Any) -> None:
        from vllm import SamplingParams  # noqa: PLC0415  (of the extra)
        from vllm.sampling_params import RequestOutputKind  # noqa: PLC0415  (likewise)

        self._engine = engine
        self._params = SamplingParams
        self._kind = RequestOutputKind.DELTA

    def add(self, number: int, prompt: Prompt) -> None:
        """Takes a request up, greedily and to its full length."""
        asked = self._params(
            temperature=0.0,
            ignore_eos=True,
            max_tokens=prompt.output_tokens,
            output_kind=self._kind,
        )
        self._engine.add_request(str(number), {"prompt_token_ids": list(prompt.tokens)}, asked)

    def step(self) -> Sequence[Progress]:
        """Advances all requests by a step."""
        return [progress(output) for output in self._engine.step()]

    def wait_until_ns(self, at_ns: int) -> None:
        """Sleeps until an instant of the wall clock."""
        sleep_until_ns(at_ns)


def progress(output: Any) -> Progress:
    """What vLLM's output of a step says of a request.

    Args:
        output: A RequestOutput with the new tokens alone.
    """
    ids = [token for one in output.outputs for token in one.token_ids]
    if not output.finished:
        return Progress(int(output.request_id), len(ids), None, ids)
    stats = output.metrics
    ended = Ended(
        queue_exit_ns=_instant(getattr(stats, "scheduled_ts", 0.0)),
        prefill_end_ns=_instant(getattr(stats, "first_token_ts", 0.0)),
        cached_tokens=output.num_cached_tokens,
    )
    return Progress(int(output.request_id), len(ids), ended, ids)


def _instant(at_s: float) -> int | None:
    """One of vLLM's stamps, in nanoseconds; it has 0 for none."""
    return round(at_s * NS_PER_S) if at_s and _ONE_CLOCK else None


class VllmSession:
    """vLLM's engine with a model, ready for trials.

    Args:
        options: How it was set up.
        task: The workload.
        engine: vLLM's LLMEngine.
        counts: What it tells at each step.
    """

    def __init__(self, options: EngineOptions, task: Task, engine: Any, counts: Counts) -> None:
        self.clock: Clock = WallClock()
        self.precision: str = options.dtype
        self._options = options
        self._builder = generating(task.builder)
        self._engine = engine
        self._counts = counts
        self._demand = DemandOf(task.builder, options.dtype)
        self._told = told(engine)
        self._asked: Mapping[str, Plain] = {}

    def facts(self) -> Mapping[str, Plain]:
        """The engine and its set-up, the workload, and what was asked."""
        return {
            **self._builder.facts(),
            **engine_facts(self._options, self._told),
            "geometry": {**self._builder.geometry(), "padding": padding(self._told)},
            "flops_counting": FLOPS_COUNTING,
            "traffic": TRAFFIC,
            "timing": "tokens stamped when a step returns; queue and prefill as vLLM stamps them",
            "timing_scope": {
                "boundary": "end_to_end",
                "inside": ["queue and scheduler", "kernels", "sampling", "detokenisation"],
                "outside": ["making of prompts", "tokenisation", "HTTP"],
            },
            "batch": "made by the engine at each of its steps",
            "sampling": "greedy (temperature 0), end-of-text ignored",
            **self._asked,
        }

    def execute(self, work: Work, recorder: Recorder) -> None:
        """Runs one trial; the peak of memory is that of the process so far."""
        with prepares(recorder, "prompts"):
            plan = plan_load(work.scenario, self._builder, work.rules.warmup, work.seed)
        if self._options.enable_prefix_caching:
            emptied(self._engine.reset_prefix_cache())
        self._counts.clear()
        layout = self._builder.kv(self._options.kv_element_bytes())
        if layout is not None:
            size = self._told.block_size or layout.block_tokens
            recorder.kv(replace(layout, block_tokens=size))
        scored_by = self._builder if work.rules.accuracy == "all" else None
        engine = VllmEngine(self._engine)
        tell_heap(recorder)
        served, window = serve(engine, plan, self._demand, recorder, scored_by)
        self._asked = {**plan.facts, **served}
        caching = caches_prefixes(self._options, self._told)
        self._counts.tell(window, recorder, caching=caching)
        capacity = kv_capacity(self._told)
        if capacity is not None:
            recorder.counter("kv.capacity", capacity, "token", "engine")
        tell_heap(recorder)
        recorder.counter("rss_peak", _peak_bytes(), "byte")
        parameters = self._builder.facts().get("parameters")
        if isinstance(parameters, int) and self._told.quantization is None:
            # Counted, not read: vLLM packs weights where PyTorch does not see them.
            of_each = ELEMENT_BYTES[self._options.dtype]
            recorder.counter("weights", parameters * of_each, "byte")


def told(engine: Any) -> Told:
    """What vLLM's configuration tells of the set-up.

    Args:
        engine: vLLM's LLMEngine.
    """
    import torch  # noqa: PLC0415  (of the extra)

    config = engine.vllm_config
    cache, scheduler, compilation = (
        config.cache_config,
        config.scheduler_config,
        config.compilation_config,
    )
    device = str(config.device_config.device_type)
    backend = config.attention_config.backend
    return Told(
        device=device,
        attention=backend.name if backend else ("CPU_ATTN" if device == "cpu" else None),
        compilation=compiled_as(compilation.mode.name, compilation.backend or "inductor"),
        chunked_prefill=scheduler.enable_chunked_prefill,
        prefix_caching=cache.enable_prefix_caching,
        block_size=cache.block_size,
        blocks=cache.num_gpu_blocks,
        capacity=getattr(cache, "kv_cache_size_tokens", None),
        max_num_seqs=scheduler.max_num_seqs,
        max_num_batched_tokens=scheduler.max_num_batched_tokens,
        compile_s=compilation.compilation_time or None,
        quantization=config.model_config.quantization,
        instruction_set=torch.backends.cpu.get_cpu_capability() if device == "cpu" else None,
    )


def _peak_bytes() -> int:
    """Largest resident set of this process; Linux counts KiB, macOS bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
