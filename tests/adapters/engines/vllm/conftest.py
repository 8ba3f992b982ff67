"""A page of metrics, a log, and what trials on vLLM need."""

import pytest

from accelbench.harness.load.schedule.plan import LoadPlan
from accelbench.harness.schema.platform import Platform
from accelbench.harness.schema.prompts import Prompt
from accelbench.harness.schema.protocols import Task, Work
from accelbench.harness.schema.recorder import Recorder
from accelbench.harness.schema.rules import Limits, Rules

PAGE = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 2.0
vllm:num_requests_waiting{engine="0",model_name="m"} 1.0
vllm:num_requests_waiting_by_reason{engine="0",model_name="m",reason="capacity"} 7.0
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.25
vllm:prefix_cache_queries_total{engine="0",model_name="m"} 320.0
vllm:prefix_cache_queries_created{engine="0",model_name="m"} 1.79e+09
vllm:prefix_cache_hits_total{engine="0",model_name="m"} 128.0
vllm:num_preemptions_total{engine="0",model_name="m"} 0.0
vllm:cache_config_info{block_size="128",cache_dtype="auto",enable_prefix_caching="True",\
engine="0",note="a \\"b\\", c",num_gpu_blocks="95"} 1.0
python_info{implementation="CPython"} 1.0
process_open_fds 34.0
"""
LOG = """\
(APIServer pid=1) INFO 11-24 13:00:21 [model.py:733] Resolved architecture: LlamaForCausalLM
(EngineCore pid=2) INFO 11-24 13:00:32 [core.py:133] Initializing a V1 LLM engine (v0.32.0) with \
config: model='m', speculative_config=None, dtype=torch.float32, max_seq_len=512, \
tensor_parallel_size=1, quantization=None, quantization_config=None, enforce_eager=True, \
kv_cache_dtype=auto, device_config=cpu, enable_prefix_caching=True, enable_chunked_prefill=True, \
compilation_config={'mode': <CompilationMode.NONE: 0>, 'cache_dir': '', 'backend': 'inductor'}
(EngineCore pid=2) INFO 11-24 13:00:47 [core.py:402] init engine (profile) took 0.15 s
"""


@pytest.fixture
def page():
    """The metrics of a server with one engine, as it writes them."""
    return PAGE


@pytest.fixture
def log():
    """What a server on a CPU says at its start."""
    return LOG.splitlines()


@pytest.fixture
def task():
    """Makes a task of a builder."""
    sheet = Platform("here", "this machine", "cpu", {}, (), None, None, (), ("none",))
    return lambda builder: Task(builder, sheet, None, 3)


@pytest.fixture
def run(tmp_path):
    """Runs one trial of a scenario in an open session and returns its trace."""

    def trial(session, scenario, warmup=1):
        rules = Rules("test", "-", 1, warmup, "shared", 120, 0, Limits(), (), ())
        recorder = Recorder(session.clock)
        session.execute(Work(scenario, rules, 4, tmp_path), recorder)
        return recorder.freeze("measured", precision=session.precision)

    return trial


@pytest.fixture
def plan():
    """Makes a plan of requests with ten prompt tokens and three to generate."""

    def make(mode, requests, warmup=0, **other):
        count = warmup + requests + other.pop("tail", 0)
        settings = {"due_s": None, "users": 1, "group": 1, "max_in_flight": None, **other}
        return LoadPlan(
            prompts=tuple(Prompt(str(n), "", (1,) * 10, 3) for n in range(count)),
            warmup=warmup,
            requests=requests,
            mode=mode,
            arrivals=None,
            slo=None,
            facts={},
            **settings,
        )

    return make
