"""No tracker: the bundle is all there is."""

from collections.abc import Sequence
from dataclasses import dataclass

from accelbench.harness.schema.protocols import CampaignFacts, MirrorItem, Readiness


@dataclass(frozen=True)
class NoTracker:
    """Mirrors nothing."""

    def readiness(self) -> Readiness:
        """Always ready."""
        return Readiness("ready", "records stay in the bundle alone")

    def mirror(self, campaign: CampaignFacts, items: Sequence[MirrorItem]) -> None:
        """Does nothing; there is no place to name."""
        del campaign, items
