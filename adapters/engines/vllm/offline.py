"""vLLM's offline engine, in this process."""

from contextlib import AbstractContextManager
from dataclasses import dataclass

from accelbench.adapters.engines.vllm.options import EngineOptions
from accelbench.harness.load.abilities import lacks_files, lacks_to_generate
from accelbench.harness.schema.builders import WorkloadBuilder
from accelbench.harness.schema.protocols import Session, Task
from accelbench.harness.schema.scenario import Scenario


@dataclass(frozen=True)
class VllmAdapter(EngineOptions):
    """Runs a workload that generates with vLLM's engine, with no server and no client between."""

    def supports(self, builder: WorkloadBuilder, scenario: Scenario) -> str | None:
        """What is lacking for a workload and scenario, in words."""
        return lacks_to_generate(builder, scenario, "vLLM") or lacks_files(builder, "vLLM")

    def open(self, task: Task) -> AbstractContextManager[Session]:
        """A session with the model loaded.

        Raises:
            MissingPart: vLLM, or a library that the workload needs, is not installed.
            ForeignError: vLLM could not load the model.
            TrialError: vLLM refused an option.
        """
        from accelbench.adapters.engines.vllm.engine import opened  # noqa: PLC0415  (only here)

        return opened(self, task)
