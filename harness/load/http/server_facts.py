"""What every adapter that loads a server says of its trials."""

from collections.abc import Mapping

from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.protocols import WorkloadBuilder
from accelbench.harness.schema.scenario import Scenario, TrainToTarget


def lacks(builder: WorkloadBuilder, scenario: Scenario) -> str | None:
    """What a server lacks for a workload and scenario, in words; None if nothing.

    Args:
        builder: The workload.
        scenario: How work would arrive.
    """
    if isinstance(scenario, TrainToTarget):
        return "a server generates, it does not train"
    if builder.task != "generate":
        return f"a server generates, the workload {builder.task}s"
    return None


def served_facts(builder: WorkloadBuilder) -> Mapping[str, Plain]:
    """The workload, and from where to where its requests are timed.

    Args:
        builder: The workload.
    """
    return {
        **builder.facts(),
        "geometry": builder.geometry(),
        "timing_scope": {
            "boundary": "end_to_end",
            "inside": ["network", "HTTP", "queue and scheduler", "tokenisation", "kernels"],
            "outside": ["making of prompts", "reading of replies"],
        },
        "batch": "made by the server at each of its steps",
        "sampling": "greedy (temperature 0), as asked",
    }
