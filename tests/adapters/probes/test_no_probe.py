"""The probe that watches nothing."""

import importlib.resources

import yaml

from accelbench.adapters.probes.none import NoProbe


def test_it_has_neither_meter_nor_readings() -> None:
    """Energy stays absent: there is no meter to read and no reading of 0 W."""
    probe = NoProbe()
    assert probe.readiness().status == "ready"
    with probe.watch(1) as watch:
        assert watch.meter() is None
        assert tuple(watch.readings()) == ()


def test_its_preset_has_no_options() -> None:
    """The configuration names it and nothing else."""
    file = importlib.resources.files("accelbench.conf") / "probe" / "none.yaml"
    assert yaml.safe_load(file.read_text()) == {"name": "none"}
