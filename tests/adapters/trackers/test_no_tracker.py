"""No tracker."""

from collections.abc import Sequence
from typing import Any

from accelbench.adapters.trackers.none import NoTracker
from accelbench.harness.schema.protocols import CampaignFacts, MirrorItem, Tracker


def test_no_tracker_is_always_ready_and_mirrors_nothing(
    campaign: CampaignFacts, items: Sequence[MirrorItem]
) -> None:
    """Without a tracker there is no place where records are now."""
    tracker: Tracker = NoTracker()
    answer: Any = tracker.mirror(campaign, items)
    assert answer is None
    assert NoTracker().readiness().status == "ready"
