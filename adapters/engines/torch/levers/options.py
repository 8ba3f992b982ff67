"""Which levers are pulled, and which of them do not go together; imports no PyTorch."""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal, TypeAlias

from accelbench.harness.schema.builders import Generates, WorkloadBuilder
from accelbench.harness.schema.scenario import Scenario, TrainToTarget

Device: TypeAlias = Literal["cpu", "cuda"]
Format: TypeAlias = Literal["fp32", "bf16", "fp16"]

TORCHAO = 'pip install "accelbench[quantized]"'
"""What brings the library behind the quantised levers."""

_TORCHAO_KINDS = ("int8_dynamic", "int8_weight_only")


@dataclass(frozen=True)
class Levers:
    """What is done to a model beyond its number format; by default nothing.

    Attributes:
        quantization: Of the weights of linear layers: "int8_dynamic" multiplies in int8 with
            activations quantised as they come, "int8_weight_only" and "int4_weight_only" multiply
            in the session's format, "ternary" takes weights from -1, 0 and 1.
        compile: A mode of torch.compile, or "none" for eager.
        attention: Which kernel computes attention; "default" leaves it to PyTorch, "eager" takes
            it apart into products and a softmax.
        channels_last: Whether images and the weights of convolutions lie channels last.
        sparsity: Which weights of linear layers and convolutions are set to 0: the smallest in the
            layer, in each block, or two of any four in a row.
        sparse_share: Share of the weights that "unstructured" and "block" set to 0.
        sparse_block: Side of a square block of "block".
        sparse_kernel: What computes with them: "dense" multiplies by the zeros, "csr" skips them
            (torch.sparse), "semi_structured" skips them two of four on a GPU.
        cuda_graphs: Whether the launches of a call are recorded once and replayed as one.
    """

    quantization: Literal[
        "none", "int8_dynamic", "int8_weight_only", "int4_weight_only", "ternary"
    ] = "none"
    compile: Literal["none", "default", "reduce-overhead", "max-autotune"] = "none"
    attention: Literal["default", "math", "flash", "efficient", "eager"] = "default"
    channels_last: bool = False
    sparsity: Literal["none", "unstructured", "2_of_4", "block"] = "none"
    sparse_share: float = 0.5
    sparse_block: int = 4
    sparse_kernel: Literal["dense", "csr", "semi_structured"] = "dense"
    cuda_graphs: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.sparse_share < 1:
            raise ValueError(f"sparse_share lies between 0 and 1, got {self.sparse_share}")
        if self.sparse_block < 1:
            raise ValueError(f"sparse_block must be at least 1, got {self.sparse_block}")
        if self.sparse_kernel != "dense" and self.sparsity == "none":
            raise ValueError(f"sparse_kernel {self.sparse_kernel!r} needs a sparsity")
        if self.sparse_kernel == "semi_structured" and self.sparsity != "2_of_4":
            raise ValueError("sparse_kernel 'semi_structured' is for sparsity '2_of_4'")
        if self.sparsity != "none" and self.quantization != "none":
            raise ValueError("sparsity and quantization change the same weights: choose one")
        if self.cuda_graphs and self.compile != "none":
            raise ValueError("cuda_graphs and compile exclude each other: reduce-overhead has both")

    def check(self, device: Device, dtype: Format) -> None:
        """Refuses what a device and a number format do not allow.

        Raises:
            ValueError: One line that says what and why.
        """
        if self.cuda_graphs and device != "cuda":
            raise ValueError("cuda_graphs needs device cuda: a CPU has no launches to record")
        if self.sparse_kernel == "semi_structured" and (device != "cuda" or dtype == "fp32"):
            raise ValueError("sparse_kernel 'semi_structured' needs device cuda and bf16 or fp16")
        if self.sparse_kernel == "csr" and dtype != "fp32":
            raise ValueError("sparse_kernel 'csr' needs dtype fp32")
        if self.quantization == "int4_weight_only" and dtype != "bf16":
            raise ValueError("int4_weight_only needs dtype bf16, which its kernel multiplies in")
        if self.attention == "efficient" and device == "cpu":
            raise ValueError("attention 'efficient' needs device cuda: the CPU has math and flash")

    def lacks(self, builder: WorkloadBuilder, scenario: Scenario) -> str | None:
        """What a workload and a scenario lack for these levers, in words; None if nothing."""
        if isinstance(scenario, TrainToTarget):
            return self._lacks_to_train()
        if isinstance(builder, Generates):
            if self.channels_last:
                return "channels_last is for images, the workload generates tokens"
            if self.cuda_graphs:
                return "cuda_graphs needs shapes that stay, a growing cache has none"
        return None

    def _lacks_to_train(self) -> str | None:
        if self.quantization != "none":
            return f"quantization {self.quantization!r} is for trained weights, it is not trained"
        if self.sparsity != "none":
            return f"sparsity {self.sparsity!r} is for trained weights, it is not trained"
        if self.cuda_graphs:
            return "cuda_graphs replays inference, it does not train"
        return None

    def missing(self, device: Device) -> str | None:
        """What has to be installed for them; None if nothing."""
        needs = self.quantization in _TORCHAO_KINDS or (
            self.quantization == "int4_weight_only" and device == "cuda"
        )
        return f"torchao, for {self.quantization}" if needs and not find_spec("torchao") else None

    def arithmetic(self, dtype: Format) -> str:
        """The precision of the products, a key of a sheet's peaks."""
        return "int8" if self.quantization == "int8_dynamic" else dtype
