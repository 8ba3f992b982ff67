"""The end of a campaign: derived measurements, the crate, the manifest."""

from pathlib import Path

from accelbench.harness.bundle.crate import crate_document
from accelbench.harness.bundle.host_sheet import HOST_FILE, host_sheet, sheet_document
from accelbench.harness.bundle.layout import CRATE, DERIVED
from accelbench.harness.bundle.manifest import Manifest, files_of, seal
from accelbench.harness.bundle.storage import write_file
from accelbench.harness.bundle.summary import Bundle, derive, read_bundle
from accelbench.harness.schema.decode import encode
from accelbench.harness.schema.plain import Plain, pretty

CELLS_FILE = f"{DERIVED}/cells.json"
DERIVED_FILE = f"{DERIVED}/derived.json"


def finish_bundle(path: Path) -> Manifest:
    """Writes what rests on all records, then the manifest; the bundle is complete.

    Raises:
        StorageError: The disk refused.
        BundleError: A record cannot be read back.
    """
    bundle = read_bundle(path)
    for name, document in derived_documents(bundle).items():
        write_file(path / name, pretty(document))
    files = files_of(path)
    write_file(path / CRATE, pretty(crate_document(bundle, files)))
    return seal(path)


def derived_documents(bundle: Bundle) -> dict[str, Plain]:
    """The files of `derived/`, as they follow from the records.

    Raises:
        BundleError: Microbenchmarks were run, and the bundle does not tell where.
    """
    cells = [encode(cell) for cell in bundle.summaries()]
    several = [encode(item) for item in derive(bundle.campaign, bundle.records)]
    documents: dict[str, Plain] = {
        CELLS_FILE: {"schema": "accelbench.cells/1", "cells": cells},
        DERIVED_FILE: {"schema": "accelbench.derived/1", "derived": several},
    }
    sheet = host_sheet(bundle)
    return documents | ({HOST_FILE: sheet_document(sheet)} if sheet else {})
