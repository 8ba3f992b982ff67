"""Quality of a model that generates: how far its answers agree with those of the same model.

The reference is the workload's model in float32, run greedily by PyTorch in this process. An answer
scores the share of the reference answer, in characters, that it begins with: after the first token
that differs the two are texts of their own, and what follows is no longer comparable. A value of 1
says that precision, kernels and batching changed no token; two runs in the same precision that sum
in another order may differ where two tokens are about equally likely.

Where it is known what is right, the quality is the share of answers that are.
"""

from collections.abc import Mapping, Sequence
from itertools import takewhile
from operator import eq

from accelbench.harness.load.schedule.plan import LoadPlan
from accelbench.harness.schema.builders import KnowsAnswers, KnowsTruth, WorkloadBuilder
from accelbench.harness.schema.prompts import Prompt
from accelbench.harness.schema.quality import Quality
from accelbench.harness.schema.recorder import Recorder

METRIC = "agreement"
RIGHT = "exact_match"
MOST = 64
"""Most answers that are held against the reference, which takes a processor its time."""


def agreement(
    builder: WorkloadBuilder, prompts: Sequence[Prompt], answers: Sequence[str]
) -> Quality | None:
    """How good answers are, over the first `MOST`.

    The share that are right where the workload knows that, else the mean share of the reference
    answer that an answer begins with.

    Args:
        builder: The workload.
        prompts: What was asked.
        answers: The text that came back for each; empty where none did.

    Returns:
        The quality, with the number of answers that it rests on; None where the workload's model
        does not run here, or nothing was asked.
    """
    if not prompts:
        return None
    if isinstance(builder, KnowsTruth):
        right = list(map(eq, answers[:MOST], builder.truth(prompts[:MOST])))
        return Quality(RIGHT, "test", sum(right) / len(right), len(right))
    if not isinstance(builder, KnowsAnswers):
        return None
    wanted = builder.reference(prompts[:MOST])
    shares = [_share(a, b) for a, b in zip(answers[:MOST], wanted, strict=True)]
    return Quality(METRIC, "test", sum(shares) / len(shares), len(shares))


def record_texts(
    builder: WorkloadBuilder, plan: LoadPlan, texts: Mapping[int, str], recorder: Recorder
) -> None:
    """Evaluates the answers of a plan's window, where the workload can tell what is right.

    Args:
        builder: The workload.
        plan: What was asked.
        texts: The answers by their place in the plan; a request without one counts as unlike.
        recorder: Takes the evaluation.
    """
    places = scored(plan)
    found = agreement(
        builder, [plan.prompts[place] for place in places], [texts.get(p, "") for p in places]
    )
    if found is not None:
        recorder.evaluation(found.metric, found.split, found.value, found.n)


def record_tokens(
    builder: WorkloadBuilder,
    plan: LoadPlan,
    tokens: Mapping[int, Sequence[int]],
    recorder: Recorder,
) -> None:
    """As `record_texts`, of an engine that tells token ids.

    An engine that tells of no answer at all, as a simulated one, is not evaluated.
    """
    if not tokens or not isinstance(builder, KnowsAnswers | KnowsTruth):
        return
    texts = {
        place: builder.text(plan.prompts[place], tokens[place])
        for place in scored(plan)
        if place in tokens
    }
    record_texts(builder, plan, texts, recorder)


def scored(plan: LoadPlan) -> range:
    """The places in a plan of the requests whose answers are evaluated."""
    return range(plan.warmup, plan.warmup + plan.requests)[:MOST]


def _share(answer: str, wanted: str) -> float:
    alike = sum(takewhile(bool, map(eq, answer, wanted)))
    return alike / len(wanted) if wanted else 1.0
