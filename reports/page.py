"""The page: one HTML file with all figures inside, and their files beside it."""

import json
import shlex
from collections.abc import Sequence
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from accelbench.harness.bundle.layout import ENVIRONMENT
from accelbench.harness.bundle.storage import write_file
from accelbench.harness.bundle.summary import Bundle
from accelbench.harness.errors import MissingPart, OutputRefused
from accelbench.harness.foreign import foreign
from accelbench.reports.figures import FIGURES, chart, rows_of
from accelbench.reports.headline import headline
from accelbench.reports.tables import tables
from accelbench.reports.wording import reasons_once, told, verdict

_FACTS = ("cpu.model", "cpu.threads", "os.distribution", "os.kernel_release", "python.version")


def write_report(bundles: Sequence[Bundle], out: Path) -> Path:
    """Writes page, figures and tables.

    Args:
        bundles: What is reported.
        out: The folder; files of an earlier report in it are replaced.

    Returns:
        The path of the page.

    Raises:
        MissingPart: The extra `report` is not installed.
        OutputRefused: The folder cannot be made.
        StorageError: The disk refused.
    """
    for module in ("altair", "jinja2", "vl_convert"):
        if find_spec(module) is None:
            raise MissingPart(
                f"{module} is not installed", remedy='pip install "accelbench[report]"'
            )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputRefused(
            f"cannot write there: {error.strerror}", where=str(out), remedy="choose another --out"
        ) from error
    for table in tables(bundles):
        for ending, text in (
            ("csv", table.csv()),
            ("md", table.markdown()),
            ("tex", table.latex()),
        ):
            write_file(out / "tables" / f"{table.name}.{ending}", text.encode())
    figures = [_figure(name, bundles, out / "figures") for name in FIGURES]
    page = out / "index.html"
    write_file(page, _page(bundles, figures).encode())
    return page


def _figure(name: str, bundles: Sequence[Bundle], folder: Path) -> dict[str, str]:
    """Draws a figure into three files; returns it for the page, or what it lacks."""
    rows = [row for bundle in bundles for row in rows_of(name, bundle)]
    if not rows:
        return {"name": name, "caption": FIGURES[name], "svg": "", "lacks": "no valid cell has it"}
    import vl_convert as vlc  # noqa: PLC0415  (an extra)

    with foreign("drawing a figure", where=name):
        spec: Any = chart(name, rows).to_dict()
        svg: str = vlc.vegalite_to_svg(spec)
        png: bytes = vlc.vegalite_to_png(spec, scale=2)
        pdf: bytes = vlc.vegalite_to_pdf(spec)
    write_file(folder / f"{name}.svg", svg.encode())
    write_file(folder / f"{name}.png", png)
    write_file(folder / f"{name}.pdf", pdf)
    return {"name": name, "caption": FIGURES[name], "svg": svg, "lacks": ""}


def _page(bundles: Sequence[Bundle], figures: Sequence[dict[str, str]]) -> str:
    import jinja2  # noqa: PLC0415  (an extra)

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    text = (files("accelbench.reports") / "templates" / "page.html.j2").read_text()
    return environment.from_string(text).render(
        bundles=[_bundle(bundle) for bundle in bundles], figures=figures
    )


def _bundle(bundle: Bundle) -> dict[str, Any]:
    cells = bundle.summaries()
    return {
        "suite": bundle.campaign.suite,
        "id": bundle.id or "none: the campaign is not finished",
        "path": str(bundle.path),
        "when": bundle.campaign.started_utc,
        "command": shlex.join(bundle.campaign.argv),
        "machine": _machine(bundle),
        "reasons": [
            f"{r.level}: {names}: {r.code}: {r.detail}" for r, names in reasons_once(cells)
        ],
        "cells": [
            {
                "name": cell.cell,
                "evidence": cell.evidence,
                "what": f"{cell.workload} on {cell.adapter}, {cell.platform}",
                "verdict": verdict(cell),
                "headline": [(name, told(found)) for name, found in headline(cell).items()],
                "all": [
                    (name, told(found), found.n, found.reason or "")
                    for name, found in cell.measurements.items()
                ],
                "engine": _engine(bundle, cell.cell),
            }
            for cell in cells
        ],
    }


def _engine(bundle: Bundle, cell: str) -> list[tuple[str, str]]:
    facts = next(record.engine for record in bundle.records if record.cell == cell)
    return [(key, json.dumps(value, ensure_ascii=False)) for key, value in facts.items()]


def _machine(bundle: Bundle) -> str:
    path = bundle.path / ENVIRONMENT / "before.json"
    if not path.is_file():
        return "not recorded"
    facts = json.loads(path.read_bytes())["facts"]
    return ", ".join(str(facts[name]["value"]) for name in _FACTS if name in facts)
