"""Real trials with PyTorch on the CPU."""

import gc
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from accelbench.adapters.engines.torch.adapter import TorchAdapter
from accelbench.harness.errors import TrialError
from accelbench.harness.load.training import WEIGHTS_FILE
from accelbench.harness.schema.arrivals import Constant
from accelbench.harness.schema.plain import file_digest
from accelbench.harness.schema.scenario import (
    ClosedLoop,
    MultiStream,
    Offline,
    OpenLoop,
    SingleStream,
    TrainToTarget,
)
from accelbench.harness.schema.training import Practice
from accelbench.suites.workloads.classifiers.cnn import Cnn
from accelbench.suites.workloads.fake import FakeClassifier
from accelbench.suites.workloads.language.decoder import Decoder

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("sklearn")

pytestmark = pytest.mark.torch

TINY = Decoder(
    hidden=32, layers=2, heads=4, kv_heads=2, intermediate=48, prompt_tokens=12, output_tokens=5
)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Threads that wait for one another would slow small models down on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Weights of a network that has seen the digits twice."""
    workload = Cnn()
    training = workload.training(workload.model(None, 0), 64, 0, Practice())
    for epoch in range(2):
        for batch in training.batches(epoch):
            training.step(batch, lambda _: None)
    path = tmp_path_factory.mktemp("weights") / WEIGHTS_FILE
    training.save(path)
    return path


def accuracy(weights, count=None):
    """Share of the first `count` test digits that the saved network gets right, by hand."""
    samples = Cnn().samples()
    with torch.no_grad():
        scores = Cnn().model(weights, 0).eval()(torch.from_numpy(samples.inputs[:count]))
    return float(np.mean(scores.argmax(1).numpy() == samples.labels[:count]))


def rows(trace, name):
    """The rows of a table."""
    return trace.table(name).to_pylist()


def on_test_split(trace):
    """The evaluations on the test split."""
    return [row for row in rows(trace, "evals") if row["split"] == "test"]


def test_training_meets_its_target_and_leaves_weights_of_that_quality(task, run, tmp_path):
    """0.96 on the test split in a few epochs; the saved weights have the accuracy reported last."""
    scenario = TrainToTarget("train_to_target", "accuracy", 0.96, 32, 30)
    with TorchAdapter().open(task(Cnn())) as session:
        trace = run(session, scenario)
    evaluations = on_test_split(trace)
    assert [e["value"] >= 0.96 for e in evaluations] == [False] * (len(evaluations) - 1) + [True]
    assert {(e["metric"], e["split"], e["n"]) for e in evaluations} == {("accuracy", "test", 360)}
    assert trace.table("requests").num_rows == 45 * len(evaluations)
    assert sum(r["samples"] for r in rows(trace, "requests")) == 1437 * len(evaluations)
    assert accuracy(tmp_path / WEIGHTS_FILE) == pytest.approx(evaluations[-1]["value"])


def test_the_seed_of_a_trial_decides_its_training(task, run):
    """The same seed learns the same, another seed otherwise."""
    scenario = TrainToTarget("train_to_target", "accuracy", 1.0, 64, 2)
    with TorchAdapter().open(task(Cnn())) as session:
        found = [
            [e["value"] for e in on_test_split(run(session, scenario, seed=s))] for s in (1, 1, 2)
        ]
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(
    ("scenario", "answered"),
    [
        (Offline("offline", 64, 512), 360),
        (Offline("offline", 100, 100), 100),
        (SingleStream("single_stream", 400), 360),
        (SingleStream("single_stream", 50), 50),
    ],
)
def test_trained_weights_carry_the_accuracy_of_what_was_answered(
    task, run, weights, scenario, answered
):
    """Each answered sample counts once, and the figure is that of a plain forward pass."""
    with TorchAdapter().open(task(Cnn(), weights)) as session:
        trace = run(session, scenario)
        facts = session.facts()
    (found,) = rows(trace, "evals")
    assert (found["metric"], found["split"], found["n"]) == ("accuracy", "test", answered)
    assert found["value"] == pytest.approx(accuracy(weights, answered))
    assert facts["weights"] == "trained in this campaign"
    assert facts["weights_sha256"] == file_digest(weights)


def test_random_weights_never_carry_an_accuracy(task, run):
    """A network that was not trained is timed, not judged, and the facts say so."""
    with TorchAdapter().open(task(Cnn())) as session:
        trace = run(session, Offline("offline", 64, 512))
        assert session.facts()["weights"] == "random"
    assert rows(trace, "evals") == []
    assert trace.table("requests").num_rows == 8


def test_bfloat16_is_scored_like_any_precision(task, run, weights):
    """Answers that numpy cannot hold are widened first; the precision is in the trace."""
    with TorchAdapter(dtype="bf16").open(task(Cnn(), weights)) as session:
        trace = run(session, Offline("offline", 360, 360))
    assert rows(trace, "evals")[0]["value"] == pytest.approx(accuracy(weights), abs=0.02)
    assert trace.head.precision == "bf16"


def test_inference_states_its_flops_bytes_and_memory(task, run):
    """The window's demand is that of the operator graph, element size included."""
    with TorchAdapter().open(task(Cnn())) as session:
        trace = run(session, Offline("offline", 32, 128))
    graph = Cnn().lower("forward", 32, 1, 0)
    (steady,) = [phase for phase in rows(trace, "phases") if phase["kind"] == "steady"]
    assert steady["flops"] == 4 * graph.flops
    assert steady["bytes"] == 4 * graph.bytes_moved(4)
    (peak,) = [c for c in rows(trace, "counters") if c["name"] == "rss_peak"]
    heaps = [c["at_ns"] for c in rows(trace, "counters") if c["name"] == "heap.held"]
    if heaps:  # none where another allocator than glibc's is in its place
        opened, closed = trace.head.window_ns
        assert heaps[0] <= opened < closed <= heaps[1]
    assert (peak["unit"], peak["scope"]) == ("byte", "process")
    assert peak["value"] > 50e6
    assert peak["at_ns"] >= trace.head.window_ns[1]


def test_a_decoder_streams_tokens_one_by_one(task, run):
    """Each request has all its tokens, the first after the prefill's end, stamped in order."""
    with TorchAdapter().open(task(TINY)) as session:
        trace = run(session, SingleStream("single_stream", 3), warmup=2)
    requests, tokens = rows(trace, "requests"), rows(trace, "tokens")
    start, end = trace.head.window_ns
    assert [start <= request["due_ns"] <= end for request in requests] == [False] * 2 + [True] * 3
    for request in requests:
        at = [t["at_ns"] for t in tokens if t["id"] == request["id"]]
        assert len(at) == request["output_tokens"] == 5
        assert request["input_tokens"] == 12
        stamps = [request["sent_ns"], request["prefill_end_ns"], *at, request["done_ns"]]
        assert stamps == sorted(stamps)
        assert len(set(at)) == 5
    assert len(tokens) == 25
    kinds = [phase["kind"] for phase in rows(trace, "phases")]
    assert [kinds.count(kind) for kind in ("warmup", "prefill", "decode")] == [2, 3, 3]
    assert rows(trace, "evals") == []


def test_decode_states_one_step_fewer_than_it_has_tokens(task, run):
    """The first token comes out of the prefill."""
    with TorchAdapter().open(task(TINY)) as session:
        trace = run(session, SingleStream("single_stream", 1))
    stated = {phase["kind"]: phase["flops"] for phase in rows(trace, "phases")}
    assert stated["warmup"] is None
    steps = [TINY.lower("decode", 1, 1, 12 + k).flops for k in range(4)]
    assert stated["prefill"] == TINY.lower("prefill", 1, 12, 0).flops
    assert stated["decode"] == sum(steps)


def ids(session, prompts, prefilled=bool):
    """The ids of each prompt's answer, as a batch makes them."""
    steps = list(session._engine.greedy(prompts, prefilled))
    return [[step[k] for step in steps[: prompt.output_tokens]] for k, prompt in enumerate(prompts)]


def test_its_greedy_tokens_are_those_of_transformers(task):
    """The loop of our own gives what `generate(do_sample=False)` gives."""
    with TorchAdapter().open(task(TINY)) as session:
        for prompt in TINY.prompts(3, 1):
            told = []
            with torch.inference_mode():
                ours = ids(session, [prompt], lambda told=told: told.append(1))[0]
            theirs = (
                TINY.model(None, 0)
                .eval()
                .generate(
                    torch.tensor([prompt.tokens]),
                    attention_mask=torch.ones(1, len(prompt.tokens), dtype=torch.long),
                    do_sample=False,
                    min_new_tokens=5,
                    max_new_tokens=5,
                    eos_token_id=None,
                    pad_token_id=0,
                )
            )
            assert ours == theirs[0, len(prompt.tokens) :].tolist()
            assert told == [1]


def uneven():
    """Prompts of several lengths that ask for several numbers of tokens."""
    lengths, outputs = (12, 3, 7, 1, 12), (5, 9, 1, 6, 2)
    return [
        replace(prompt, tokens=prompt.tokens[:size], output_tokens=asked)
        for prompt, size, asked in zip(TINY.prompts(5, 2), lengths, outputs, strict=True)
    ]


def test_a_padded_batch_gives_what_each_prompt_gives_alone(task):
    """Padding on the left, and rows that run on, change no token of anyone."""
    prompts = uneven()
    with TorchAdapter().open(task(TINY)) as session, torch.inference_mode():
        alone = [ids(session, [prompt])[0] for prompt in prompts]
        assert ids(session, prompts) == alone
        assert ids(session, prompts[1:4]) == alone[1:4]
        assert ids(session, [prompts[0], prompts[4]]) == [alone[0], alone[4]]


def test_places_count_from_the_first_token_of_a_prompt():
    """Padding is masked and takes no place; each further token takes the next one of its row."""
    from accelbench.adapters.engines.torch.engine import _Places

    places = _Places([0, 2], 3, torch.device("cpu"))
    told = [{name: tensor.tolist() for name, tensor in places.next().items()} for _ in range(3)]
    assert [call["position_ids"] for call in told] == [
        [[0, 1, 2], [0, 0, 0]],
        [[3], [1]],
        [[4], [2]],
    ]
    assert [call["attention_mask"] for call in told] == [
        [[1] * size, [0, 0] + [1] * (size - 2)] for size in (3, 4, 5)
    ]


def test_a_batch_tells_of_a_token_only_whom_it_is_for(task):
    """Each member as often as it asked, all in the first step, the longest in the last."""
    told = []
    with TorchAdapter().open(task(TINY)) as session:
        session._engine.generate_batch(uneven(), bool, told.append)
    assert told[0] == [0, 1, 2, 3, 4]
    assert told[-1] == [1]
    assert [sum(k in members for members in told) for k in range(5)] == [5, 9, 1, 6, 2]


@pytest.mark.parametrize(
    "scenario",
    [
        Offline("offline", 3, 6),
        MultiStream("multi_stream", 3, 2),
        ClosedLoop("closed_loop", 3, 6),
        OpenLoop("open_loop", Constant("constant", 200.0), 6),
    ],
)
def test_a_decoder_serves_any_load(task, run, scenario):
    """Every request has its tokens; batches are within the limit, and stamps in order."""
    with TorchAdapter(max_batch=2).open(task(TINY)) as session:
        trace = run(session, scenario)
        facts = session.facts()
    requests = rows(trace, "requests")
    start, end = trace.head.window_ns
    assert sum(start <= request["due_ns"] <= end for request in requests) == 6
    for request in requests:
        stamps = [request[f"{c}_ns"] for c in ("due", "sent", "queue_exit", "prefill_end", "done")]
        assert stamps == sorted(stamps)
        assert request["output_tokens"] == 5
    begun = Counter(request["queue_exit_ns"] for request in requests)
    assert max(begun.values()) <= 2
    assert facts["batch"] <= 2
    assert "up to 2 requests" in facts["batching"]
    assert "longest" in facts["geometry"]["padding"]["policy"]


def test_padding_of_the_window_is_counted(task, run):
    """Prompts of one length are not padded; those of several lengths are."""
    with TorchAdapter().open(task(TINY)) as session:
        trace = run(session, Offline("offline", 4, 4))
    counters = {row["name"]: row["value"] for row in rows(trace, "counters")}
    assert counters["elements.real"] == counters["elements.padded"] == 4 * 12 + 4 * 4


def test_a_batch_moves_the_weights_once(task, run):
    """Two requests together state the bytes of graphs of two, and the FLOPs of two alone."""
    with TorchAdapter().open(task(TINY)) as session:
        trace = run(session, Offline("offline", 2, 2), warmup=0)
    stated = Counter()
    for phase in rows(trace, "phases"):
        if phase["kind"] != "input":
            stated[phase["kind"], "flops"] += phase["flops"]
            stated[phase["kind"], "bytes"] += phase["bytes"]
    prefill, steps = (
        TINY.lower("prefill", 2, 12, 0),
        [TINY.lower("decode", 2, 1, 12 + k) for k in range(4)],
    )
    assert stated["prefill", "flops"] == prefill.flops
    assert stated["prefill", "bytes"] == pytest.approx(prefill.bytes_moved(4))
    assert stated["decode", "flops"] == sum(step.flops for step in steps)
    assert stated["decode", "bytes"] == pytest.approx(sum(step.bytes_moved(4) for step in steps))


def test_caches_do_not_pile_up_while_the_garbage_collector_rests(task):
    """Reference counts alone free the keys and values of a finished request."""
    with TorchAdapter().open(task(TINY)) as session:
        (prompt,) = TINY.prompts(1, 0)
        session._engine.generate_batch([prompt], bool, len)
        gc.collect()
        gc.disable()
        try:
            before = sum(type(thing) is torch.Tensor for thing in gc.get_objects())
            for _ in range(5):
                session._engine.generate_batch([prompt], bool, len)
            after = sum(type(thing) is torch.Tensor for thing in gc.get_objects())
        finally:
            gc.enable()
    assert after == before


def test_facts_name_framework_precision_and_data(task):
    """What a reader needs to doubt or repeat the figures."""
    with TorchAdapter().open(task(Cnn())) as session:
        facts = session.facts()
    assert facts["framework"] == f"torch {torch.__version__}"
    assert facts["compile_path"] == "eager"
    assert (facts["device"], facts["threads"], facts["dtype"]) == ("cpu", 1, "fp32")
    assert facts["parameters"] == 35_914
    assert facts["data"]["kind"] == "real"


def test_threads_are_as_before_when_the_session_ends(task):
    """A session leaves the process as it found it, even after an error."""
    before = torch.get_num_threads()
    with TorchAdapter(threads=before + 1).open(task(TINY)) as session:
        assert session.facts()["threads"] == torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
    with pytest.raises(TrialError), TorchAdapter(threads=before + 1).open(task(FakeClassifier())):
        pass
    assert torch.get_num_threads() == before


def test_a_workload_without_a_pytorch_model_is_refused(task):
    """The fake workload is none of PyTorch's."""
    with (
        pytest.raises(TrialError, match="no PyTorch model"),
        TorchAdapter().open(task(FakeClassifier())),
    ):
        pass


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_a_gpu_that_is_not_there_is_told(task):
    """The remedy is the option to change."""
    with (
        pytest.raises(TrialError, match="device=cpu"),
        TorchAdapter(device="cuda").open(task(TINY)),
    ):
        pass


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is here")
def test_a_gpu_gives_the_same_accuracy_and_its_own_peak_of_memory(task, run, weights):
    """The same code serves the GPU."""
    with TorchAdapter(device="cuda").open(task(Cnn(), weights)) as session:
        trace = run(session, Offline("offline", 360, 360))
    assert rows(trace, "evals")[0]["value"] == pytest.approx(accuracy(weights), abs=0.01)
    told = {c["name"] for c in rows(trace, "counters")}
    assert {"device_memory_peak", "device_memory.reserved", "device_memory.allocated"} <= told
