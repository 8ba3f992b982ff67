"""The other verbs."""

import subprocess
import sys
import time

import pytest

from accelbench.cli.main import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_list_answers_for_every_kind(accelbench_here, kind):
    """Each kind has items with a name and a summary, as text and as JSON."""
    document = accelbench_here("list", kind, "--json").document()
    assert document["schema"] == "accelbench.list/1"
    assert document["kind"] == kind
    assert document["items"]
    for item in document["items"]:
        assert item["name"]
        assert item["summary"]
    assert document["items"][0]["name"] in accelbench_here("list", kind).out


def test_list_metrics_has_what_a_reader_needs_to_check_a_number(accelbench_here):
    """Unit, formula, source and direction of each."""
    for item in accelbench_here("list", "metrics", "--json").document()["items"]:
        assert item["unit"]
        assert item["formula"]
        assert item["source"]
        assert item["better"] in ("lower", "higher", "neither")


def test_list_platforms_names_a_source_for_each(accelbench_here):
    """Sources are never empty; what is absent has its reason."""
    items = accelbench_here("list", "platforms", "--json").document()["items"]
    assert {"b200_paper", "tpu_v5p_paper", "fig3_reference", "this_host"} <= {
        item["name"] for item in items
    }
    for item in items:
        assert item["sources"]
        assert item["power_w"] is not None or item["reason"]


def test_doctor_lists_every_part_with_a_remedy_unless_it_is_ready(accelbench):
    """Adapters, probes and the machine."""
    document = accelbench("doctor", "--json").document()
    assert document["machine"]["python.version"]
    names = {part["name"] for part in document["adapters"]}
    assert {"fake", "torch", "roofline"} <= names
    for part in (*document["adapters"], *document["probes"]):
        assert part["status"] in ("ready", "missing", "denied", "absent")
        assert part["status"] == "ready" or part["remedy"]
    assert "adapters" in accelbench("doctor").out


def test_show_tells_each_cell_with_evidence_and_verdict(accelbench, rehearsal):
    """The table's last line is the bundle's path."""
    ended = accelbench("show", str(rehearsal))
    assert ended.code == 0
    assert ended.out.splitlines()[-1] == str(rehearsal)
    assert "simulated" in ended.out
    assert "valid" in ended.out


def test_show_json_keeps_absences_with_their_reason(accelbench_here, rehearsal):
    """A value that is null stands beside its reason, and simulated energy says it is modelled."""
    document = accelbench_here("show", str(rehearsal), "--json").document()
    seen_energy = False
    for cell in document["cells"]:
        for name, found in cell["measurements"].items():
            assert found["value"] is not None or found["reason"], name
            if name == "energy.total" and found["value"] is not None:
                assert found["energy"]["quality"] == "modelled"
                seen_energy = True
    assert seen_energy
    (derived,) = document["derived"]
    assert derived["measurements"]["batch.efficiency.1"]["value"] == 1.0


def test_verify_exit_codes(accelbench, rehearsal, tmp_path):
    """0 if all holds; 2 if there is no manifest to read."""
    ended = accelbench("verify", str(rehearsal), "--json")
    assert ended.code == 0
    assert ended.document()["ok"] is True
    ended = accelbench("verify", str(tmp_path))
    assert ended.code == 2
    assert "no manifest.json" in ended.complaint()


def test_verify_needs_no_engine(rehearsal):
    """A bundle is checked where torch, mlflow and hydra are not even importable."""
    program = (
        "import sys\n"
        "engines = ('torch', 'mlflow', 'hydra', 'omegaconf', 'transformers', 'sklearn')\n"
        "class Nowhere:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in engines:\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Nowhere())\n"
        "from accelbench.cli.main import main\n"
        f"sys.exit(main(['verify', {str(rehearsal)!r}]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("verb", ["show", "verify", "mirror"])
def test_a_folder_that_is_no_bundle_is_one_line(accelbench_here, tmp_path, verb):
    """What, where, what to do; exit code 2."""
    ended = accelbench_here(verb, str(tmp_path / "nowhere"))
    assert ended.code == 2
    assert "nowhere" in ended.complaint()


def test_help_imports_nothing_heavy():
    """The door opens at once: no numpy, hydra, pyarrow or mlflow for `--help`."""
    program = (
        "import sys\n"
        "from accelbench.cli.main import main\n"
        "try:\n"
        "    main(['--help'])\n"
        "except SystemExit:\n"
        "    heavy = ('numpy', 'pyarrow', 'hydra', 'mlflow', 'torch', 'pandas', 'scipy')\n"
        "    print([name for name in heavy if name in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "[]"
    assert "run a campaign" in done.stdout


def test_a_server_that_is_down_costs_nothing_but_a_warning(accelbench, accelbench_here, tmp_path):
    """The campaign ends in time with a complete bundle, and says how to send it later."""
    began = time.monotonic()
    ended = accelbench(
        *("run", "rehearsal", "rules.trials=1", "tracker.max_retries=0"),
        *("tracker.tracking_uri=http://127.0.0.1:9", "--out", "bundle"),
    )
    assert ended.code == 0
    assert ended.err.count("not mirrored") == 1
    assert "accelbench mirror bundle" in ended.err
    assert accelbench_here("verify", "bundle").code == 0
    assert time.monotonic() - began < 120
    ended = accelbench("mirror", "bundle")
    assert ended.code == 1
    assert "127.0.0.1" in ended.complaint()
