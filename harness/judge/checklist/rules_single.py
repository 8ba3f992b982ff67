"""Gating rules that one result can break by itself.

Each takes a result and says what breaks it in words, or nothing. A rule speaks only where the
result offers the figure that the rule is about. What a result does not tell is held against it:
silence must not be better than candour.
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from accelbench.harness.judge.checklist.items import items
from accelbench.harness.judge.checklist.result import (
    DELAYS,
    EFFICIENCIES,
    END_TO_END,
    OPERATIONS,
    PEAKS,
    PER_ENERGY,
    RATES,
    SPEEDUPS,
    TOKEN_RATES,
    Result,
    words,
)

_TAIL = "p[0-9]*"
_CHIP = ("chip", "core", "die")
_STATIC_IMAGES = ("mnist", "digits", "cifar", "imagenet", "static image", "static-image")
_DENSITY_LIMIT = 1.0
_NO_LATENCY = re.compile(r"\b(?:zero|no|ideal|without|0 ?n?s)\b[\w -]{0,20}latency")
_PERFECT_GATING = re.compile(r"\b(?:perfect|ideal)\b[\w -]{0,20}gating")


def peak_alone(result: Result) -> str | None:
    """RULE-01: a peak figure without any figure from end to end."""
    peaks = result.offers("*") if result.evidence == "datasheet" else result.offers(*PEAKS)
    if not peaks or result.offers(*END_TO_END):
        return None
    return f"{_some(peaks)}: a peak without any throughput, latency or energy of whole work"


def energy_without_context(result: Result) -> str | None:
    """RULE-02: perf-per-watt without what it belongs to."""
    needed = ("GEN-32", "GEN-33", "GEN-25", "GEN-28", "ENERGY-04")
    return _lacks(result, result.offers(*PER_ENERGY), *needed)


def rates_without_context(result: Result) -> str | None:
    """RULE-07: tokens a second without percentiles, load, lengths and cache policy."""
    percentiles, load = ("INF-06", "INF-09", "INF-12"), ("INF-01", "INF-02", "INF-03")
    return _lacks(result, result.offers(*TOKEN_RATES), *percentiles, *load, "INF-28", "INF-34")


def raw_rate(result: Result) -> str | None:
    """RULE-08: raw tokens a second of a serving system without goodput."""
    return _lacks(result, result.offers("tp.*") if result.serves else [], "INF-18", "INF-19")


def kernel_time(result: Result) -> str | None:
    """RULE-09: the time of kernels offered as latency; of an FPGA, a time of unknown scope too."""
    offered = result.offers(*DELAYS)
    if offered and result.told("GEN-04").startswith("kernel"):
        return f"{_some(offered)}: what was timed is the kernel alone (GEN-04)"
    return _lacks(result, offered if result.is_of("fpga") else [], "GEN-04", "GEN-47")


def hidden_start(result: Result) -> str | None:
    """RULE-11: a steady rate without the warm-up and compilation left out of it."""
    return _lacks(result, result.offers(*RATES), "GEN-36", "GEN-37")


def one_point(result: Result) -> str | None:
    """RULE-12: a single operating point of a serving system."""
    offered = result.serves and result.offers(*RATES, *DELAYS)
    return _lacks(result, ["a serving result"] if offered else [], "INF-22")


def synthetic_tokens(result: Result) -> str | None:
    """RULE-13: token inputs that are not known to be real text."""
    told = result.told("GEN-22").split()
    offered = result.serves and result.offers(*RATES, *DELAYS, *PER_ENERGY)
    if not offered or ("real" in told and "synthetic" not in told):
        return None
    said = "are synthetic" if "synthetic" in told else "are not said to be real text"
    if result.conditional:
        return (
            f"the token inputs {said} (GEN-22) and decide which experts or exits are taken: "
            "its rates and energies do not carry over to real text"
        )
    return f"the token inputs {said} (GEN-22)"


def analog_operations(result: Result) -> str | None:
    """RULE-14: operations of an analog array at unknown accuracy."""
    offered = result.offers(*OPERATIONS) if result.is_of("ana") else []
    return None if result.answered("PIM-01") else _without(offered, ["PIM-01"])


def array_speedup(result: Result, *, compared: bool = False) -> str | None:
    """RULE-15: a speed-up by an array without its share of the model and the cost of the rest.

    Args:
        result: The result.
        compared: Whether it stands beside another machine: that claims a speed-up.
    """
    claimed = [*result.offers(*SPEEDUPS), *(["a comparison with another machine"] * compared)]
    return _lacks(result, claimed if result.is_of("pim", "ana") else [], "PIM-04", "PIM-05")


def chip_energy(result: Result) -> str | None:
    """RULE-16: the energy of a neuromorphic chip offered as that of the whole pipeline."""
    offered = result.offers(*PER_ENERGY) if result.is_of("neu") else []
    notes = [result.measurements[name].get("energy") or {} for name in offered]
    scopes = sorted({words(note.get("scope")) for note in notes})
    chip = [scope for scope in scopes if scope.split()[:1] and scope.split()[0] in _CHIP]
    if chip:
        return f"{_some(offered)}: the boundary is '{chip[0]}', not the whole pipeline (NEU-08)"
    return _lacks(result, offered, "ENERGY-04", "NEU-07")


def static_images(result: Result) -> str | None:
    """RULE-18: a neuromorphic result on images in which nothing moves."""
    places = ("cell:/workload/name", "cell:/workload/builder", "record:/engine/data")
    told = " ".join(words(result.at(pointer)) for pointer in places) + result.told("NEU-10")
    found = [name for name in _STATIC_IMAGES if name in told] if result.is_of("neu") else []
    return f"a task of static images ({found[0]}): time plays no part in it" if found else None


def unlabelled_efficiency(result: Result) -> str | None:
    """RULE-19: TOPS/W without its precision, or not told whether peak or measured."""
    return _lacks(result, result.offers(*EFFICIENCIES), "GEN-25", "ENERGY-17")


def sparse_work(result: Result) -> str | None:
    """RULE-20: a sparse or compressed result without pattern, overhead and utilisation."""
    sparse = _is_used(result.told("GEN-28")) or _is_used(result.told("GEN-31"))
    offered = ["a sparse or compressed result"] if sparse else []
    return _lacks(result, offered, "GEN-28", "GEN-30", "UTIL-03")


def fpga_result(result: Result) -> str | None:
    """RULE-23: an FPGA result without the clock it reached and the resources it took."""
    return _lacks(result, ["an FPGA result"] if result.is_of("fpga") else [], "FPGA-03", "FPGA-05")


def coverage_unknown(result: Result) -> str | None:
    """RULE-24: an NPU or ASIC result without operator coverage and fallback."""
    offered = ["an NPU or ASIC result"] if result.is_of("npu", "asic") else []
    return _lacks(result, offered, "GEN-44", "GEN-45")


def dense_power(result: Result) -> str | None:
    """RULE-25: more than about one watt on a square millimetre, and no cooling told."""
    found = result.measurements.get("area.w_per_mm2")
    if found is None or found["value"] <= _DENSITY_LIMIT or result.answered("AREA-07"):
        return None
    return _without([f"{found['value']:.3g} W/mm^2"], ["AREA-07"])


def kind_simulator(result: Result) -> str | None:
    """RULE-26: a simulator whose memory has no latency, or whose clock gating is perfect."""
    if result.evidence not in ("simulated", "emulated"):
        return None
    told = f"{result.told('SIM-03')} {result.told('SIM-04')} "
    told += words(result.at("record:/engine/assumptions"))
    found = [
        match[0] for match in (_NO_LATENCY.search(told), _PERFECT_GATING.search(told)) if match
    ]
    if result.lacking("SIM-03", "SIM-04") and not found:
        return _lacks(result, ["a simulated result"], "SIM-03", "SIM-04")
    quoted = " and ".join(f"'{text}'" for text in found)
    return f"the simulator assumes {quoted} (SIM-03, SIM-04): it flatters" if found else None


def training_speed_alone(result: Result) -> str | None:
    """RULE-27: a training result without convergence criterion."""
    offered = ["a training result"] if "train" in result.subject.kinds else []
    return _lacks(result, offered, "TRN-03")


def merged_tails(result: Result) -> str | None:
    """RULE-28: one latency percentile for what TTFT and ITL should tell apart."""
    merged = result.offers(f"e2e.*.{_TAIL}") if result.serves else []
    missing = [name for name in ("ttft", "itl") if not result.offers(f"{name}.*.{_TAIL}")]
    if not merged or not missing:
        return None
    return f"{_some(merged)} without percentiles of {' and '.join(missing)} (INF-09, INF-12)"


SINGLE: Mapping[str, Callable[[Result], str | None]] = MappingProxyType(
    {
        "RULE-01": peak_alone,
        "RULE-02": energy_without_context,
        "RULE-07": rates_without_context,
        "RULE-08": raw_rate,
        "RULE-09": kernel_time,
        "RULE-11": hidden_start,
        "RULE-12": one_point,
        "RULE-13": synthetic_tokens,
        "RULE-14": analog_operations,
        "RULE-15": array_speedup,
        "RULE-16": chip_energy,
        "RULE-18": static_images,
        "RULE-19": unlabelled_efficiency,
        "RULE-20": sparse_work,
        "RULE-23": fpga_result,
        "RULE-24": coverage_unknown,
        "RULE-25": dense_power,
        "RULE-26": kind_simulator,
        "RULE-27": training_speed_alone,
        "RULE-28": merged_tails,
    }
)
"""What looks for a breach of each rule, by its id."""


def _lacks(result: Result, offered: list[str], *needed: str) -> str | None:
    """What is offered without these items; None if nothing is offered or nothing lacks."""
    return _without(offered, result.lacking(*needed))


def _without(offered: list[str], missing: list[str]) -> str | None:
    if not offered or not missing:
        return None
    named = ", ".join(f"{items()[ident].field} ({ident})" for ident in missing)
    return f"{_some(offered)} without {named}"


def _some(names: list[str]) -> str:
    """The first of these names and how many more there are."""
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _is_used(told: str) -> bool:
    """Whether an answer names a pattern or a method, and not the lack of one."""
    return bool(told) and not {"none", "dense", "no", "false"}.intersection(told.split())
