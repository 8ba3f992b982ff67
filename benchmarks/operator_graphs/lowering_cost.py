"""What it takes to lower each full-size preset: seconds and memory, every phase.

Each preset is lowered in a process of its own, one phase after another, as `accelbench show` and a
simulated cell do. The parts of a training step are recorded together, by whichever comes first. A
second round asks for other sizes, which recordings with symbolic sizes tell without new ones.

    python benchmarks/operator_graphs/lowering_cost.py [--only NAME ...] [--json FILE]
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

from families import FULL, builder

from accelbench.harness.errors import TrialError
from accelbench.harness.schema.builders import WorkloadBuilder
from accelbench.harness.schema.phases import Phase

PROMPT = 512
"""Tokens of a prompt, of a training sequence, and of what a step of decoding follows."""

_IMPORTED = (
    "torch",
    "sympy",
    "transformers",
    "accelbench.suites.workloads.lowering.graphs",
    "accelbench.suites.workloads.language.decoder_phases",
    "accelbench.suites.workloads.language.encoder_network",
    "accelbench.suites.workloads.language.encoder_decoder_network",
    "accelbench.suites.workloads.classifiers.phases",
)
_LIMIT_S = 600.0
_MAX_S, _MAX_BYTES = 20.0, 2e9
"""What a 70B may take for all phases together."""


@dataclass(frozen=True)
class Lowered:
    """What a preset took.

    Attributes:
        preset: Its name.
        parameters: Of the model, shared ones once.
        imports_s: Wall time of importing PyTorch and what lowers, before the phases.
        phases_s: Wall time of each phase.
        cpu_s: Processor time of all phases.
        again_s: Wall time of all phases at other sizes.
        peak_bytes: Most memory that the process held, imports and all.
        operators: Distinct operators of each phase.
    """

    preset: str
    parameters: int
    imports_s: float
    phases_s: Mapping[str, float]
    cpu_s: float
    again_s: float
    peak_bytes: int
    operators: Mapping[str, int]

    @property
    def total_s(self) -> float:
        """Wall time of all phases."""
        return sum(self.phases_s.values())


def measured(preset: str) -> Lowered:
    """Lowers a preset in this process, which has done nothing else before."""
    began = time.perf_counter()
    for name in _IMPORTED:
        import_module(name)
    imports_s = time.perf_counter() - began
    made: WorkloadBuilder = builder(preset, {})
    phases_s, operators, parameters = {}, {}, 0
    cpu = time.process_time()
    for phase in made.phases():
        began = time.perf_counter()
        graph = made.lower(phase.name, *sizes(phase, 1, PROMPT))
        phases_s[phase.name] = time.perf_counter() - began
        operators[phase.name], parameters = len(graph.operators), graph.parameters
    cpu_s = time.process_time() - cpu
    began = time.perf_counter()
    for phase in made.phases():
        made.lower(phase.name, *sizes(phase, 1, PROMPT // 2 + 1))
    again_s = time.perf_counter() - began
    return Lowered(preset, parameters, imports_s, phases_s, cpu_s, again_s, peak_bytes(), operators)


def sizes(phase: Phase, batch: int, prompt: int) -> tuple[int, int, int]:
    """Batch, new tokens and context that a phase is asked at.

    Args:
        phase: Which; one that takes a context is a step behind a prompt.
        batch: Samples or sequences.
        prompt: Tokens of a prompt.
    """
    if phase.name == "decode":
        return batch, 1, prompt
    return batch, prompt if phase.tokens else 1, 0


def peak_bytes() -> int:
    """Most memory that this process has held since it began to run its own program.

    What `getrusage` tells may be that of the process that started it.
    """
    (line,) = [
        line
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        if line.startswith("VmHWM:")
    ]
    return int(line.split()[1]) * 1024


def apart(preset: str) -> Lowered:
    """The same in a process of its own.

    Raises:
        TrialError: It failed.
    """
    line = [sys.executable, __file__, "--here", preset]
    done = subprocess.run(line, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:]
        raise TrialError(f"lowering failed: {' '.join(said)}", where=preset)
    return Lowered(**json.loads(done.stdout.splitlines()[-1]))


def report(found: Sequence[Lowered]) -> str:
    """The table, and whether the largest model keeps what is aimed at."""
    lines = [f"| {' | '.join(_COLUMNS)} |", f"|{'---|' * len(_COLUMNS)}"]
    lines += [f"| {' | '.join(told(one) for told in _COLUMNS.values())} |" for one in found]
    largest = max(found, key=lambda one: one.parameters)
    kept = largest.total_s < _MAX_S and largest.peak_bytes < _MAX_BYTES
    aim = (
        f"Aim: under {_MAX_S:g} s and {_MAX_BYTES / 1e9:g} GB for all phases together of a 70B model."
        f" Largest here: {largest.preset}, {largest.parameters / 1e9:.1f} billion parameters, in"
        f" {largest.total_s:.1f} s and {largest.peak_bytes / 1e9:.2f} GB:"
        f" {'kept' if kept else 'not kept'}."
    )
    return "\n".join(["# Lowering the full-size presets", "", *lines, "", aim])


def _phases(of: Mapping[str, float | int], form: str) -> str:
    return ", ".join(f"{name} {value:{form}}" for name, value in of.items())


_COLUMNS: Mapping[str, Callable[[Lowered], str]] = {
    "preset": lambda one: one.preset,
    "parameters": lambda one: f"{one.parameters:,}",
    "all phases, s": lambda one: f"{one.total_s:.2f}",
    "of each, s": lambda one: _phases(one.phases_s, ".2f"),
    "processor, s": lambda one: f"{one.cpu_s:.2f}",
    "other sizes, s": lambda one: f"{one.again_s:.3f}",
    "imports, s": lambda one: f"{one.imports_s:.2f}",
    "peak memory, GB": lambda one: f"{one.peak_bytes / 1e9:.2f}",
    "distinct operators": lambda one: _phases(one.operators, "d"),
}


def main() -> None:
    """Lowers and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=[], help="names of presets")
    parser.add_argument("--json", type=Path, help="file that takes all figures")
    parser.add_argument("--here", metavar="NAME", help="lower one preset and print its figures")
    args = parser.parse_args()
    if args.here:
        print(json.dumps(asdict(measured(args.here))))
        return
    found = []
    for name in args.only or [case.preset for case in FULL]:
        print(f"{name} ...", file=sys.stderr, flush=True)
        found.append(apart(name))
    print(report(found))
    if args.json:
        told = [asdict(one) | {"total_s": one.total_s} for one in found]
        args.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
