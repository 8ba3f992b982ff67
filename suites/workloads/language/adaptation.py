"""Fine-tuning a few parameters instead of all: low-rank adaptation and bottleneck adapters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal, TypeAlias

from accelbench.harness.schema.plain import Plain
from accelbench.suites.workloads.extras import require

Method: TypeAlias = Literal["none", "lora", "adapter"]


@dataclass(frozen=True)
class Adaptation:
    """Which parameters of a model are trained. Either kind begins as the model that it adapts.

    Attributes:
        method: "lora" adds to the weight of linear layers a product of two factors, scaled by
            alpha / rank (Hu et al. 2021), through the library `peft`. "adapter" puts behind
            modules a bottleneck with a residual connection (Houlsby et al. 2019). With "none" all
            parameters are trained.
        rank: Width of the factors, or of the bottleneck.
        alpha: Scale of the factors; a bottleneck has none.
    """

    method: Method = "none"
    rank: int = 8
    alpha: int = 16

    def __post_init__(self) -> None:
        if min(self.rank, self.alpha) < 1:
            raise ValueError("rank and alpha must be at least 1")

    def put_into(self, model: Any, targets: Sequence[str], places: Mapping[str, int]) -> Any:
        """The same model with the trainable parts in it, all others frozen.

        Args:
            model: An `nn.Module`.
            targets: How the names of the linear layers end that low-rank adaptation adapts.
            places: How the names of the modules end that get a bottleneck, each with the width of
                the one tensor that it returns.

        Raises:
            MissingPart: `peft` is not installed.
            ValueError: No module of the model has such a name.
        """
        if self.method == "none":
            return model
        if self.method == "lora":
            require("peft", "peft")
        from accelbench.suites.workloads.language import adapter_network  # noqa: PLC0415  (torch)

        if self.method == "lora":
            adapter_network.add_low_rank(model, self.rank, self.alpha, targets)
        else:
            adapter_network.add_bottlenecks(model, self.rank, places)
        return model

    def facts(self, model: Any) -> Mapping[str, Plain]:
        """Method, rank and trainable share, for the record.

        Args:
            model: What `put_into` returned; one on the `meta` device will do.
        """
        from accelbench.suites.workloads.language import adapter_network  # noqa: PLC0415  (torch)

        trained, every, precision = adapter_network.told(model)
        found: dict[str, Plain] = {
            "method": self.method,
            "trained_parameters": trained,
            "share": trained / every,
        }
        if self.method == "none":
            return found
        found |= {"rank": self.rank, "adapter_precision": precision}
        if self.method == "adapter":
            return found | {"library": "none: this package's own"}
        return found | {"alpha": self.alpha, "library": f"peft {version('peft')}"}
