"""What every installed implementation keeps, found by itself over the entry points."""

import dataclasses
import subprocess
import sys
from importlib.resources import files

import pytest
import yaml

from accelbench.harness.run import registry
from accelbench.harness.schema.cell import Choice
from accelbench.harness.schema.decode import decode, encode
from accelbench.harness.schema.protocols import Readiness

PARTS = [(group, name) for group in registry.GROUPS for name in registry.names(group)]
HEAVY = ("torch", "transformers", "mlflow", "codecarbon", "pynvml", "sklearn", "pandas")
PRESET_GROUP = {
    "adapters": "adapter",
    "probes": "probe",
    "trackers": "tracker",
    "executors": "executor",
}


@pytest.mark.parametrize(("group", "name"), PARTS)
def test_it_is_a_frozen_dataclass_whose_fields_have_defaults(group, name):
    """Options are fields; a part can be made without any, and equal options make equal parts."""
    kind = registry.load(group, name)
    assert dataclasses.is_dataclass(kind)
    assert kind.__dataclass_params__.frozen
    part = registry.create(group, Choice(name))
    assert decode(kind, encode(part)) == part


@pytest.mark.parametrize(("group", "name"), PARTS)
def test_its_docstring_says_what_it_is(group, name):
    """`list` shows the first line, so there is one, and it ends like a sentence."""
    first = registry.load(group, name).__doc__.strip().splitlines()[0]
    assert first.endswith(".")


@pytest.mark.parametrize(("group", "name"), [part for part in PARTS if part[0] in PRESET_GROUP])
def test_it_has_a_preset_that_names_each_option(group, name):
    """conf/<group>/<name>.yaml holds the name and exactly the fields, with their defaults."""
    place = files("accelbench.conf") / PRESET_GROUP[group] / f"{name}.yaml"
    preset = yaml.safe_load(place.read_text())
    assert preset.pop("name") == name
    assert preset == encode(registry.create(group, Choice(name)))


@pytest.mark.parametrize(("group", "name"), [part for part in PARTS if part[0] != "workloads"])
def test_it_says_whether_it_is_ready_and_what_brings_it(group, name):
    """Every status but ready has a remedy."""
    ready = registry.create(group, Choice(name)).readiness()
    assert isinstance(ready, Readiness)
    assert ready.detail
    assert ready.status == "ready" or ready.remedy


@pytest.mark.parametrize("name", registry.names("adapters"))
def test_an_adapter_declares_evidence_and_clock(name):
    """A simulated clock never carries measured evidence."""
    kind = registry.load("adapters", name)
    assert kind.evidence in ("measured", "emulated", "simulated", "datasheet")
    assert kind.clock in ("wall", "simulated")
    assert (kind.clock == "simulated") == (kind.evidence == "simulated")


def test_importing_every_part_imports_no_engine():
    """A plan can be checked where no engine is installed."""
    program = (
        "import sys\n"
        "from accelbench.harness.run import registry\n"
        "for group in registry.GROUPS:\n"
        "    for name in registry.names(group):\n"
        "        registry.load(group, name)\n"
        f"print([heavy for heavy in {HEAVY!r} if heavy in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_from_bare_sources_the_entry_points_come_from_pyproject(monkeypatch):
    """With nothing installed, the registry reads the same names from the sources."""
    installed = {group: list(registry.names(group)) for group in registry.GROUPS}
    monkeypatch.setattr(registry, "entry_points", lambda **_: [])
    registry.names.cache_clear()
    try:
        for group, names in installed.items():
            assert list(registry.names(group)) == names
    finally:
        registry.names.cache_clear()
