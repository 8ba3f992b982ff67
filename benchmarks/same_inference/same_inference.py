"""The same inference timed by accelbench and by optimum-benchmark, and what makes the difference.

Both tools, and plain loops in both environments, time the same model with the same shapes, one
process after another, in turns.

    python benchmarks/same_inference/same_inference.py --optimum PYTHON --out FOLDER [--quick] [--every]
"""

import argparse
import json
import os
import platform
import random
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from contestants import Asked, Contestant, accelbench, bare, optimum, run
from inference_settings import EVERY, SETTINGS, Setting, make_model
from side_by_side import CONTESTANTS, INLINE, OUR_LOOP, OURS, THEIR_LOOP, THEIRS, setting_report

from accelbench.harness.errors import AccelbenchError

_LIMIT_S = 300.0


def turns(settings: int, repeats: int, seed: int) -> list[tuple[int, int, Sequence[str]]]:
    """Repeat, setting, and the contestants of it in their order.

    In each repeat every setting comes once, in a drawn order. The contestants of a setting follow
    one another; whoever came first comes last in the next repeat.

    Args:
        settings: How many.
        repeats: How often each.
        seed: Of the draw.
    """
    draw = random.Random(f"{seed} turns")
    order = []
    for repeat in range(repeats):
        for setting in draw.sample(range(settings), settings):
            lead = CONTESTANTS[::-1] if repeat % 2 else CONTESTANTS
            order.append((repeat, setting, lead))
    return order


def contestants(python: Path) -> Mapping[str, Contestant]:
    """All of them by name.

    Args:
        python: Interpreter of the environment of optimum-benchmark.
    """
    return {
        OURS: accelbench(),
        OUR_LOOP: bare(Path(sys.executable)),
        THEIR_LOOP: bare(python),
        INLINE: optimum(python, "inline"),
        THEIRS: optimum(python, "process"),
    }


def measure(
    settings: Sequence[Setting], repeats: int, python: Path, asked: Asked
) -> list[dict[str, list[Any]]]:
    """Every run: of each setting, by contestant and repeat.

    Args:
        settings: The inferences.
        repeats: How often each contestant runs each.
        python: Interpreter of the environment of optimum-benchmark.
        asked: What all runs share; its folder takes theirs.
    """
    known = contestants(python)
    found: list[dict[str, list[Any]]] = [
        {name: [None] * repeats for name in CONTESTANTS} for _ in settings
    ]
    models = {name: make_model(name, asked.model / name) for name in {s.model for s in settings}}
    for repeat, place, names in turns(len(settings), repeats, asked.seed):
        for name in names:
            own = settings[place]
            label = f"{own.name}-{CONTESTANTS.index(name)}-r{repeat}"
            print(f"repeat {repeat + 1}: {own.name}: {name}", file=sys.stderr, flush=True)
            this = replace(
                asked,
                setting=own,
                model=models[own.model],
                seed=asked.seed + repeat,
                folder=asked.folder / label,
            )
            found[place][name][repeat] = _attempt(known[name], this, name)
    return found


def _attempt(contestant: Contestant, asked: Asked, name: str) -> Mapping[str, Any]:
    try:
        return vars(run(contestant, asked))
    except AccelbenchError as error:
        return {"error": f"{name}: {error}"}


def main() -> None:
    """Measures and reports."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--optimum", type=Path, required=True, help="its environment's interpreter")
    parser.add_argument("--out", type=Path, required=True, help="a new folder; takes everything")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--warmup", type=int, default=5, help="runs before those that are timed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", action="store_true", help="all shapes, not only the corners")
    parser.add_argument("--quick", action="store_true", help="to see that all works")
    args = parser.parse_args()
    settings: Sequence[Setting] = EVERY if args.every else SETTINGS
    if args.quick:
        settings = [replace(own, runs=4) for own in settings]
        args.repeats = 1
    args.out.mkdir(parents=True)
    out = args.out.resolve()
    asked = Asked(
        setting=settings[0],
        model=out / "models",
        threads=args.threads,
        warmup=args.warmup,
        seed=args.seed,
        folder=out / "runs",
        limit_s=_LIMIT_S,
    )
    began, load = time.time(), os.getloadavg()
    found = measure(settings, args.repeats, args.optimum.absolute(), asked)
    text = _report(args, settings, found, [load, os.getloadavg()], time.time() - began)
    (out / "report.md").write_text(text, encoding="utf-8")
    (out / "runs.json").write_text(
        json.dumps(
            [{"setting": vars(s), "runs": of} for s, of in zip(settings, found, strict=True)],
            indent=1,
        ),
        encoding="utf-8",
    )
    print(text)


def _report(
    args: argparse.Namespace,
    settings: Sequence[Setting],
    found: Sequence[Mapping[str, Sequence[Any]]],
    loads: Sequence[Sequence[float]],
    took_s: float,
) -> str:
    quiet = " and ".join(f"{load[0]:.2f}" for load in loads)
    head = (
        f"# The same inference, accelbench beside optimum-benchmark\n\n"
        f"{os.cpu_count()} logical processors, {platform.machine()}; {args.threads} thread(s),"
        f" float32, {args.repeats} repeats, {args.warmup} warm-up runs; load average {quiet} before"
        f" and after; {took_s / 60:.1f} minutes."
    )
    parts = [
        f"## {own.told}\n\n{setting_report(own, of)}"
        for own, of in zip(settings, found, strict=True)
    ]
    return "\n\n".join([head, *parts]) + "\n"


if __name__ == "__main__":
    main()
