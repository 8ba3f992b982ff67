"""A convolution and its batch normalisation in PyTorch, apart or folded into one."""

from typing import cast

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from accelbench.suites.workloads.classifiers.cnn_layers import Convolution


class NormedConvolution(nn.Module):
    """A convolution without bias, and the normalisation of its filters over the batch.

    Args:
        shape: The convolution.
    """

    def __init__(self, shape: Convolution) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(
            shape.channels_in,
            shape.channels_out,
            shape.kernel,
            shape.stride,
            padding=shape.kernel // 2,
            groups=shape.channels_in if shape.depthwise else 1,
            bias=False,
        )
        nn.init.kaiming_normal_(self.convolution.weight, mode="fan_out", nonlinearity="relu")
        self.norm: nn.BatchNorm2d | nn.Identity = nn.BatchNorm2d(shape.channels_out)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps of the filters, normalised."""
        return cast("Tensor", self.norm(self.convolution(maps)))

    def fold(self) -> None:
        """Makes one convolution with bias of both; the module is in evaluation mode."""
        if isinstance(self.norm, nn.Identity):
            return
        self.convolution = fuse_conv_bn_eval(self.convolution, self.norm)
        self.norm = nn.Identity()


def folded(model: nn.Module) -> nn.Module:
    """The model, in evaluation mode, each of its normed convolutions folded into one."""
    model.eval()
    for module in model.modules():
        if isinstance(module, NormedConvolution):
            module.fold()
    return model
