"""What ranks agree on beside their training: a group of its own, which nothing is noted of."""

from datetime import timedelta
from typing import Any

import torch.distributed as dist

from accelbench.adapters.engines.torch.distributed.group import Place


class Control:
    """Plain objects between the ranks; with one rank there is nobody to talk to.

    Args:
        place: That of this process; the default process group is there if it has company.
        leader: The rank whose word counts and whose steps are told.

    Attributes:
        leads: Whether this rank is the leader.
    """

    def __init__(self, place: Place, leader: int) -> None:
        self.leads = place.rank == leader
        self._leader, self._ranks = leader, place.ranks
        limit = timedelta(seconds=place.patience_s)
        self._group = dist.new_group(backend="gloo", timeout=limit) if place.ranks > 1 else None

    def agreed(self, word: Any) -> Any:
        """The leader's word, on every rank."""
        if self._group is None:
            return word
        told = [word]
        dist.broadcast_object_list(told, src=self._leader, group=self._group)
        return told[0]

    def gathered(self, word: Any) -> list[Any]:
        """The words of all ranks in order, for the leader; nothing for the others."""
        if self._group is None:
            return [word]
        words: list[Any] = [None] * self._ranks
        dist.gather_object(word, words if self.leads else None, dst=self._leader, group=self._group)
        return words if self.leads else []
