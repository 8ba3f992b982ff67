"""What a spiking network is taught, and what its evaluation tells beside accuracy."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from accelbench.harness.schema.quality import Quality
from accelbench.suites.workloads.classifiers.lesson import ClassLesson
from accelbench.suites.workloads.classifiers.spiking_network import watched


class SpikingLesson(ClassLesson):
    """A lesson whose evaluation counts spikes and synaptic operations as well."""

    def evaluate(self, model: nn.Module) -> Sequence[Quality]:
        """The figures of the test samples, the activity and the synaptic operations of a sample."""
        bare: Any = getattr(model, "module", model)
        with watched(bare, lambda: 0) as seen:
            found = super().evaluate(model)
        return [*found, *seen.figures(self._split.test.count)]
