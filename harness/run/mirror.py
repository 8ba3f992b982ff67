"""Mirroring finished records to trackers: never in a timed path, never the campaign's ruin."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from accelbench.harness.bundle.campaign_file import Campaign
from accelbench.harness.bundle.layout import RECORD, record_folder
from accelbench.harness.errors import AccelbenchError
from accelbench.harness.run import registry
from accelbench.harness.schema.cell import Choice
from accelbench.harness.schema.decode import encode
from accelbench.harness.schema.plain import digest, file_digest
from accelbench.harness.schema.protocols import CampaignFacts, MirrorItem
from accelbench.harness.schema.record import Record


class Mirror:
    """Holds what is still to be sent, and sends it when nothing is being measured.

    The first failure ends the sending for this campaign: the bundle is complete without it,
    and `accelbench mirror` sends the rest later.

    Attributes:
        place: Where the tracker holds the records; None while nothing was sent.
    """

    def __init__(self, bundle: Path, campaign: Campaign) -> None:
        self.place: str | None = None
        self._bundle = bundle
        self._campaign = campaign
        self._waiting: list[Record] = []
        self._down = False

    def add(self, records: Sequence[Record]) -> None:
        """Puts finished records in line."""
        self._waiting.extend(records)

    def send(self, tell: Callable[[Mapping[str, Any]], None]) -> None:
        """Sends what waits; a tracker that fails is told of once and not asked again."""
        if self._down or not self._waiting:
            return
        try:
            self.send_all()
        except AccelbenchError as error:
            self._down = True
            remedy = f"the bundle is complete; send it later with: accelbench mirror {self._bundle}"
            tell({"event": "warning", "text": f"not mirrored: {error}; {remedy}"})

    def send_all(self) -> None:
        """Sends what waits, tracker by tracker.

        Raises:
            ForeignError: A tracker could not be reached; what waits for it is kept.
        """
        for choice in self._trackers():
            mine = [r for r in self._waiting if self._campaign.cells[r.cell].tracker == choice]
            items = [self._item(record) for record in mine]
            self.place = registry.tracker(choice).mirror(self._facts(), items) or self.place
            sent = {record.id for record in mine}
            self._waiting = [record for record in self._waiting if record.id not in sent]

    def _trackers(self) -> list[Choice]:
        chosen = {
            digest(encode(choice)): choice
            for choice in (self._campaign.cells[record.cell].tracker for record in self._waiting)
        }
        return list(chosen.values())

    def _item(self, record: Record) -> MirrorItem:
        folder = record_folder(self._bundle, record.cell, record.repeat)
        return MirrorItem(record, folder, file_digest(folder / RECORD))

    def _facts(self) -> CampaignFacts:
        campaign = self._campaign
        return CampaignFacts(
            campaign.id, campaign.suite, campaign.argv, campaign.cells, campaign.git
        )
