"""Answers: one JSON document on standard output, or lines for people."""

import json
import sys
from collections.abc import Mapping
from typing import Any

from accelbench.harness.schema.measurement import Measurement


def print_document(kind: str, content: Mapping[str, Any]) -> None:
    """Prints `{"schema": "accelbench.<kind>/1", ...}` and nothing else; numbers are finite."""
    sys.stdout.write(document_text(kind, content))


def document_text(kind: str, content: Mapping[str, Any]) -> str:
    """The same as text, with a line's end."""
    document = {"schema": f"accelbench.{kind}/1", **content}
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def measurement_document(measurement: Measurement) -> dict[str, Any]:
    """A measurement as contracts have it: `reason` and `energy` only where there is one."""
    interval, energy = measurement.interval, measurement.energy
    document: dict[str, Any] = {
        "value": measurement.value,
        "unit": measurement.unit,
        "n": measurement.n,
        "interval": None if interval is None else vars(interval),
    }
    if measurement.reason:
        document["reason"] = measurement.reason
    if energy is not None:
        bounds = energy.uncertainty
        document["energy"] = {
            **vars(energy),
            "covers": list(energy.covers),
            "uncertainty": None if bounds is None else vars(bounds),
        }
    return document
