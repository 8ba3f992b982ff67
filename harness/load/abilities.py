"""What a workload can be asked to do, by the methods that its builder has."""

from accelbench.harness.errors import TrialError
from accelbench.harness.schema.builders import Answers, Exports, Generates, Trains, WorkloadBuilder
from accelbench.harness.schema.scenario import (
    ClosedLoop,
    OpenLoop,
    Scenario,
    Sustainable,
    TrainToTarget,
)


def lacks(builder: WorkloadBuilder, scenario: Scenario) -> str | None:
    """What a workload lacks for a scenario in this process, in words; None if nothing.

    Args:
        builder: The workload.
        scenario: How work would arrive.
    """
    if isinstance(scenario, TrainToTarget):
        return None if isinstance(builder, Trains) else "the workload is not one that is trained"
    if isinstance(builder, Generates):
        return None
    if not isinstance(builder, Answers):
        return "the workload neither answers samples nor generates tokens"
    if isinstance(scenario, ClosedLoop | OpenLoop | Sustainable):
        kind = scenario.kind.replace("_", " ")
        return f"a load with a queue ({kind}) is for workloads that generate, not for samples"
    return None


def lacks_to_generate(builder: WorkloadBuilder, scenario: Scenario, by: str) -> str | None:
    """What a workload and scenario lack where tokens are generated and nothing else.

    Args:
        builder: The workload.
        scenario: How work would arrive.
        by: Who generates, e.g. "a server".
    """
    if isinstance(scenario, TrainToTarget):
        return f"{by} generates, it does not train"
    if not isinstance(builder, Generates):
        return f"{by} generates tokens, the workload does not"
    return None


def lacks_files(builder: WorkloadBuilder, of: str) -> str | None:
    """What a workload lacks where its model goes to another engine as files.

    Args:
        builder: The workload.
        of: Whose engine it is, e.g. "vLLM".
    """
    if isinstance(builder, Exports):
        return None
    return f"{of} reads a model from files, and the workload writes none"


def generating(builder: WorkloadBuilder) -> Generates:
    """The builder as one that generates.

    Raises:
        TrialError: It is none.
    """
    if not isinstance(builder, Generates):
        raise TrialError("the workload does not generate tokens", remedy="use one that does")
    return builder


def exporting(builder: WorkloadBuilder) -> Exports:
    """The builder as one that writes its model to files.

    Raises:
        TrialError: It is none.
    """
    if not isinstance(builder, Exports):
        raise TrialError(
            "the workload writes no model files for another engine",
            remedy="use an adapter that runs it as it is",
        )
    return builder
