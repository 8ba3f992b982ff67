"""The same folder described for RO-Crate tools: RO-Crate 1.1, Process Run Crate 0.5."""

from collections.abc import Sequence

from accelbench.harness.bundle.layout import CRATE, RECORDS
from accelbench.harness.bundle.summary import Bundle
from accelbench.harness.schema.plain import Plain

_CRATE = "https://w3id.org/ro/crate/1.1"
_PROCESS = "https://w3id.org/ro/wfrun/process/0.5"
_PROGRAM = "https://pypi.org/project/accelbench/"


def crate_document(bundle: Bundle, files: Sequence[str]) -> Plain:
    """The metadata document of a bundle.

    Args:
        bundle: The bundle.
        files: All its files but the manifest and the crate itself, relative.
    """
    campaign = bundle.campaign
    parts = [name for name in files if name != CRATE]
    action: dict[str, Plain] = {
        "@id": f"#campaign-{campaign.id}",
        "@type": "CreateAction",
        "name": f"accelbench run {campaign.suite}",
        "instrument": _ref(_PROGRAM),
        "startTime": campaign.started_utc,
        "result": [_ref(name) for name in parts if name.startswith(f"{RECORDS}/")],
    }
    if campaign.finished_utc is not None:
        action["endTime"] = campaign.finished_utc
        action["actionStatus"] = _ref("http://schema.org/CompletedActionStatus")
    graph: list[Plain] = [
        {
            "@id": CRATE,
            "@type": "CreativeWork",
            "about": _ref("./"),
            "conformsTo": _ref(_CRATE),
        },
        {
            "@id": "./",
            "@type": "Dataset",
            "name": f"accelbench bundle: {campaign.suite}",
            "description": f"Results of the suite {campaign.suite}: records, raw traces, environment.",
            "datePublished": campaign.finished_utc or campaign.started_utc,
            "license": "Measured data; the licence is the publisher's to state.",
            "conformsTo": [_ref(_PROCESS)],
            "hasPart": [_ref(name) for name in parts],
            "mentions": [_ref(f"#campaign-{campaign.id}")],
        },
        {"@id": _PROCESS, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"},
        {
            "@id": _PROGRAM,
            "@type": "SoftwareApplication",
            "name": "accelbench",
            "softwareVersion": campaign.harness_version,
        },
        action,
        *({"@id": name, "@type": "File"} for name in parts),
    ]
    return {"@context": "https://w3id.org/ro/crate/1.1/context", "@graph": graph}


def _ref(ident: str) -> Plain:
    return {"@id": ident}
