"""The sheet `this_host`: what a bundle of microbenchmarks says that its machine can do.

A measured peak is the best that a kernel reached. It is no datasheet peak: those are printed by
vendors, and what is reached lies below them. A sheet holds one kind or the other, and every figure
says which it is. A sheet is of one device: the processor with its main memory, or a GPU with its own.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from accelbench.harness.bundle.layout import DERIVED, ENVIRONMENT
from accelbench.harness.bundle.summary import Bundle, CellSummary
from accelbench.harness.errors import BundleError
from accelbench.harness.schema.cell import Cell
from accelbench.harness.schema.decode import encode
from accelbench.harness.schema.measurement import Measurement
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.platform import Figure, MemoryLevel, Platform
from accelbench.harness.units import NS_PER_S

HOST = "this_host"
HOST_FILE = f"{DERIVED}/{HOST}.yaml"
"""The sheet in a bundle, in the form of a preset."""

BUILDER = "kernels"
CPU = "cpu"
_PRODUCTS = ("gemm", "gemm_int8")


@dataclass(frozen=True)
class _Reached:
    """What one cell of microbenchmarks reached.

    Attributes:
        cell: The cell.
        summary: The same over its trials.
        engine: What the engine told of itself in the first trial.
    """

    cell: Cell
    summary: CellSummary
    engine: Mapping[str, Plain]

    @property
    def operator(self) -> str:
        """Which operator."""
        return str(self.cell.workload.options["operator"])

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        shape: Any = self.cell.workload.options["shape"]
        return tuple(shape)

    @property
    def device(self) -> str:
        """What it ran on: "cpu", or the model of a GPU."""
        return str(self.engine.get("device"))

    @property
    def precision(self) -> str:
        """Precision of its arithmetic; products in fp32 that may round to TF32 are in "tf32"."""
        told = str(self.engine["arithmetic"])
        return "tf32" if told == "fp32" and self.device != CPU and self._rounds() else told

    def _rounds(self) -> bool:
        """Whether a GPU may take TF32 where it is given fp32."""
        if self.operator == "convolution":
            runtime: Any = self.engine.get("runtime", {})
            return bool(runtime.get("convolutions_in_tf32", True))
        return self.engine.get("float32_matmul_precision") != "highest"

    @property
    def threads(self) -> int:
        """Threads that it ran on."""
        threads: Any = self.engine["threads"]
        return int(threads)

    def value(self, name: str) -> float | None:
        """A measurement's value; None where there is none."""
        found = self.summary.measurements.get(name)
        return found.value if found else None


def host_sheet(bundle: Bundle) -> Platform | None:
    """The sheet of the machine that a bundle was measured on, from its valid microbenchmarks.

    Args:
        bundle: A bundle of any suite.

    Returns:
        That of the processor, or else of a GPU; None where no product of matrices or no triad on
        it is valid.

    Raises:
        BundleError: The bundle does not tell its machine.
    """
    reached = list(_reached(bundle))
    devices = sorted({one.device for one in reached}, key=lambda name: (name != CPU, name))
    sheets = (_sheet(bundle, [one for one in reached if one.device == name]) for name in devices)
    return next((sheet for sheet in sheets if sheet), None)


def _sheet(bundle: Bundle, reached: list[_Reached]) -> Platform | None:
    """The sheet of the device that all of these ran on."""
    peaks = _peaks(bundle, [one for one in reached if one.operator in _PRODUCTS])
    bandwidth = _bandwidth(bundle, [one for one in reached if one.operator == "triad"])
    if not peaks or bandwidth is None:
        return None
    facts, campaign, device = _facts(bundle), bundle.campaign, reached[0].device
    processor = device == CPU
    model = facts.get("cpu.model") if processor else device
    return Platform(
        name=HOST,
        summary=f"{model}: peaks as measured on it, no datasheet's",
        family="cpu" if processor else "gpu",
        peak=peaks,
        memory=(_memory(reached[0], facts, bandwidth),),
        power=None,
        power_scope=None,
        notes=(
            machine_note(facts),
            *(() if processor else _gpu_notes(reached)),
            "each peak is the best that a kernel reached: a better kernel may exceed it",
            *_notes(reached),
        ),
        sources=(f"measured: suite {campaign.suite}, campaign {campaign.id}",),
    )


def _memory(one: _Reached, facts: Mapping[str, Any], bandwidth: Figure) -> MemoryLevel:
    """The memory of the device, with what it holds as far as that is told."""
    name, bytes_, source = "main memory", facts.get("memory.total_bytes"), "MemTotal of the kernel"
    if one.device != CPU:
        about: Any = one.engine.get("accelerator", {})
        name, bytes_ = "device memory", about.get("memory_bytes")
        source = "total memory, as the driver tells it"
    capacity = Figure(float(bytes_), source, "measured") if bytes_ else None
    return MemoryLevel(name, bandwidth, capacity)


def _gpu_notes(reached: list[_Reached]) -> Iterator[str]:
    """Whose figures they are, and what the formats stand for."""
    yield f"device: {reached[0].device}, one of it; the host's memory and processor have no figure here"
    products = [one for one in reached if one.operator == "gemm"]
    for one in {one.precision: one for one in products}.values():
        formats: Any = one.engine.get("precision_map", {})
        how = {
            "fp32": "operands in float32, not rounded to TF32",
            "tf32": "operands in float32, which matrix units may round to TF32",
        }.get(one.precision, f"operands in {one.precision}, on matrix units where there are any")
        yield f"{one.precision}: {how}; sums: {formats.get('accumulators', 'not told')}"


def sheet_document(sheet: Platform) -> Plain:
    """A sheet as a preset holds it, whole numbers where they are large.

    Args:
        sheet: The sheet.
    """
    return _whole(encode(sheet))


def machine_note(facts: Mapping[str, Any]) -> str:
    """The line by which a sheet names its machine: model and number of its processors.

    Args:
        facts: Values of the environment's facts by name.
    """
    return f"machine: {facts.get('cpu.model')}, {facts.get('cpu.threads')} logical processors"


def _reached(bundle: Bundle) -> Iterator[_Reached]:
    """The valid cells of microbenchmarks that ran on this machine."""
    first = {record.cell: record for record in reversed(bundle.records)}
    for summary in bundle.summaries():
        cell, engine = bundle.campaign.cells[summary.cell], first[summary.cell].engine
        if cell.workload.builder != BUILDER or cell.platform.name != HOST:
            continue
        if summary.status == "valid":
            yield _Reached(cell, summary, engine)


def _peaks(bundle: Bundle, products: list[_Reached]) -> dict[str, Figure]:
    """The best rate of products at each precision."""
    found: dict[str, Figure] = {}
    for precision in dict.fromkeys(one.precision for one in products):
        own = [one for one in products if one.precision == precision]
        best = _best(bundle, own, "flops.achieved")
        if best is not None:
            found[precision] = best
    return found


def _bandwidth(bundle: Bundle, triads: list[_Reached]) -> Figure | None:
    return _best(bundle, triads, "bandwidth.achieved")


def _best(bundle: Bundle, reached: list[_Reached], name: str) -> Figure | None:
    """The largest of a measurement, with where it comes from; None where none has a value."""
    told = [one for one in reached if one.value(name) is not None]
    if not told:
        return None
    best = max(told, key=lambda one: one.value(name) or 0)
    found = best.summary.measurements[name]
    single = [one.value(name) or 0 for one in told if (one.device, one.threads) == (CPU, 1)]
    alone = f"; at one thread up to {max(single):.3g} {found.unit}" if single else ""
    shape = " x ".join(map(str, best.shape))
    source = (
        f"{best.operator} {shape}, {_where(best)}, {_over(best.summary.trials)},"
        f" {_range(found)}, {bundle.campaign.started_utc[:10]}{alone}{_doubts(best)}"
    )
    return Figure(found.value or 0, source, "measured")


def _where(one: _Reached) -> str:
    if one.device != CPU:
        return f"on {one.device}"
    return "one thread" if one.threads == 1 else f"{one.threads} threads"


def _over(trials: int) -> str:
    return "one trial" if trials == 1 else f"mean of {trials} trials"


def _doubts(one: _Reached) -> str:
    """What the trials were warned of, such as others that used the machine."""
    codes = sorted({reason.code for reason in one.summary.reasons})
    return f"; warned of {', '.join(codes)}" if codes else ""


def _range(found: Measurement) -> str:
    if found.interval is None:
        return "no interval"
    low, high = found.interval.low, found.interval.high
    return f"{found.interval.level:.0%} interval {low:.4g} to {high:.4g} {found.unit}"


def _notes(reached: list[_Reached]) -> Iterator[str]:
    """What was measured beside the peaks, in words."""
    for one in reached:
        service, flops = one.value("e2e.service.mean"), one.value("flops.achieved")
        what = f"{one.operator} {' x '.join(map(str, one.shape))}, {_where(one)}"
        if one.operator == "launch" and service:
            yield f"launch overhead: {service / one.shape[0] * NS_PER_S:.4g} ns a kernel, {what}"
        elif one.operator == "copy" and one.value("bandwidth.achieved"):
            yield f"copy: {one.value('bandwidth.achieved'):.4g} byte/s, {what}"
        elif one.operator in ("attention", "convolution") and flops:
            yield f"{one.operator}: {flops:.4g} FLOP/s at {one.precision}, {what}"


def _facts(bundle: Bundle) -> dict[str, Any]:
    place = bundle.path / ENVIRONMENT / "before.json"
    try:
        told = json.loads(place.read_bytes())["facts"]
        return {name: fact.get("value") for name, fact in told.items()}
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise BundleError("cannot read the machine's facts", where=str(place)) from error


def _whole(value: Plain) -> Plain:
    """Figures as integers: YAML readers differ in which floats with an exponent they know."""
    if isinstance(value, Mapping):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_whole(item) for item in value]
    return round(value) if isinstance(value, float) else value
