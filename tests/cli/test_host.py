"""The user's own sheet of this machine: kept after `peaks`, used where it holds."""

from dataclasses import replace

import pytest

from accelbench.cli import host
from accelbench.cli.compose import compose_suite, preset
from accelbench.harness.bundle.host_sheet import HOST, HOST_FILE, machine_note, sheet_document
from accelbench.harness.environment.cpu import cpu_facts
from accelbench.harness.environment.reading import LINUX
from accelbench.harness.errors import StorageError
from accelbench.harness.schema.plain import pretty
from accelbench.harness.schema.platform import Figure, MemoryLevel, Platform

HERE = machine_note({name: fact.value for name, fact in cpu_facts(LINUX).items()})
SHEET = Platform(
    name=HOST,
    summary="this machine, measured",
    family="cpu",
    peak={"fp32": Figure(1e11, "gemm", "measured")},
    memory=(MemoryLevel("main memory", Figure(1e10, "triad", "measured"), None),),
    power=None,
    power_scope=None,
    notes=(HERE,),
    sources=("measured: accelbench run peaks",),
)


@pytest.fixture(autouse=True)
def configuration(tmp_path, monkeypatch):
    """A configuration folder of its own, empty."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config"


@pytest.fixture
def kept(tmp_path):
    """Keeps a sheet as that of a finished bundle."""

    def keep(sheet):
        bundle = tmp_path / "bundle"
        (bundle / HOST_FILE).parent.mkdir(parents=True)
        (bundle / HOST_FILE).write_bytes(pretty(sheet_document(sheet)))
        return host.keep_measured(bundle)

    return keep


def sheet_of(*overrides):
    """The platform of a cell on this machine."""
    return compose_suite("rehearsal", overrides)[0].platform


def test_until_it_is_measured_the_sheet_says_how_to():
    """It gives no figure at all."""
    assert preset("platform", HOST)["peak"] == {}
    assert "accelbench run peaks" in preset("platform", HOST)["sources"][0]


def test_what_was_measured_is_what_cells_on_this_machine_are_held_to(kept, configuration):
    """In every suite and in every listing."""
    path = kept(SHEET)
    assert path == configuration / "accelbench" / "platform" / "this_host.yaml"
    assert sheet_of("platform=this_host") == SHEET
    assert preset("platform", HOST)["peak"]["fp32"]["value"] == 100_000_000_000


def test_a_gpu_has_a_sheet_of_its_own(kept, configuration):
    """What a processor reached is no measure for a GPU, nor the other way round."""
    own = replace(SHEET, family="gpu", summary="a GPU, measured")
    path = kept(own)
    assert path == configuration / "accelbench" / "platform" / "this_host_gpu.yaml"
    assert sheet_of("platform=this_host").peak == {}
    found = [
        compose_suite("levers", ["platform=this_host", *more])[0].platform
        for more in (["adapter.device=cuda"], [])
    ]
    assert found[0] == own
    assert found[1].peak == {}
    assert compose_suite("levers_gpu", ["platform=this_host"])[0].platform == own


def test_without_one_a_gpu_is_told_how_to_get_it():
    """The command measures the GPU."""
    found = compose_suite("levers", ["adapter.device=cuda"])[0].platform
    assert found.peak == {}
    assert found.sources == ("not measured: accelbench run peaks adapter.device=cuda",)


def test_other_platforms_stay_as_they_are(kept):
    """A datasheet is never replaced by a measurement."""
    before = sheet_of("platform=b200_paper")
    kept(SHEET)
    assert sheet_of("platform=b200_paper") == before
    assert {figure.kind for figure in before.peak.values()} == {"paper"}


def test_a_sheet_of_another_machine_is_not_used(kept):
    """As where a home folder is shared; what is used says so."""
    kept(replace(SHEET, notes=("machine: Another Processor, 96 logical processors",)))
    found = sheet_of("platform=this_host")
    assert found.peak == {}
    assert "another machine" in found.sources[0]
    assert "accelbench run peaks" in found.sources[0]


@pytest.mark.parametrize("text", ["", "{", '{"name": "this_host"}', "[1]"])
def test_a_sheet_that_cannot_be_read_is_not_used(text):
    """No cell fails for it."""
    path = host.sheet_path()
    path.parent.mkdir(parents=True)
    path.write_text(text)
    found = sheet_of("platform=this_host")
    assert found.peak == {}
    assert "cannot be read" in found.sources[0]


def test_a_figure_of_the_sheet_can_be_overridden(kept):
    """The user's word comes last."""
    kept(SHEET)
    assert sheet_of("platform=this_host", "platform.summary=mine").summary == "mine"


def test_a_bundle_without_a_sheet_keeps_nothing(tmp_path):
    """What was there stays."""
    assert host.keep_measured(tmp_path) is None


def test_where_it_cannot_be_kept_one_line_says_so(kept, configuration):
    """The bundle has it all the same."""
    configuration.write_text("a file where a folder should be")
    with pytest.raises(StorageError, match="cannot keep the sheet"):
        kept(SHEET)
