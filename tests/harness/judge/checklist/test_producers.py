"""Who answers each of the survey's items: the table is whole, in order, and points at what is there."""

import re
from collections import Counter
from dataclasses import fields, replace
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from accelbench.harness.bundle.campaign_file import Campaign
from accelbench.harness.environment.facts import collect
from accelbench.harness.judge.checklist.items import items
from accelbench.harness.judge.checklist.pointer import Found, look
from accelbench.harness.judge.checklist.producers import producers
from accelbench.harness.metrics.catalogue import catalogue
from accelbench.harness.schema.cell import Cell, Workload
from accelbench.harness.schema.platform import Figure, MemoryLevel, Platform
from accelbench.harness.schema.protocols import Task, Work
from accelbench.harness.schema.record import Record
from accelbench.harness.schema.recorder import Recorder
from accelbench.harness.schema.rules import Limits, Rules
from accelbench.harness.schema.scenario import Offline, SingleStream, TrainToTarget
from accelbench.harness.schema.trace import TraceHead
from tests.harness.judge.checklist.inferred import inferred_facts
from tests.harness.judge.checklist.trained import trained_facts

CAPABILITIES = {
    "energy meters",
    "simulated machines",
    "PIM, analog and neuromorphic machines",
    "complete environment and bundles",
    "reports",
}
"""What is still to come; an item waits for nothing else."""

NOBODY_CAN_OBSERVE = {"GEN-50", "NEU-06"}
"""Items that the survey asks for and that rest on the user's word: how well a baseline was tuned,
and which dense workload counts as equivalent where the workload itself does not tell."""

MOST_DECLARED = 25

NO_ENGINE_YET = {
    "record:/engine/beside",
    "record:/engine/speculative",
    "record:/engine/kv_cache/block_size",
    "record:/engine/counting/source",
    "record:/engine/data/mix/models",
    "record:/engine/device_clock/tied_within_s",
}
"""Facts that servers tell and engines of this process do not, or only on a GPU; of neighbours the
harness tells."""

OF_EVERY_RUN = [f"GEN-{n:02}" for n in (3, 4, 5, 14, 15, 22, 25, 28, 32, 33, 34, 36, 37, 38)]
"""Items that facts of the engine answer, whatever it does."""

WAYS = ("observed", "computed", "sheet", "declared", "pending")
FIELDS = {
    "record": {field.name for field in fields(Record)} | {"id"},
    "head": {field.name for field in fields(TraceHead)},
    "cell": {field.name for field in fields(Cell)},
    "campaign": {field.name for field in fields(Campaign)},
    "packages": {"schema", "packages"},
    "changes": {"schema", "changes"},
    "environment": {"schema", "machine_id", "facts"},
    "derived": {"*"},
    "bundle": {"sealed"},
}


def rows():
    """Every producer with its item."""
    return [(items()[name], one) for name, listed in producers().items() for one in listed]


def pointers():
    """Every pointer, once."""
    told = (one.what.split() for _, one in rows() if one.how in WAYS[:3])
    return sorted({pointer for listed in told for pointer in listed})


def test_every_item_names_who_answers_it():
    """All 325 of them, and nothing else."""
    assert producers().keys() == items().keys()
    assert len(items()) == 325
    assert all(producers().values())


def test_what_is_seen_comes_before_what_is_said_and_before_what_is_to_come():
    """Observed, computed or from a sheet first, then the user's word, then what is pending."""
    for name, listed in producers().items():
        ranks = [max(0, WAYS.index(one.how) - 2) for one in listed]
        assert ranks == sorted(ranks), name
        assert len(set(listed)) == len(listed), name


def test_a_word_taken_or_a_promise_made_has_its_reason():
    """Declared and pending producers say why; what is seen needs no excuse."""
    for item, one in rows():
        assert bool(one.reason.strip()) == (one.how in ("declared", "pending")), (item.id, one)


def test_what_the_survey_says_to_report_does_not_rest_on_the_users_word():
    """Only listed items of force R may, where nothing can ever observe them."""
    said = {item.id for item, one in rows() if item.force == "R" and one.how == "declared"}
    assert said == NOBODY_CAN_OBSERVE
    assert len(said) <= MOST_DECLARED


def test_whatever_else_may_be_answered_by_the_user():
    """Every item of force C or P has the user's word to fall back on, under its own field."""
    for item in items().values():
        keys = [one.what for one in producers()[item.id] if one.how == "declared"]
        assert (item.field in keys) == (item.force != "R" or item.id in NOBODY_CAN_OBSERVE)


def test_what_is_pending_names_a_capability():
    """One of a closed list, so that a capability that lands finds all it has to replace."""
    waiting = {one.what for _, one in rows() if one.how == "pending"}
    assert waiting == CAPABILITIES


def test_pointers_lead_into_documents_that_exist():
    """Each names a document, and a first key that the document has."""
    for pointer in pointers():
        document, slash, path = pointer.partition(":/")
        assert slash, pointer
        assert path.split("/")[0] in FIELDS[document], pointer


def test_every_measurement_that_is_named_is_in_the_catalogue():
    """By its full name, or by the stem of a family of names."""
    known = [re.sub(r"<\w+>", "*", definition.name) for definition in catalogue()]
    for pointer in pointers():
        found = re.search(r"/measurements/([^/]+)", pointer)
        if found and found[1] != "*":
            assert any(fnmatchcase(found[1], name) for name in known), pointer


def test_every_fact_of_the_environment_that_is_named_is_gathered():
    """Whether it can be read on this machine or not."""
    named = {
        pointer.rpartition("/")[2] for pointer in pointers() if "environment:/facts" in pointer
    }
    assert named
    assert named <= collect().keys()


def test_every_figure_of_a_sheet_that_is_named_is_one():
    """A platform has the field; a workload too."""
    for pointer in pointers():
        part, _, rest = pointer.removeprefix("cell:/").partition("/")
        owner = {"platform": Platform, "workload": Workload}.get(part)
        if pointer.startswith("cell:/") and owner and rest:
            assert rest.split("/")[0] in {field.name for field in fields(owner)}, pointer


def test_an_item_waits_for_a_capability_once():
    """What it will bring stands in one row."""
    for name, listed in producers().items():
        waits = Counter(one.what for one in listed if one.how == "pending")
        assert all(count == 1 for count in waits.values()), name


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The facts that our engines tell after a trial: trained, asked, simulated."""
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    from accelbench.adapters.engines.torch.adapter import TorchAdapter
    from accelbench.adapters.simulators.roofline import RooflineAdapter
    from accelbench.suites.workloads.classifiers.cnn import Cnn
    from accelbench.suites.workloads.language.decoder import Decoder
    from accelbench.suites.workloads.requests.mix import RequestClass

    folder = tmp_path_factory.mktemp("told")
    tiny = Decoder(32, 1, 2, 1, 64, output_tokens=3, prompt_tokens=8)
    digits = Cnn(channels=2, hidden=4)
    stream = SingleStream("single_stream", 2)
    mix = (RequestClass("short", 0.5, 8, 3), RequestClass("long", 0.5, 16, 3))
    return [
        _facts(
            TorchAdapter(),
            digits,
            TrainToTarget("train_to_target", "accuracy", 0.0, 512, 1),
            folder,
        ),
        *trained_facts(_facts, folder),
        *inferred_facts(_facts, folder),
        _facts(TorchAdapter(), digits, Offline("offline", 2, 4), folder),
        _facts(TorchAdapter(), tiny, stream, folder),
        _facts(RooflineAdapter(), tiny, stream, folder),
        _facts(RooflineAdapter(), replace(tiny, words="real", mix=mix), stream, folder),
        _facts(RooflineAdapter(), digits, Offline("offline", 2, 4), folder),
    ]


def _facts(adapter, builder, scenario, folder: Path):
    figure = Figure(1e12, "a test", "paper")
    sheet = Platform(
        "here",
        "-",
        "cpu",
        {"bf16": figure},
        (MemoryLevel("DRAM", figure, figure),),
        figure,
        "chip",
        (),
        ("a test",),
    )
    rules = Rules("test", "-", 1, 1, "shared", 60, 0, Limits(), (), ())
    with adapter.open(Task(builder, sheet, None, 0)) as session:
        session.execute(Work(scenario, rules, 0, folder), Recorder(session.clock))
        return session.facts()


@pytest.mark.torch
def test_every_fact_of_an_engine_that_is_named_is_told_by_one(told):
    """A pointer that no engine answers would hide what is missing."""
    documents = [{"record": {"engine": facts}} for facts in told]
    silent = {
        pointer
        for pointer in pointers()
        if pointer.startswith("record:/engine/")
        and not any(isinstance(look(each, pointer), Found) for each in documents)
    }
    assert silent == NO_ENGINE_YET


@pytest.mark.torch
@pytest.mark.parametrize("name", OF_EVERY_RUN)
def test_what_every_run_must_report_is_told_by_each_engine(told, name):
    """The facts of one producer are all there, in each kind of trial."""
    for facts in told:
        documents = {"record": {"engine": facts}}
        needed = [
            [pointer for pointer in one.what.split() if pointer.startswith("record:/engine/")]
            for one in producers()[name]
            if one.how == "observed"
        ]
        assert any(
            all(isinstance(look(documents, pointer), Found) for pointer in listed)
            for listed in needed
        ), facts["geometry"]
