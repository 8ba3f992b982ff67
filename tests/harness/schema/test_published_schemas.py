"""The published JSON Schemas are those of the types, and real files answer to them."""

import json
import os
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest

from accelbench.harness.bundle.campaign_file import Campaign
from accelbench.harness.bundle.manifest import Manifest
from accelbench.harness.schema.plain import pretty
from accelbench.harness.schema.published import json_schema
from accelbench.harness.schema.record import Record
from accelbench.harness.schema.symbolic import Recordings
from accelbench.harness.schema.trace import TraceHead

PUBLISHED = {
    "record": Record,
    "trace": TraceHead,
    "manifest": Manifest,
    "campaign": Campaign,
    "opgraph": Recordings,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_schema_is_that_of_the_type(name):
    """A change of a type changes its published schema; ACCELBENCH_PUBLISH=1 writes it anew."""
    made = pretty(json_schema(PUBLISHED[name], f"accelbench.{name}/1"))
    place = Path(str(files("accelbench.harness.schema"))) / "schemas" / f"{name}-1.json"
    if os.environ.get("ACCELBENCH_PUBLISH"):
        place.write_bytes(made)
    assert place.read_bytes() == made


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("record", "records/train/0/record.json"),
        ("trace", "records/train/0/trace/trace.json"),
        ("manifest", "manifest.json"),
        ("campaign", "campaign.json"),
    ],
)
def test_files_of_a_bundle_answer_to_their_schema(rehearsal, name, path):
    """Any JSON Schema tool can check a bundle's files."""
    schema = json_schema(PUBLISHED[name], f"accelbench.{name}/1")
    document = json.loads((rehearsal / path).read_text())
    jsonschema.Draft202012Validator(schema).validate(document)


def test_a_schema_refuses_what_the_decoder_refuses(rehearsal):
    """An unknown key and a wrong type are errors for both."""
    schema = json_schema(Manifest, "accelbench.manifest/1")
    document = json.loads((rehearsal / "manifest.json").read_text())
    for wrong in ({**document, "more": 1}, {**document, "id": 7}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.Draft202012Validator(schema).validate(wrong)
