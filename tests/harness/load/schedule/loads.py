"""Loads to plan, and a workload to plan them for."""

from dataclasses import replace
from pathlib import Path

from accelbench.harness.load.schedule.plan import plan_load
from accelbench.harness.schema.arrivals import (
    Bursts,
    Constant,
    Gamma,
    Poisson,
    Replay,
    Stage,
    Stages,
)
from accelbench.harness.schema.prompts import Prompt
from accelbench.harness.schema.scenario import (
    ClosedLoop,
    MultiStream,
    Offline,
    OpenLoop,
    SingleStream,
)
from accelbench.harness.schema.trace import ServiceLevel

EXAMPLES = Path(__file__).parents[4] / "tests" / "data" / "traces"
FAST = ServiceLevel(ttft_s=0.2)
POISSON = Poisson("poisson", 5.0)
STAGES = Stages("stages", (Stage(2.0, 0.0, 10.0), Stage(4.0, 10.0)))
DRAWN = (
    Constant("constant", 5.0),
    POISSON,
    Gamma("gamma", 5.0, 0.3),
    Bursts("bursts", 20.0, 0.0, 1.0, 3.0),
    STAGES,
)
UNSCHEDULED = (
    SingleStream("single_stream", 5, FAST),
    MultiStream("multi_stream", 4, 3, FAST),
    ClosedLoop("closed_loop", 3, 7, FAST),
    Offline("offline", 4, 10),
)


class Builder:
    """A workload of prompts of one length, or of those of a recording.

    Attributes:
        wanted: What it was asked for: how many prompts, or requests of a recording; the seed.
    """

    def __init__(self, tokens=3):
        self.tokens = tokens
        self.wanted = []

    def prompts(self, count, seed):
        """As many prompts; the n-th generates n tokens."""
        self.wanted.append((count, seed))
        return [Prompt(f"p{n}", "", (7,) * self.tokens, n) for n in range(count)]

    def prompts_for(self, asks, seed):
        """A prompt for each recorded request; long ones are cut."""
        self.wanted.append((tuple(asks), seed))
        return [
            Prompt(f"r{n}", "", (7,) * min(ask.input_tokens, 600), ask.output_tokens)
            for n, ask in enumerate(asks)
        ]


def open_loop(arrivals=POISSON, requests=40, **options):
    """An open loop."""
    return OpenLoop("open_loop", arrivals, requests, **options)


def recorded(name, form, **options):
    """The replay of an example."""
    return Replay("replay", str(EXAMPLES / name), form, **options)


MOONCAKE = recorded("mooncake.jsonl", "mooncake", stamps="spread")
REPLAYS = (
    (recorded("azure_llm.csv", "azure_llm"), [0, 1e-7, 1.02004]),
    (recorded("mooncake.jsonl", "mooncake"), [0, 0, 3, 6]),
    (MOONCAKE, [0, 1.5, 3, 6]),
    (replace(MOONCAKE, speed=2.0), [0, 0.75, 1.5, 3]),
    (recorded("burstgpt.csv", "burstgpt"), [0, 113.5]),
)


def plan(scenario, warmup=2, seed=1, builder=None):
    """The plan of a scenario."""
    return plan_load(scenario, builder or Builder(), warmup, seed)
