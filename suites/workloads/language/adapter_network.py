"""Adapters in PyTorch: how they are put into a model, and what they are."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn
from torch.nn import functional


def add_low_rank(model: nn.Module, rank: int, alpha: int, targets: Sequence[str]) -> None:
    """Adds low-rank factors to linear layers by `peft`, in place, and freezes all else.

    Args:
        model: What is adapted.
        rank: Width of the factors.
        alpha: Their scale, over the rank.
        targets: How the names of the linear layers end.

    Raises:
        ValueError: No module of the model has such a name.
    """
    from peft import LoraConfig, inject_adapter_in_model  # noqa: PLC0415  (slow to import)

    how = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=0.0, target_modules=list(targets))
    inject_adapter_in_model(how, model)


def add_bottlenecks(model: nn.Module, rank: int, places: Mapping[str, int]) -> None:
    """Puts a bottleneck behind modules, in place, and freezes all else.

    Args:
        model: What is adapted.
        rank: Width of the bottleneck.
        places: How the names of the modules end, each with the width of what it returns.

    Raises:
        ValueError: No module of the model has such a name.
    """
    model.requires_grad_(requires_grad=False)
    found = [name for name, _ in model.named_modules() if name.endswith(tuple(places))]
    if not found:
        raise ValueError(f"no module of the model is named {' or '.join(places)}")
    for name in found:
        width = next(size for ending, size in places.items() if name.endswith(ending))
        above, _, own = name.rpartition(".")
        adapted = Adapted(model.get_submodule(name), width, rank)
        setattr(model.get_submodule(above), own, adapted)


class Adapted(nn.Module):
    """A module with a bottleneck adapter behind it: y + up(gelu(down(y))) of what it returns.

    Args:
        base: The module, which returns one tensor.
        width: Width of what it returns.
        rank: Width of the bottleneck.
    """

    def __init__(self, base: nn.Module, width: int, rank: int) -> None:
        super().__init__()
        like = next(base.parameters())
        self.base = base
        self.down = nn.Linear(width, rank, device=like.device, dtype=like.dtype)
        self.up = nn.Linear(rank, width, device=like.device, dtype=like.dtype)
        nn.init.normal_(self.down.weight, std=0.01)
        nn.init.zeros_(self.down.bias)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, *inputs: Tensor, **named: Tensor) -> Tensor:
        """What the module returns, adapted; same shape."""
        found: Tensor = self.base(*inputs, **named)
        adapted: Tensor = self.up(functional.gelu(self.down(found)))
        return found + adapted


def told(model: nn.Module) -> tuple[int, int, str]:
    """Parameters that are trained, all parameters, and the format of those that are trained."""
    trained = [own for own in model.parameters() if own.requires_grad]
    formats = sorted({str(own.dtype).removeprefix("torch.") for own in trained})
    every = sum(own.numel() for own in model.parameters())
    return sum(own.numel() for own in trained), every, " and ".join(formats)
