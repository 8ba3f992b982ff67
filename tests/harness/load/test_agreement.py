"""Quality over the path that is measured: the whole test set, and answers against the model's own."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from accelbench.harness.load.agreement import MOST, agreement, record_texts
from accelbench.harness.load.engines import steps_of
from accelbench.harness.load.host import HostEngine
from accelbench.harness.load.in_process import drive
from accelbench.harness.load.schedule.plan import plan_load
from accelbench.harness.schema.prompts import Prompt
from accelbench.harness.schema.protocols import Work
from accelbench.harness.schema.quality import Quality
from accelbench.harness.schema.recorder import Recorder, VirtualClock
from accelbench.harness.schema.rules import Limits, Rules
from accelbench.harness.schema.scenario import MultiStream, Offline, Scenario, SingleStream
from accelbench.harness.schema.trace import Trace
from accelbench.suites.workloads.fake import FakeClassifier, FakeGenerator

MS = 1_000_000


class Alphabet(FakeGenerator):
    """Answers with the alphabet from a prompt's place on."""

    def reference(self, prompts: Sequence[Prompt]) -> Sequence[str]:
        """As many letters as asked."""
        return [self.text(prompt, letters(prompt)) for prompt in prompts]

    def text(self, prompt: Prompt, tokens: Sequence[int]) -> str:  # noqa: ARG002  (has no boundary)
        """A token is a character."""
        return "".join(map(chr, tokens))


class Known(FakeGenerator):
    """Knows that the right answer is the alphabet from a prompt's place on."""

    def truth(self, prompts: Sequence[Prompt]) -> Sequence[str]:
        """As many letters as asked."""
        return [self.text(prompt, letters(prompt)) for prompt in prompts]

    def text(self, prompt: Prompt, tokens: Sequence[int]) -> str:  # noqa: ARG002  (has no boundary)
        """A token is a character."""
        return "".join(map(chr, tokens))


class Unequal(FakeClassifier):
    """Answers with samples of which each has as many elements as its number."""

    def samples(self) -> Any:
        """Padded to the greatest of a batch."""
        return Wide(super().samples())


class Wide:
    """Samples that are padded."""

    def __init__(self, samples: Any) -> None:
        self.count, self.batch, self.figures = samples.count, samples.batch, samples.figures

    def elements(self, indices: Sequence[int]) -> tuple[int, int]:
        """The sum of the numbers, and as many times the greatest."""
        return sum(indices), len(indices) * max(indices)


def letters(prompt: Prompt) -> list[int]:
    """The right tokens."""
    return [ord("a") + (int(prompt.id) + k) % 26 for k in range(prompt.output_tokens)]


class Says(HostEngine):
    """An engine on a virtual clock that says what it is told to say.

    Args:
        change: What becomes of the right tokens of a prompt.
    """

    max_batch = 3

    def __init__(self, change: Callable[[Prompt, list[int]], list[int]] | None = None) -> None:
        self.clock = VirtualClock()
        super().__init__(self.clock.now_ns)
        self.change = change or (lambda _, right: right)
        self.inferred: list[tuple[list[int], int]] = []

    def prepare(self, inputs: Any) -> Any:
        """Nothing to do."""
        return inputs

    def infer(self, inputs: list[int]) -> list[int]:
        """Each is its own answer but for sample 9."""
        self.inferred.append((inputs, self.clock.now_ns()))
        self.clock.advance_ns(MS)
        return [item + (item == 9) for item in inputs]

    def generate_batch(
        self,
        prompts: Sequence[Prompt],
        prefilled: Callable[[], None],
        tokens: Callable[[Sequence[int]], None],
    ) -> Sequence[Sequence[int]]:
        """A step a millisecond; rows that are done go on with zeros."""
        prefilled()
        longest = max(prompt.output_tokens for prompt in prompts)
        said = [self.change(prompt, letters(prompt)) for prompt in prompts]
        for members in steps_of(prompts):
            self.clock.advance_ns(MS)
            tokens(members)
        return [[row[step] if step < len(row) else 0 for row in said] for step in range(longest)]

    def wait_until_ns(self, at_ns: int) -> None:
        """Moves the clock on."""
        self.clock.advance_ns(at_ns - self.clock.now_ns())


def run(
    engine: Says, builder: Any, scenario: Scenario, accuracy: Any = "all", warmup: int = 1
) -> Trace:
    """One trial."""
    rules = Rules("r", "", 1, warmup, "shared", 10.0, 7, Limits(), (), (), accuracy=accuracy)
    recorder = Recorder(engine.clock)
    samples = builder.samples() if isinstance(builder, FakeClassifier) else None
    drive(engine, builder, samples, None, Work(scenario, rules, 7, Path()), recorder)
    return recorder.freeze("simulated")


def told(trace: Trace) -> list[tuple[str, str, float, int]]:
    """The evaluations."""
    return [
        (row["metric"], row["split"], row["value"], row["n"])
        for row in trace.table("evals").to_pylist()
    ]


@pytest.mark.parametrize(
    ("scenario", "asked"),
    [
        (SingleStream("single_stream", 3), [[k] for k in range(10)]),
        (MultiStream("multi_stream", 4, 1), [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 1]]),
        (Offline("offline", 4, 4), [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 1]]),
        (SingleStream("single_stream", 15), [[k % 10] for k in range(15)]),
    ],
)
def test_an_accuracy_run_asks_for_the_whole_test_set(
    scenario: Scenario, asked: list[list[int]]
) -> None:
    """What the window left out comes after it, through the same calls and in the same order."""
    engine = Says()
    trace = run(engine, FakeClassifier(samples_count=10), scenario, warmup=0)
    assert [inputs for inputs, _ in engine.inferred] == asked
    assert told(trace) == [("accuracy", "test", 0.9, 10)]
    inside = trace.num_rows("requests")
    end = trace.head.window_ns[1]
    assert all(at >= end for _, at in engine.inferred[inside:])
    phases = [row["name"] for row in trace.table("phases").to_pylist()]
    assert phases == ["forward"] + ["accuracy"] * (len(asked) > inside)


def test_otherwise_quality_rests_on_what_the_window_answered() -> None:
    """Three of ten samples, and the engine is asked for no more."""
    engine = Says()
    trace = run(
        engine, FakeClassifier(samples_count=10), SingleStream("single_stream", 3), "answered", 0
    )
    assert (len(engine.inferred), told(trace)) == (3, [("accuracy", "test", 1.0, 3)])


@pytest.mark.parametrize("scenario", [SingleStream("single_stream", 5), Offline("offline", 3, 6)])
def test_right_answers_agree_wholly(scenario: Scenario) -> None:
    """Each request of the window once, whatever it was batched with, and none of the warm-up."""
    trace = run(Says(), Alphabet(output_tokens=4), scenario)
    count = 5 if isinstance(scenario, SingleStream) else 6
    assert told(trace) == [("agreement", "test", 1.0, count)]


def test_an_answer_agrees_up_to_its_first_wrong_token() -> None:
    """What is right after it does not count: one of the two answers is right for a quarter."""

    def changed(prompt: Prompt, right: list[int]) -> list[int]:
        return [right[0], 0, *right[2:]] if prompt.id == "2" else right

    builder = Alphabet(output_tokens=4)
    trace = run(Says(changed), builder, SingleStream("single_stream", 2))
    assert told(trace) == [("agreement", "test", (1 + 0.25) / 2, 2)]


def test_where_the_truth_is_known_an_answer_is_right_or_not() -> None:
    """One that begins rightly is wrong; what the model itself would say is not asked."""
    wrong = Says(lambda prompt, right: right if prompt.id != "2" else [*right[:-1], 33])
    for accuracy in ("all", "answered"):  # it costs nothing to know
        trace = run(wrong, Known(), Offline("offline", 4, 8), accuracy, warmup=0)
        assert told(trace) == [("exact_match", "test", 0.875, 8)]


def test_the_padding_of_batches_of_samples_is_counted() -> None:
    """Elements with data and elements as run, over the batches of the window."""
    trace = run(Says(), Unequal(samples_count=10), Offline("offline", 4, 8), warmup=2)
    counters = {row["name"]: row["value"] for row in trace.table("counters").to_pylist()}
    assert counters["elements.real"] == sum(range(8))
    assert counters["elements.padded"] == 4 * 3 + 4 * 7


def test_answers_are_held_against_nothing_unless_that_is_asked() -> None:
    """Not under other rules, not for a workload without a model, not for an engine without ids."""
    stream = SingleStream("single_stream", 2)
    knows = Alphabet(output_tokens=4)
    assert told(run(Says(), knows, stream, "answered")) == []
    assert told(run(Says(), FakeGenerator(output_tokens=4), stream)) == []

    class Silent(Says):
        """Tells no ids, as a simulated machine."""

        def generate_batch(self, *asked: Any) -> None:  # type: ignore[override]
            """Says nothing."""
            super().generate_batch(*asked)

    assert told(run(Silent(), knows, stream)) == []


def test_texts_of_a_server_are_held_against_the_reference() -> None:
    """By their place in the plan; an answer that never came counts as nothing."""
    builder = Alphabet(output_tokens=2)
    plan = plan_load(SingleStream("single_stream", 3), builder, 1, 7)
    recorder = Recorder(VirtualClock())
    recorder.window(0, 0)
    record_texts(builder, plan, {0: "zz", 1: "bc", 2: "cx and more"}, recorder)
    assert told(recorder.freeze("simulated")) == [("agreement", "test", pytest.approx(0.5), 3)]


def test_only_the_first_answers_are_compared_and_the_count_says_so() -> None:
    """The reference takes a processor its time."""
    builder = Alphabet(output_tokens=1)
    prompts = builder.prompts(MOST + 9, 0)
    right = builder.reference(prompts)
    assert agreement(builder, prompts, [*right[:MOST], *["?"] * 9]) == Quality(
        "agreement", "test", 1.0, MOST
    )
    assert agreement(builder, [], []) is None


def test_an_answer_may_be_longer_and_an_empty_reference_asks_for_nothing() -> None:
    """Only the reference's own length counts; what is missing of it counts as wrong."""
    builder = Alphabet(output_tokens=4)
    (prompt,) = builder.prompts(1, 0)
    for text, share in (("abcdef", 1.0), ("ab", 0.5), ("", 0.0), ("xbcd", 0.0)):
        found = agreement(builder, [prompt], [text])
        assert found is not None
        assert found.value == share
    silent = Prompt("0", "", (1,), 0)
    found = agreement(builder, [silent], [""])
    assert found is not None
    assert found.value == 1.0
