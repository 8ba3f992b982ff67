"""The survey's 28 gating rules: each fires where it must and is silent where it must."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from accelbench.harness.judge.checklist.evaluate import Answer
from accelbench.harness.judge.checklist.items import items, rule_texts
from accelbench.harness.judge.checklist.result import END_TO_END, Result, fits
from accelbench.harness.judge.checklist.rules import (
    CONCERNS,
    barred,
    broken,
    broken_between,
    gate_comparison,
)
from accelbench.harness.judge.checklist.rules_between import BETWEEN
from accelbench.harness.judge.checklist.rules_single import SINGLE
from accelbench.harness.metrics.catalogue import catalogue

TAILS = ("e2e.service.p99", "ttft.response.p99", "itl.gap.p99")
OF_CHIP = {"quality": "modelled", "scope": "chip", "covers": ["cores"], "net_of_idle": False}
OF_BOARD = OF_CHIP | {"scope": "board", "covers": ["cores", "memory"]}


@dataclass(frozen=True)
class Case:
    """A result made up for a rule; every item of the checklist is answered unless said."""

    family: str = "cpu"
    model: str = "cnn"
    scenario: str = "single_stream"
    evidence: str = "measured"
    offers: tuple[str, ...] = ("tp.samples",)
    missing: tuple[str, ...] = ()
    tells: dict[str, Any] = field(default_factory=dict)
    engine: dict[str, Any] = field(default_factory=dict)
    note: dict[str, Any] | None = None
    value: float = 2.0
    precision: str = "fp32"
    workload: str = "a_workload"

    @property
    def documents(self):
        """The documents of its record."""
        measured = {"value": self.value, "unit": "1", "n": 3, "energy": self.note}
        return {
            "record": {
                "evidence": self.evidence,
                "engine": self.engine,
                "measurements": dict.fromkeys(self.offers, measured),
            },
            "head": {"precision": self.precision},
            "cell": {
                "platform": {"name": f"a_{self.family}", "family": self.family},
                "adapter": {"name": "torch", "options": {}},
                "scenario": {"kind": self.scenario},
                "workload": {"name": self.workload, "family": self.model},
                "declare": self.tells,
            },
        }

    @property
    def answers(self):
        """Missing, answered by what it tells, or answered by something."""
        return tuple(
            Answer(name, "missing", reason="nobody told")
            if name in self.missing
            else Answer(
                name,
                "answered",
                pointers=(f"cell:/declare/{name}",) if name in self.tells else (),
            )
            for name in items()
        )

    def but(self, **changes):
        """The same result, otherwise."""
        return replace(self, **changes)


LLM = Case(model="decoder", offers=("tp.decode", *TAILS), tells={"GEN-22": "real"})
SPIKES = Case(
    family="neuromorphic", model="spiking", offers=("energy.per_inference",), note=OF_BOARD
)
FPGA = Case(family="fpga")
ARRAY = Case(family="pim", offers=("speedup.8",))
ANALOG = Case(family="analog", offers=("flops.achieved", "tp.samples"))
ENERGY = Case(offers=("energy.per_inference",), note=OF_BOARD)
SIMULATED = Case(evidence="simulated")
SPARSE = Case(tells={"GEN-28": "2:4"})
TRAINING = Case(scenario="train_to_target", offers=("train.samples_per_s",))


def found(case):
    """The rules it breaks, by id."""
    return {rule.id: rule for rule in broken(case.documents, case.answers)}


def between(a, b, **options):
    """The rules that two break side by side, by id."""
    rules = broken_between(a.documents, a.answers, b.documents, b.answers, **options)
    return {rule.id: rule for rule in rules}


ALONE = {
    "RULE-01": [
        (Case(evidence="datasheet", offers=("flops.achieved",)), "a peak without", Case()),
        (
            Case(offers=("area.tops_per_mm2",)),
            "area.tops_per_mm2",
            Case(offers=("flops.achieved",)),
        ),
    ],
    "RULE-02": [(ENERGY.but(missing=("ENERGY-04",)), "power.boundary (ENERGY-04)", ENERGY)],
    "RULE-07": [
        (LLM.but(missing=("INF-01", "INF-28")), "load.concurrency (INF-01), kv.policy", LLM)
    ],
    "RULE-08": [(LLM.but(missing=("INF-19",)), "goodput (INF-19)", LLM)],
    "RULE-09": [
        (LLM.but(tells={"GEN-04": "kernel", "GEN-22": "real"}), "the kernel alone", LLM),
        (FPGA.but(offers=("e2e.service.p50",), missing=("GEN-47",)), "e2e.transfers", FPGA),
    ],
    "RULE-11": [(Case(missing=("GEN-37",)), "exec.compilation (GEN-37)", Case())],
    "RULE-12": [(LLM.but(missing=("INF-22",)), "curve.latency_throughput (INF-22)", LLM)],
    "RULE-13": [
        (LLM.but(tells={"GEN-22": {"kind": "synthetic"}}), "are synthetic (GEN-22)", LLM),
        (LLM.but(tells={}), "not said to be real", LLM.but(tells={"GEN-22": {"kind": "real"}})),
        (LLM.but(tells={}, model="moe"), "which experts or exits", LLM.but(model="moe")),
    ],
    "RULE-14": [(ANALOG.but(missing=("PIM-01",)), "pim.accuracy_nonideal (PIM-01)", ANALOG)],
    "RULE-15": [(ARRAY.but(missing=("PIM-04",)), "pim.mapped_fraction (PIM-04)", ARRAY)],
    "RULE-16": [
        (SPIKES.but(note=OF_CHIP), "the boundary is 'chip'", SPIKES),
        (SPIKES.but(missing=("NEU-07",)), "neu.pre_encoding_cost (NEU-07)", SPIKES),
    ],
    "RULE-18": [(SPIKES.but(workload="spiking_mnist"), "static images (mnist)", SPIKES)],
    "RULE-19": [
        (
            Case(offers=("sheet.tops_per_w.fp8", "tp.samples"), missing=("ENERGY-17",)),
            "ENERGY-17",
            Case(),
        )
    ],
    "RULE-20": [
        (SPARSE.but(missing=("GEN-30",)), "sparsity.metadata (GEN-30)", SPARSE),
        (SPARSE.but(missing=("UTIL-03",)), "UTIL-03", Case(tells={"GEN-28": "none"})),
    ],
    "RULE-23": [(FPGA.but(missing=("FPGA-05",)), "fpga.resources (FPGA-05)", FPGA)],
    "RULE-24": [
        (Case(family="npu", missing=("GEN-44",)), "ops.coverage (GEN-44)", Case(family="npu")),
        (Case(family="asic", missing=("GEN-45",)), "ops.fallback (GEN-45)", Case(family="asic")),
    ],
    "RULE-25": [
        (
            Case(offers=("area.w_per_mm2", "tp.samples"), missing=("AREA-07",)),
            "2 W/mm^2 without cooling (AREA-07)",
            Case(offers=("area.w_per_mm2", "tp.samples"), missing=("AREA-07",), value=0.9),
        )
    ],
    "RULE-26": [
        (
            SIMULATED.but(engine={"assumptions": ["a memory with no latency"]}),
            "'no latency'",
            SIMULATED,
        ),
        (
            SIMULATED.but(tells={"SIM-04": "perfect clock gating"}),
            "'perfect clock gating'",
            SIMULATED,
        ),
        (SIMULATED.but(missing=("SIM-03",)), "sim.dram (SIM-03)", Case(missing=("SIM-03",))),
    ],
    "RULE-27": [(TRAINING.but(missing=("TRN-03",)), "convergence.criteria (TRN-03)", TRAINING)],
    "RULE-28": [(LLM.but(offers=("e2e.service.p99",)), "percentiles of ttft and itl", LLM)],
}
"""For each rule: results that break it, a part of what is said, and one that keeps it."""

FAST = ENERGY.but(family="asic", offers=("energy.total",))
GPU = ENERGY.but(family="gpu", offers=("energy.total",))
SCALED = Case(offers=("speedup.8",))
PINNED = Case(tells={"GEN-15": {"fast_math": False, "level": 2}})

TOGETHER = {
    "RULE-03": [
        (ENERGY, ENERGY.but(note=OF_CHIP), "within 'board' (cores, memory) beside 'chip'", ENERGY),
        (ENERGY, ENERGY.but(note=OF_BOARD | {"net_of_idle": True}), "net of idle", ENERGY),
    ],
    "RULE-04": [
        (GPU, FAST.but(missing=("ENERGY-09",)), "power.wall (ENERGY-09)", FAST),
        (
            GPU,
            FAST.but(missing=("ENERGY-09",)),
            "ASIC beside",
            FAST.but(tells={"GEN-53": {"compute": 0.7, "SRAM": 0.3}}),
        ),
    ],
    "RULE-05": [
        (
            Case(),
            Case(precision="int8", missing=("GEN-24",)),
            "tp.samples at fp32 beside int8 without quality.achieved (GEN-24)",
            Case(precision="int8"),
        ),
        (Case(), Case(precision="int8", missing=("GEN-24",)), "fp32", Case(missing=("GEN-24",))),
        (
            Case(missing=("GEN-24",)),
            Case(tells={"GEN-26": "weights in 4 bits"}),
            "fp32 (not quantised) beside fp32 (weights in 4 bits) without",
            Case(),
        ),
    ],
    "RULE-06": [(SCALED, SCALED.but(missing=("SCALE-05",)), "overlap (SCALE-05)", SCALED)],
    "RULE-17": [
        (SPIKES.but(tells={"GEN-50": "unoptimised"}), ENERGY, "optimised baseline", SPIKES),
    ],
    "RULE-22": [(LLM, LLM.but(missing=("INF-29",)), "kv.compression (INF-29)", LLM)],
}
"""For each rule: one result, another that breaks it beside the first, what is said, one that keeps it."""


def test_every_rule_has_exactly_one_home():
    """All 28 of the table, each either of one result or of two."""
    assert list(rule_texts()) == [f"RULE-{number:02}" for number in range(1, 29)]
    assert sorted([*SINGLE, *BETWEEN]) == list(rule_texts())
    assert set(CONCERNS) <= set(rule_texts())
    assert set(ALONE) == set(SINGLE)
    assert {*TOGETHER, "RULE-10", "RULE-21"} == set(BETWEEN)


@pytest.mark.parametrize(
    ("ident", "bad", "said", "good"),
    [(ident, *case) for ident, cases in ALONE.items() for case in cases],
)
def test_a_rule_of_one_result(ident, bad, said, good):
    """It fires with what is missing and the section, and is silent where nothing is."""
    rule = found(bad)[ident]
    assert said in rule.detail
    assert rule.level == rule_texts()[ident].level
    assert rule.detail.endswith(f"; {rule_texts()[ident].section}")
    assert "\n" not in rule.detail
    assert ident not in found(good)


@pytest.mark.parametrize(
    ("ident", "one", "bad", "said", "good"),
    [(ident, *case) for ident, cases in TOGETHER.items() for case in cases],
)
def test_a_rule_of_two_results(ident, one, bad, said, good):
    """It fires whichever comes first, and is silent where nothing is wrong."""
    for pair in ((one, bad), (bad, one)):
        rule = between(*pair)[ident]
        assert rule.level == rule_texts()[ident].level
        assert rule.detail.endswith(f"; {rule_texts()[ident].section}")
    assert said in between(one, bad)[ident].detail
    assert ident not in between(one, good)
    assert ident not in between(one, one)


def test_an_answer_that_does_not_apply_is_no_lack():
    """But accuracy, wall power and a cooling that nobody knows are unknown all the same."""
    silent = tuple(replace(item, status="not_applicable") for item in ENERGY.answers)
    assert broken(ENERGY.documents, silent) == ()
    other = Case(precision="int8")
    without = tuple(replace(item, status="not_applicable") for item in other.answers)
    rules = broken_between(Case().documents, Case().answers, other.documents, without)
    assert [rule.id for rule in rules] == ["RULE-05"]


def test_a_result_without_figures_breaks_nothing():
    """A failed trial offers nothing that could mislead."""
    empty = Case(family="fpga", offers=(), missing=tuple(items()))
    assert broken(empty.documents, empty.answers) == ()
    assert between(empty, Case()) == {}


def test_a_figure_without_a_value_is_not_offered():
    """What is only a reason cannot mislead."""
    case = ENERGY.but(missing=("ENERGY-04",))
    documents = case.documents
    documents["record"]["measurements"]["energy.per_inference"]["value"] = None
    assert broken(documents, case.answers) == ()


def test_figures_that_rest_on_several_records_count_too():
    """A speed-up is derived, and no measurement of one record."""
    case = Case(family="pim", missing=("PIM-05",))
    assert "RULE-15" not in found(case)
    several = {"scaling": {"measurements": {"speedup.2": {"value": 3.0, "energy": None}}}}
    (rule,) = broken({**case.documents, "derived": several}, case.answers)
    assert rule.id == "RULE-15"
    assert "pim.nonmatmul_cost (PIM-05)" in rule.detail


def test_classes_of_evidence_need_a_label():
    """Simulated beside measured is rejected only where nothing tells which is which."""
    assert "RULE-10" not in between(Case(), SIMULATED)
    assert (
        "measured beside simulated" in between(Case(), SIMULATED, labelled=False)["RULE-10"].detail
    )
    assert "RULE-10" not in between(SIMULATED, SIMULATED, labelled=False)


def test_a_changed_flag_splits_a_series():
    """Unless it is what is meant to change, by itself or by what it lies under."""
    later = PINNED.but(tells={"GEN-15": {"fast_math": True, "level": 2}})
    rule = between(PINNED, later)["RULE-21"]
    assert rule.level == "split"
    assert rule.detail.startswith("changed in between: cell:/declare/GEN-15/fast_math; ")
    for meant in ("cell:/declare/GEN-15/fast_math", "cell:/declare/GEN-15"):
        assert "RULE-21" not in between(PINNED, later, subject=frozenset({meant}))
    assert "RULE-21" in between(PINNED, later, subject=frozenset({"cell:/declare/GEN-15/fast"}))
    assert "RULE-21" not in between(PINNED, PINNED)


def test_changed_packages_are_named_and_counted():
    """Entries of a list go by their names, so that one more package moves none of the others."""
    lists = [
        [{"name": f"package{number}", "version": version} for number in range(first, 6)]
        for first, version in ((1, "1.0"), (0, "2.0"))
    ]
    a, b = (Case(tells={"GEN-12": packages}) for packages in lists)
    detail = between(a, b)["RULE-21"].detail
    assert "cell:/declare/GEN-12/package0/name, cell:/declare/GEN-12/package0/version" in detail
    assert "package1/version and 4 more" in detail
    moved = b.but(tells={"GEN-12": lists[1][::-1]})
    assert "RULE-21" not in between(b, moved)


def test_beside_another_machine_an_array_claims_a_speedup():
    """Then its rates and delays are withheld, and not only a figure called speed-up."""
    array = Case(family="analog", missing=("PIM-04",))
    rule = between(Case(), array)["RULE-15"]
    assert rule.rejects("tp.samples")
    assert not rule.rejects("quality.accuracy")
    assert "RULE-15" not in between(array, array)
    assert "RULE-15" not in found(array)


def test_a_rule_rejects_only_the_figures_it_is_about():
    """A missing power boundary takes the energy, and leaves the throughput."""
    rule = found(ENERGY.but(missing=("ENERGY-04",)))["RULE-02"]
    assert rule.rejects("energy.per_inference")
    assert rule.rejects("tokens_per_joule")
    assert not rule.rejects("tp.samples")
    assert found(FPGA.but(missing=("FPGA-03",)))["RULE-23"].rejects("tp.samples")
    assert not found(Case(missing=("GEN-37",)))["RULE-11"].rejects("tp.samples")


def test_two_results_are_barred_in_the_metric_that_is_asked_for():
    """An energy within another boundary says nothing of an energy within the same one."""
    case = ENERGY.but(offers=("energy.per_inference", "energy.total"))
    documents = case.documents
    measured = documents["record"]["measurements"]
    measured["energy.total"] = measured["energy.total"] | {"energy": OF_CHIP}
    one, other = Result(case.documents, case.answers), Result(documents, case.answers)
    assert [rule.id for rule in barred(one, other, "energy.total")] == ["RULE-03"]
    assert barred(one, other, "energy.per_inference") == ()
    assert barred(one, other, "energy.per_token") == ()


def test_a_comparison_that_a_rule_rejects_is_incomparable():
    """With the rule's words; the same pair may be comparable in another metric."""
    offers = ("energy.per_inference", "tp.samples")
    one, other = ENERGY.but(offers=offers), ENERGY.but(offers=offers, note=OF_CHIP)

    def gate(metric, b=other):
        return gate_comparison(one.documents, one.answers, b.documents, b.answers, metric)

    assert gate("energy.per_inference").verdict == "incomparable"
    assert gate("energy.per_inference").reason.startswith("RULE-03: energy.per_inference within")
    assert gate("tp.samples").verdict == "comparable"
    assert gate("tp.samples").reason == ""
    unknown = other.but(note=OF_BOARD, missing=("GEN-32",))
    assert "RULE-02" in gate("energy.per_inference", unknown).reason
    assert gate("energy.per_inference", one).verdict == "comparable"


def test_the_patterns_of_the_rules_name_metrics_that_there_are():
    """A metric that is renamed must not slip out of the rules that are about it."""
    names = [definition.name for definition in catalogue()]
    patterns = {pattern for patterns in CONCERNS.values() for pattern in patterns}
    patterns |= set(END_TO_END)
    assert [
        pattern for pattern in patterns if not any(fits(name, [pattern]) for name in names)
    ] == []
