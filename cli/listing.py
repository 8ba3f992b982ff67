"""`accelbench list KIND`: what there is."""

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from accelbench.cli.document import print_document
from accelbench.harness.run import registry

Item = Mapping[str, Any]


def command(args: argparse.Namespace) -> int:
    """Lists one kind by name, with a summary of one line each."""
    items = _LISTS[args.kind]()
    if args.json:
        print_document("list", {"kind": args.kind, "items": items})
        return 0
    width = max((len(item["name"]) for item in items), default=0)
    for item in items:
        print(f"{item['name']:<{width}}  {item['summary']}")
    return 0


def _suites() -> list[Item]:
    from accelbench.cli.suite_file import read_suite, suite_names  # noqa: PLC0415  (reads YAML)

    return [
        {"name": name, "summary": suite.summary, "cells": list(suite.cells)}
        for name, suite in ((name, read_suite(name)) for name in suite_names())
    ]


def _presets(group: str) -> Callable[[], list[Item]]:
    def listed() -> list[Item]:
        from accelbench.cli.compose import preset, presets  # noqa: PLC0415  (imports Hydra)

        found = [(name, preset(group, name)) for name in presets(group)]
        return [{"name": name, "summary": str(data["summary"]), **data} for name, data in found]

    return listed


def _platforms() -> list[Item]:
    from accelbench.cli.compose import preset, presets  # noqa: PLC0415  (imports Hydra)
    from accelbench.harness.schema.decode import decode, encode  # noqa: PLC0415  (with it)
    from accelbench.harness.schema.platform import Platform  # noqa: PLC0415  (with it)

    sheets = [decode(Platform, preset("platform", name), name) for name in presets("platform")]
    return [
        {
            "name": sheet.name,
            "summary": sheet.summary,
            "family": sheet.family,
            "peak": {precision: encode(figure) for precision, figure in sheet.peak.items()},
            "memory": encode(sheet.memory),
            "power_w": sheet.power.value if sheet.power else None,
            "power_scope": sheet.power_scope,
            "notes": list(sheet.notes),
            "sources": list(sheet.sources),
            **({} if sheet.power else {"reason": "the sheet gives no power"}),
        }
        for sheet in sheets
    ]


def _parts(group: str) -> Callable[[], list[Item]]:
    def listed() -> list[Item]:
        return [
            {"name": name, "summary": _first_line(registry.load(group, name)), "from": point.value}
            for name, point in registry.names(group).items()
        ]

    return listed


def _models() -> list[Item]:
    from accelbench.cli.models import asset_document  # noqa: PLC0415  (looks at the disk)

    return [asset_document(registry.load("assets", name)) for name in registry.names("assets")]


def _metrics() -> list[Item]:
    from accelbench.harness.metrics.catalogue import catalogue  # noqa: PLC0415  (imports numpy)

    return [vars(definition) for definition in catalogue()]


def _figures() -> list[Item]:
    from accelbench.reports.figures import FIGURES  # noqa: PLC0415  (imports the reports)

    return [{"name": name, "summary": summary} for name, summary in FIGURES.items()]


def _checklist() -> list[Item]:
    from accelbench.harness.judge.checklist.items import items  # noqa: PLC0415  (reads tables)
    from accelbench.harness.judge.checklist.producers import producers_of  # noqa: PLC0415  (with it)

    return [
        {
            **vars(item),
            "name": item.id,
            "summary": item.report,
            "group": item.group,
            "kind": ",".join(item.kind),
            "family": ",".join(item.family),
            "evidence": ",".join(item.evidence),
            "producers": [vars(producer) for producer in producers_of(item)],
        }
        for item in items().values()
    ]


def _first_line(kind: type[Any]) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0]


_LISTS: Mapping[str, Callable[[], list[Item]]] = {
    "suites": _suites,
    "workloads": _presets("workload"),
    "adapters": _parts("adapters"),
    "platforms": _platforms,
    "probes": _parts("probes"),
    "trackers": _parts("trackers"),
    "executors": _parts("executors"),
    "metrics": _metrics,
    "figures": _figures,
    "checklist": _checklist,
    "models": _models,
}
