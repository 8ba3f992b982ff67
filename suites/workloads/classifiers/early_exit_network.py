"""The network with early exits in PyTorch."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from accelbench.suites.workloads.classifiers.cnn_layers import Convolution


class EarlyExitNetwork(nn.Module):
    """Stages of two convolutions, each followed by an exit.

    Args:
        stages: The convolutions of each stage.
        classes: How many classes there are.
        threshold: Probability at which a sample leaves; None for a network that runs its whole
            path and all exits for every sample.

    Attributes:
        blocks: The stages.
    """

    def __init__(
        self,
        stages: Sequence[tuple[Convolution, Convolution]],
        classes: int,
        threshold: float | None,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(*map(_rectified, stage)) for stage in stages)
        self.exits = nn.ModuleList(_exit(last.channels_out, classes) for _, last in stages)
        self._threshold = threshold

    def forward(self, images: Tensor) -> Tensor:
        """What it says to images, shape (batch, channels, side, side).

        Returns:
            In training, and without a threshold, the scores of all exits, shape (batch, exits,
            classes). Else those of the exit that each sample left at, and the number of that
            exit, shape (batch, classes + 1).
        """
        if self.training or self._threshold is None:
            return self._whole(images)
        return self._early(images, self._threshold)

    def _whole(self, images: Tensor) -> Tensor:
        maps, scores = images, []
        for stage, leave in zip(self.blocks, self.exits, strict=True):
            maps = stage(maps)
            scores.append(leave(maps))
        return torch.stack(scores, dim=1)

    def _early(self, images: Tensor, threshold: float) -> Tensor:
        maps = images
        inside = torch.arange(len(images), device=images.device)
        answers: list[Tensor] = []
        members: list[Tensor] = []
        for depth, (stage, leave) in enumerate(zip(self.blocks, self.exits, strict=True), start=1):
            maps = stage(maps)
            scores = leave(maps)
            told = torch.cat([scores, scores.new_full((len(scores), 1), depth)], dim=1)
            if depth == len(self.exits):
                answers.append(told)
                members.append(inside)
                break
            sure = scores.softmax(dim=1).amax(dim=1) >= threshold
            answers.append(told[sure])
            members.append(inside[sure])
            maps, inside = maps[~sure], inside[~sure]
            if not len(inside):
                break
        return torch.cat(answers)[torch.cat(members).argsort()]


def _exit(channels: int, classes: int) -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * channels, classes))


def _rectified(shape: Convolution) -> nn.Module:
    convolution = nn.Conv2d(
        shape.channels_in, shape.channels_out, shape.kernel, shape.stride, shape.kernel // 2
    )
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    return nn.Sequential(convolution, nn.ReLU())
