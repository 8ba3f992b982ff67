"""What an MLflow run says about a record: its parameters, tags, metrics and files; pure."""

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from accelbench.harness.schema.cell import Cell
from accelbench.harness.schema.decode import encode
from accelbench.harness.schema.measurement import EnergyNote, Interval
from accelbench.harness.schema.plain import Plain, canonical
from accelbench.harness.schema.protocols import CampaignFacts, MirrorItem
from accelbench.harness.schema.record import Record

KEY_LENGTH = 250
PARAM_LENGTH = 6000
TAG_LENGTH = 8000
"""Longest key, parameter and tag that MLflow takes, in characters (mlflow/utils/validation.py)."""

FILE_BYTES = 20_000_000
"""Larger files stay in the bundle alone."""

CAMPAIGN_TAG = "accelbench.campaign"
DIGEST_TAG = "accelbench.record_sha256"
STATE_TAG = "accelbench.mirror_state"

_REFUSED = re.compile(r"[^\w.\- :]|^\.")

Redact = Callable[[str], str]


@dataclass(frozen=True)
class RunContent:
    """A record in MLflow's terms.

    Attributes:
        name: `<cell>/<repeat>`.
        params: The resolved cell by dotted key, and what was measured on what.
        tags: Labels, units, reasons, provenance.
        metrics: Values and ends of intervals.
        step: The record's repeat, the step of every metric.
        files: Files to keep beside the run, each with its folder there.
        started_ms: Start of the trial, milliseconds since 1970 UTC.
        finished_ms: Its end, the time of every metric.
        status: MLflow's run status.
    """

    name: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    step: int
    files: Sequence[tuple[Path, str | None]]
    started_ms: int
    finished_ms: int
    status: str


def run_content(campaign: CampaignFacts, item: MirrorItem, redact: Redact) -> RunContent:
    """All that a run says about one record.

    Args:
        campaign: The campaign the record belongs to.
        item: The record, its folder and digest.
        redact: Removes credentials from a text.
    """
    record = item.record
    files, too_large = _files(item.folder)
    params, cut_params = _fitting(
        _params(record, campaign.cells[record.cell]), PARAM_LENGTH, redact
    )
    tags, cut_tags = _fitting({**_provenance(campaign), **_tags(record)}, TAG_LENGTH, redact)
    notes = {
        "accelbench.cut_params": ", ".join(cut_params),
        "accelbench.cut_tags": ", ".join(cut_tags),
        "accelbench.files_left_out": ", ".join(too_large),
    }
    return RunContent(
        name=record.id,
        params=params,
        tags={**tags, **{key: text[:TAG_LENGTH] for key, text in notes.items() if text}},
        metrics=_metrics(record),
        step=record.repeat,
        files=files,
        started_ms=_milliseconds(record.started_utc),
        finished_ms=_milliseconds(record.finished_utc),
        status="FAILED" if record.status == "failed" else "FINISHED",
    )


def campaign_tags(campaign: CampaignFacts, redact: Redact) -> Mapping[str, str]:
    """The tags of the run that stands for the whole campaign."""
    return _fitting(_provenance(campaign), TAG_LENGTH, redact)[0]


def _milliseconds(utc: str) -> int:
    """An ISO 8601 instant as milliseconds since 1970 UTC; no offset means UTC."""
    at = datetime.fromisoformat(utc)
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def mlflow_key(name: str) -> str:
    """The name as a key that MLflow takes.

    A character other than a letter, a digit, '_', '-', '.', ':' or a space, and a leading dot,
    becomes `_x<code point in hexadecimal>_`; a key over 250 characters ends in eight digits of
    its sha256 instead of its tail.
    """
    key = _REFUSED.sub(lambda found: f"_x{ord(found[0]):02x}_", name)
    if len(key) <= KEY_LENGTH:
        return key
    return f"{key[: KEY_LENGTH - 9]}_{sha256(key.encode()).hexdigest()[:8]}"


def _params(record: Record, cell: Cell) -> Mapping[str, str]:
    resolved = encode(cell)
    assert isinstance(resolved, Mapping)
    # Where records are mirrored to says nothing about them, and may hold a password.
    kept = {key: value for key, value in resolved.items() if key not in ("name", "tracker")}
    names = {
        "cell": record.cell,
        "adapter": record.adapter,
        "workload": record.workload,
        "scenario": record.scenario,
        "platform": record.platform,
    }
    return {**dict(_flattened(kept)), **names}


def _provenance(campaign: CampaignFacts) -> Mapping[str, str]:
    git = dict(_flattened(campaign.git))
    shown = {
        f"mlflow.source.git.{fact}": text
        for fact in ("commit", "branch")
        if (text := _first(git, fact)) is not None
    }
    return {
        CAMPAIGN_TAG: campaign.id,
        "accelbench.suite": campaign.suite,
        "mlflow.source.name": shlex.join(campaign.argv),
        "mlflow.source.type": "LOCAL",
        **shown,
        **{f"git.{key}": text for key, text in git.items()},
    }


def _first(facts: Mapping[str, str], name: str) -> str | None:
    return next((text for key, text in facts.items() if key.rpartition(".")[2] == name), None)


def _tags(record: Record) -> Mapping[str, str]:
    tags = {
        "accelbench.cell": record.cell,
        "accelbench.cell_hash": record.cell_hash,
        "accelbench.repeat": str(record.repeat),
        "accelbench.round": str(record.round),
        "accelbench.session": record.session,
        "accelbench.status": record.status,
        "accelbench.evidence": record.evidence,
        "accelbench.clock": record.clock,
    }
    for code in dict.fromkeys(reason.code for reason in record.reasons):
        told = [f"{r.level}: {r.detail}" for r in record.reasons if r.code == code]
        tags[f"reason.{code}"] = "; ".join(told)
    for name, measurement in record.measurements.items():
        tags[f"unit.{name}"] = measurement.unit
        if measurement.value is None:
            tags[f"absent.{name}"] = str(measurement.reason)
        if measurement.interval:
            tags[f"interval.{name}"] = _interval(measurement.interval, measurement.n)
        if measurement.energy:
            tags[f"energy.{name}"] = _energy(measurement.energy)
    return tags


def _interval(interval: Interval, n: int) -> str:
    return f"{interval.level:g} over {n} {interval.over}, {interval.method}"


def _energy(note: EnergyNote) -> str:
    net = ", net of idle" if note.net_of_idle else ""
    return f"{note.quality}, scope {note.scope}{net}, {note.method}"


def _metrics(record: Record) -> Mapping[str, float]:
    metrics = {}
    for name, measurement in record.measurements.items():
        if measurement.value is not None:
            metrics[name] = measurement.value
        if measurement.interval:
            metrics[f"{name}.low"] = measurement.interval.low
            metrics[f"{name}.high"] = measurement.interval.high
    return {mlflow_key(name): value for name, value in metrics.items()}


def _files(folder: Path) -> tuple[Sequence[tuple[Path, str | None]], Sequence[str]]:
    wanted = [folder / "record.json", folder / "log.txt", *sorted((folder / "trace").rglob("*"))]
    files: list[tuple[Path, str | None]] = []
    too_large = []
    for path in filter(Path.is_file, wanted):
        place = path.relative_to(folder)
        if path.stat().st_size > FILE_BYTES:
            too_large.append(f"{place} ({path.stat().st_size} bytes)")
        else:
            files.append((path, None if place.parent == Path() else place.parent.as_posix()))
    return files, too_large


def _flattened(data: Plain, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Leaves by dotted key; what is null is absent."""
    if isinstance(data, Mapping) and data:
        for key, item in data.items():
            yield from _flattened(item, f"{prefix}.{key}" if prefix else key)
    elif prefix and data is not None:
        yield prefix, data if isinstance(data, str) else canonical(data).decode()


def _fitting(
    texts: Mapping[str, str], length: int, redact: Redact
) -> tuple[Mapping[str, str], Sequence[str]]:
    """The texts as MLflow takes them, and the keys of those that had to be cut."""
    clean = {mlflow_key(key): redact(text) for key, text in texts.items()}
    cut = [key for key, text in clean.items() if len(text) > length]
    return {key: text[:length] for key, text in clean.items()}, cut
