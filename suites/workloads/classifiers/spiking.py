"""Spiking networks on events, and what they are held against: dense networks of the same layers."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal

from accelbench.harness.schema.builders import Counting
from accelbench.harness.schema.plain import Plain
from accelbench.suites.workloads.classifiers.classifier import Classifier
from accelbench.suites.workloads.data.events import DIGIT_RATES, VOWEL_CHANGES, EventSet
from accelbench.suites.workloads.data.labelled import Split

EVENTS: Mapping[str, EventSet] = {"digit_rates": DIGIT_RATES, "vowel_changes": VOWEL_CHANGES}


@dataclass(frozen=True)
class Spiking(Classifier):
    """Leaky integrate-and-fire neurons, trained through their spikes with surrogate gradients.

    The answer is the mean over time of what the last layer's weights make of the spikes.

    Attributes:
        events: "digit_rates": scikit-learn's digits as random spikes. "vowel_changes": changes of
            speech features, of the asset japanese_vowels.
        neurons: "lif": leaky integrate-and-fire. "relu": none of them spikes; the same layers read
            the values that the events were made of. This is the dense network of the same task.
        execution: "dense": all weights are multiplied, by 0 where nothing spiked. "events": only
            the weights of inputs that spiked are read and added up.
        hidden: Neurons of a hidden layer.
        layers: Hidden layers.
        decay: Share of its potential that a neuron keeps from one time step to the next.
    """

    name: ClassVar[str] = "spiking"

    events: Literal["digit_rates", "vowel_changes"] = "digit_rates"
    neurons: Literal["lif", "relu"] = "lif"
    execution: Literal["dense", "events"] = "dense"
    hidden: int = 128
    layers: int = 1
    decay: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.hidden, self.layers) < 1:
            raise ValueError("hidden and layers must be above 0")
        if not 0 <= self.decay <= 1:
            raise ValueError("decay must be from 0 to 1")
        if self.neurons == "relu" and self.execution == "events":
            raise ValueError("neurons that do not spike have no events; use execution=dense")

    @property
    def known(self) -> EventSet:
        """The events as they are known to be."""
        return EVENTS[self.events]

    @property
    def steps(self) -> int:
        """Time steps of a sample."""
        return self.known.steps if self.neurons == "lif" else self.known.value_steps

    def data(self) -> Split:
        """The events, or the values that they were made of.

        Raises:
            MissingPart: The asset is not on this machine.
        """
        return self.known.read(self.split_seed, "events" if self.neurons == "lif" else "values")

    def widths(self) -> tuple[int, ...]:
        """Of the input, of each hidden layer and of the answer."""
        return (self.known.channels, *[self.hidden] * self.layers, self.known.classes)

    def geometry(self) -> Mapping[str, Plain]:
        """The layers; of spiking ones also neurons, time steps and encoding."""
        widths = self.widths()
        told: dict[str, Plain] = {
            "execution": "event-driven: inputs that are silent are skipped; training is dense"
            if self.execution == "events"
            else "dense",
            "layers": self.layers + 1,
            "linear": [list(pair) for pair in pairwise(widths)],
            "input_shapes": {f"{self.steps}x{self.known.channels}": 1.0},
            "padding": {"policy": "none: all samples have one length", "share": 0.0},
        }
        if self.neurons == "relu":
            return {**told, "timesteps": self.steps}
        return {
            **told,
            "snn": {
                "neuron": "leaky integrate-and-fire, threshold 1, reset by subtraction",
                "decay": self.decay,
                "timesteps": self.steps,
                "neurons": self.hidden * self.layers,
                "synapses": sum(into * out for into, out in pairwise(widths)),
                "encoding": self.known.encoding,
                "conversion": "none: trained as a spiking network",
                "equivalent_dense": "the same layers with neurons=relu, on the values that the"
                " events were made of",
                "lowered_as": "dense, whatever the execution",
            },
        }

    def lesson_facts(self) -> Mapping[str, Plain]:
        """Optimiser and loss, and what stands for the gradient of a spike."""
        if self.neurons == "relu":
            return super().lesson_facts()
        surrogate = "offline; surrogate gradient of a spike 1 / (1 + 10 |potential - 1|)^2"
        return {**super().lesson_facts(), "spiking": surrogate}

    def lesson(self) -> Any:
        """Classes, and how much of the network is active on the test samples."""
        from accelbench.suites.workloads.classifiers import spiking_lesson  # noqa: PLC0415  (torch)

        return spiking_lesson.SpikingLesson(
            self.data(), self.loss, self.learning_rate, self.lesson_facts()
        )

    def network(self) -> Any:
        """The network in PyTorch."""
        from accelbench.suites.workloads.classifiers import spiking_network  # noqa: PLC0415  (torch)

        return spiking_network.SpikingNetwork(
            self.widths(),
            decay=self.decay if self.neurons == "lif" else None,
            by_events=self.execution == "events",
        )

    def lowered_network(self) -> Any:
        """The same by dense products, whose operators do not depend on what spikes."""
        from accelbench.suites.workloads.classifiers import spiking_network  # noqa: PLC0415  (torch)

        decay = self.decay if self.neurons == "lif" else None
        return spiking_network.SpikingNetwork(self.widths(), decay=decay, by_events=False)

    def example(self, batch: int) -> Any:
        """Events, shape (batch, steps, channels)."""
        import torch  # noqa: PLC0415  (torch)

        return torch.empty(batch, self.steps, self.known.channels)

    def counting(
        self, model: Any, now_ns: Callable[[], int]
    ) -> AbstractContextManager[Counting] | None:
        """Counts spikes, and synaptic operations done and not needed; None where none spikes.

        Counting would take the dense network a good part of its time; its evaluation tells how many
        multiply-accumulates of numbers other than 0 it does.

        Args:
            model: As `model` made it.
            now_ns: Reads the recorder's clock.
        """
        if self.neurons == "relu":
            return None
        from accelbench.suites.workloads.classifiers import spiking_network  # noqa: PLC0415  (torch)

        return spiking_network.watched(model, now_ns)
