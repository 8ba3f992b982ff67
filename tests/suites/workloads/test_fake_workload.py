"""The workloads of plain integers."""

from dataclasses import replace

from accelbench.harness.load.engines import DemandOf
from accelbench.harness.schema.builders import Answers, Exports, Generates, Trains, WorkloadBuilder
from accelbench.harness.schema.prompts import Ask
from accelbench.harness.schema.quality import Quality
from accelbench.suites.workloads.fake import FakeClassifier, FakeGenerator


def test_an_engine_that_echoes_is_always_right() -> None:
    """The right answer to an integer is itself, and each sample counts once."""
    samples = FakeClassifier(samples_count=3).samples()
    batches = [[0, 1], [2, 0]]
    found = samples.figures([(indices, samples.batch(indices)) for indices in batches])[0]
    assert found == Quality("accuracy", "test", 1.0, 3)


def test_only_the_first_answer_to_a_sample_counts() -> None:
    """A later, better answer does not mend a wrong one."""
    samples = FakeClassifier(samples_count=2).samples()
    assert samples.figures([([0, 1], [9, 1]), ([0], [0])]) == (Quality("accuracy", "test", 0.5, 2),)
    assert samples.figures([]) == ()


def test_prompts_depend_on_the_seed_alone() -> None:
    """The same seed draws the same prompts, another seed others."""
    fake = FakeGenerator(prompt_tokens=5, output_tokens=3)
    first, again, other = (fake.prompts(4, seed) for seed in (1, 1, 2))
    assert first == again != other
    assert {len(p.tokens) for p in first} == {5}
    assert len({p.id for p in first}) == 4


def test_demand_is_linear_in_the_batch_and_in_the_context() -> None:
    """Twice the batch asks for twice the FLOPs; each decode step for a little more."""
    fake: WorkloadBuilder = replace(FakeClassifier(), flops_per_sample=10, elements_per_sample=4)
    demand = DemandOf(fake, "fp32")
    assert demand.call("forward", batch=1).flops == 10
    assert demand.call("forward", batch=2).flops == 20
    assert demand.call("forward", batch=1).moved == 4 * (4 + 1 + 1 + 1)
    steps = [demand.call("decode", context=c).flops for c in (5, 6, 7)]
    assert demand.decode(5, 3).flops == sum(steps)


def test_each_can_do_one_thing() -> None:
    """One answers, the other generates; neither has a model, so none is trained or exported."""
    answers, generates = FakeClassifier(), FakeGenerator()
    assert (isinstance(answers, Answers), isinstance(answers, Generates)) == (True, False)
    assert (isinstance(generates, Answers), isinstance(generates, Generates)) == (False, True)
    for fake in (answers, generates):
        assert not isinstance(fake, Trains | Exports)
        assert fake.model(None, 0) is None  # type: ignore[func-returns-value]


def test_it_keeps_no_keys_and_pads_nothing():
    """There is no model, so no layout; inputs are alike."""
    workload = FakeGenerator()
    assert workload.kv(4.0) is None
    assert workload.geometry()["padding"]["share"] == 0.0
    assert workload.facts()["data"]["kind"] == "synthetic"


def test_prompts_of_a_recording_have_its_lengths_and_its_sharing():
    """Equal blocks are equal numbers; where only texts are known, a token is a word."""
    asks = [
        Ask(0.0, 10, 3, blocks=(1, 2, 3), block_tokens=4),
        Ask(0.0, 12, 3, blocks=(1, 2, 4), block_tokens=4),
        Ask(0.0, 6, 2),
        Ask(None, None, None, text="three short words", answer="yes sir"),
        Ask(None, None, None),
    ]
    fake = FakeGenerator()
    made = fake.prompts_for(asks, 5)
    assert [(len(p.tokens), p.output_tokens) for p in made] == [
        (10, 3),
        (12, 3),
        (6, 2),
        (3, 2),
        (fake.prompt_tokens, fake.output_tokens),
    ]
    assert made[0].tokens[:8] == made[1].tokens[:8]
    assert made[0].tokens[8:] != made[1].tokens[8:10]
    assert made[3].text == "three short words"
    assert made == fake.prompts_for(asks, 5) != fake.prompts_for(asks, 6)
