"""The acceptance run: which cells can be run here, the campaign, and what came of it."""

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from accelbench.harness.bundle.host_sheet import HOST_FILE
from accelbench.harness.bundle.verify import verify
from accelbench.harness.errors import AccelbenchError, RequestError
from accelbench.harness.run import registry
from accelbench.harness.run.campaign import ask, run
from accelbench.harness.run.planner import resolve
from accelbench.harness.schema.cell import Cell, Choice
from accelbench.harness.schema.decode import decode
from accelbench.harness.schema.protocols import Readiness
from accelbench.harness.schema.record import Record
from accelbench.harness.units import human

PLAN = Path(__file__).parent / "plan.json"
DEADLINE_S = 400.0
"""After which no cell begins; the last ones to begin, and what seals the bundle, come on top."""

_OF_TRANSFORMERS = frozenset({"decoder", "encoder", "encoder_decoder"})
_KERNEL = "kernel_"
_OF_KERNELS = ("flops.achieved", "bandwidth.achieved", "e2e.service.mean")
_OF_MODELS = ("train.time_to_target", "tp.decode", "tp.samples", "overhead.ratio")
"""What is printed of a cell: the first of these that it has and that is not 0, and its energy."""
_ENERGY = "energy.total"


@dataclass
class Told:
    """What became of the cells, printed as it becomes known.

    Attributes:
        left_out: Why a cell cannot be run here, by name.
        records: Of those that were run, or not begun in time.
    """

    left_out: dict[str, str] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)

    def take(self, event: Mapping[str, Any]) -> None:
        """Takes an event of the campaign."""
        if event["event"] == "trial_finished":
            self.records.append(event["record"])
            print(line(event["record"]), flush=True)
        elif event["event"] == "warning":
            print(f"warning: {event['text']}", flush=True)

    def end(self, folder: Path) -> None:
        """Prints what was left out, what was not valid, and where the bundle lies."""
        for name, why in self.left_out.items():
            print(f"left out: {name}: {why}")
        valid = sum(record.status == "valid" for record in self.records)
        print(f"{valid} of {len(self.records)} cells are valid, {len(self.left_out)} were left out")
        if (folder / HOST_FILE).is_file():
            print(f"the sheet of this machine: {folder / HOST_FILE}")
        print(f"bundle: {folder}")


def command(argv: Sequence[str]) -> int:
    """Runs the cells; returns 0 only if all that could be run are valid and the bundle is whole."""
    args = _arguments(argv[1:])
    began_s = time.monotonic()

    def refuse() -> str:
        if time.monotonic() - began_s < args.deadline_s:
            return ""
        return f"not begun: the deadline of {args.deadline_s:g} s had passed"

    try:
        return _run(args, list(argv), refuse)
    except AccelbenchError as error:
        print(f"gpu_acceptance: {error}", file=sys.stderr)
        return error.exit_code


def _run(args: argparse.Namespace, argv: Sequence[str], refuse: Callable[[], str]) -> int:
    _check_device(args.device)
    told, folder = Told(), Path(args.out)
    size = "small" if args.small else "full"
    cells = [placed(cell, args.device) for cell in planned(size)]
    told.left_out = left_out(cells)
    taken = resolve([cell for cell in cells if cell.name not in told.left_out])
    print(f"{len(taken)} cells on {args.device}; energy: {_meter(taken)}", flush=True)
    asked = ask("gpu_acceptance", taken, [f"size={size}", f"device={args.device}"], argv)
    run(asked, folder, told.take, refuse)
    told.end(folder)
    problems = verify(folder).problems
    for problem in problems:
        print(f"verify: {problem.path}: {problem.what}")
    print("verify: " + ("the bundle does not hold" if problems else "the bundle holds"))
    return int(bool(problems) or any(record.status != "valid" for record in told.records))


def planned(size: str) -> list[Cell]:
    """The cells of a size, as they were composed.

    Args:
        size: "full" or "small".
    """
    plan = json.loads(PLAN.read_bytes())
    return [decode(Cell, cell, f"{PLAN.name} {size}") for cell in plan[size]]


def placed(cell: Cell, device: str) -> Cell:
    """The same cell on a device, with a meter that is there: an estimate for a processor.

    Args:
        cell: A cell of the plan, on a GPU.
        device: "cuda" or "cpu".
    """
    options = {**cell.adapter.options, "device": device}
    on_device = replace(cell, adapter=replace(cell.adapter, options=options))
    return on_device if device != "cpu" else replace(on_device, probe=Choice("tdp"))


def left_out(cells: Sequence[Cell]) -> dict[str, str]:
    """Why cells cannot be run here, by name; one that uses another's weights falls with it."""
    found: dict[str, str] = {}
    for cell in cells:
        why = _lacks(cell)
        if why:
            found[cell.name] = why
    for cell in cells:
        if cell.name not in found and cell.weights_from in found:
            found[cell.name] = f"{cell.weights_from}, whose weights it uses, is left out"
    return found


def line(record: Record) -> str:
    """One line of a cell: its name, verdict and main figure, or why it has none.

    Args:
        record: Its trial.
    """
    names = _OF_KERNELS if record.workload.startswith(_KERNEL) else _OF_MODELS
    figures = [name for name in names if _value(record, name)][:1]
    figures += [name for name in (_ENERGY,) if _value(record, name) is not None]
    told = ", ".join(f"{name} {_shown(record, name)}" for name in figures)
    why = "; ".join(one.detail for one in record.reasons if one.level != "warning")
    warned = sorted({one.code for one in record.reasons if one.level == "warning"})
    notes = [told, why, f"warned of {', '.join(warned)}" if warned else ""]
    return f"{record.cell:<28} {record.status:<8} {'; '.join(filter(None, notes))}"


def _lacks(cell: Cell) -> str:
    """What a cell needs that is not here, in words; empty if nothing."""
    try:
        registry.adapter(cell.adapter)
    except AccelbenchError as error:
        return str(error)
    if cell.workload.builder in _OF_TRANSFORMERS and find_spec("transformers") is None:
        return "its model is in the package transformers, which is not installed"
    levers = cast("Mapping[str, Any]", cell.adapter.options["levers"])
    if levers["compile"] == "none":
        return ""
    if not any(map(shutil.which, ("cc", "gcc", "clang"))):
        return "torch.compile needs a C compiler, and there is none"
    if cell.adapter.options["device"] != "cpu" and find_spec("triton") is None:
        return "torch.compile needs the package triton, which is not installed"
    return ""


def _check_device(device: str) -> None:
    """Refuses a GPU that PyTorch does not find.

    Raises:
        RequestError: There is none.
    """
    import torch  # noqa: PLC0415  (takes seconds)

    if device != "cpu" and not torch.cuda.is_available():
        raise RequestError("PyTorch finds no CUDA device", remedy="use --device cpu, or see why")


def _meter(cells: Mapping[str, Cell]) -> str:
    ready: Readiness = registry.probe(next(iter(cells.values())).probe).readiness()
    return ready.detail if ready.status == "ready" else f"none ({ready.detail})"


def _value(record: Record, name: str) -> float | None:
    found = record.measurements.get(name)
    return found.value if found else None


def _shown(record: Record, name: str) -> str:
    found = record.measurements[name]
    return human(found.value or 0.0, found.unit)


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="run.py", description="accelbench on a GPU machine")
    parser.add_argument("--out", required=True, help="folder of the bundle: new, or empty")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--small", action="store_true", help="one small cell of each kind")
    parser.add_argument(
        "--deadline-s", type=float, default=DEADLINE_S, help="seconds after which no cell begins"
    )
    return parser.parse_args(words)
