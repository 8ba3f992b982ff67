"""`accelbench load`: one measurement of an OpenAI-compatible server, no suite needed."""

import argparse
import ipaddress
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from accelbench.cli.compose import compose_cells
from accelbench.cli.run import measure
from accelbench.cli.suite_file import WantedCell
from accelbench.harness.errors import ConfigError
from accelbench.harness.load.http.request import address

_SLO = {"ttft": "ttft_s", "itl": "itl_s", "e2e": "e2e_s"}


def command(args: argparse.Namespace) -> int:
    """Runs the measurement; the exit code says whether it is done and valid."""
    address(args.url)
    wanted = WantedCell(
        name="load",
        choose={
            "workload": "served",
            "scenario": "open_loop" if args.concurrency is None else "closed_loop",
            "rules": "load",
            "adapter": "openai",
            "platform": "this_host" if _is_here(args.url) else "server",
            "probe": "none",
        },
        set=_settings(args),
        weights_from=None,
    )
    return measure("load", compose_cells("this load", [wanted], args.overrides), [], args)


def _settings(args: argparse.Namespace) -> dict[str, Any]:
    """The values that the options stand for, by dotted key."""
    extra: dict[str, Any] = {"ignore_eos": True} if args.ignore_eos else {}
    settings: dict[str, Any] = {
        "adapter.url": args.url,
        "adapter.api": "chat" if args.chat else "completions",
        "adapter.processes": args.processes,
        "adapter.timeout_s": args.timeout,
        "adapter.extra": extra,
        "adapter.key_from": args.key_from,
        "workload.model_name": args.model,
        "workload.prompt_tokens": args.prompt_tokens,
        "workload.output_tokens": args.max_tokens,
        "workload.words": args.words,
        "workload.tokenizer": {"path": args.tokenizer} if args.tokenizer else None,
        "rules.seed": args.seed,
        "rules.warmup": args.warmup,
        "scenario.requests": args.requests,
        "scenario.slo": _slo(args.slo) if args.slo else None,
    }
    if args.concurrency is not None:
        settings["scenario.concurrency"] = args.concurrency
    else:
        settings["scenario.arrivals"] = _arrivals(args.arrival, args.rate)
        settings["scenario.max_in_flight"] = args.max_in_flight
    return settings


def _arrivals(told: str, rate: float) -> Mapping[str, Any]:
    """The process that `--arrival` names."""
    kind, _, shape = told.partition(":")
    if kind in ("poisson", "constant") and not shape:
        return {"kind": kind, "rate_per_s": rate}
    if kind == "gamma":
        try:
            return {"kind": kind, "rate_per_s": rate, "shape": float(shape)}
        except ValueError:
            pass
    raise ConfigError(
        f"no arrival process {told!r}",
        where="--arrival",
        remedy="use poisson, constant or gamma:SHAPE, e.g. gamma:0.5",
    )


def _slo(told: str) -> Mapping[str, float]:
    """The service level that `--slo` names, e.g. "ttft=0.2,itl=0.05"."""
    found: dict[str, float] = {}
    for part in told.split(","):
        name, _, value = part.partition("=")
        try:
            found[_SLO[name.strip()]] = float(value)
        except (KeyError, ValueError):
            raise ConfigError(
                f"no service level {part!r}",
                where="--slo",
                remedy="use ttft=SECONDS, itl=SECONDS, e2e=SECONDS, by commas",
            ) from None
    return found


def _is_here(url: str) -> bool:
    """Whether the server runs on this machine, as far as its address tells."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
