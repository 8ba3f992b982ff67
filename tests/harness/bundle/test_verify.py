"""`verify`: whatever was changed after sealing is found and named."""

import json
import random
import shutil
from pathlib import Path

import pytest

from accelbench.harness.bundle.manifest import read_manifest, seal
from accelbench.harness.bundle.verify import verify
from accelbench.harness.errors import BundleError
from accelbench.harness.schema.plain import pretty

RECORD = "records/stream/0/record.json"


@pytest.fixture
def bundle(rehearsal, tmp_path) -> Path:
    """A copy of a good bundle, to be spoiled."""
    return Path(shutil.copytree(rehearsal, tmp_path / "bundle"))


def _problems(bundle: Path) -> dict[str, str]:
    return {problem.path: problem.what for problem in verify(bundle).problems}


def _edit(path: Path, change) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_bytes(pretty(document))


def test_a_good_bundle_holds(rehearsal):
    """Nothing is wrong, and every metric was recomputed."""
    found = verify(rehearsal)
    assert found.ok
    assert [check.ok for check in found.checks] == [True] * 5


@pytest.fixture(scope="module")
def flipped():
    """Flips one bit at a drawn place of a file; returns the bytes that were there."""
    draw = random.Random(7)

    def flip(path):
        good = path.read_bytes()
        content = bytearray(good)
        content[draw.randrange(len(good))] ^= 1 << draw.randrange(8)
        path.write_bytes(content)
        return good

    return flip


def test_a_flipped_bit_in_every_file_is_named(bundle, flipped):
    """No file is left out, and no damage hides that of another."""
    names = [name for name in read_manifest(bundle).files if (bundle / name).stat().st_size]
    assert len(names) > 90
    for name in names:
        flipped(bundle / name)
    assert set(names) <= _problems(bundle).keys()


def test_a_flipped_bit_in_one_file_is_enough(bundle, flipped):
    """One file of each kind, alone: it is named, and put back the bundle holds again."""
    kinds = {Path(name).name: name for name in read_manifest(bundle).files}
    assert len(kinds) > 15
    for name in kinds.values():
        if (bundle / name).stat().st_size:
            good = flipped(bundle / name)
            assert name in _problems(bundle), name
            (bundle / name).write_bytes(good)
    assert verify(bundle).ok


def test_a_removed_an_added_and_a_truncated_file_are_named(bundle):
    """Each is told for what it is."""
    (bundle / "records/train/0/log.txt").unlink()
    (bundle / "records/train/1/notes.txt").write_text("x")
    (bundle / ".hidden").write_text("x")
    trace = bundle / "records/train/2/trace/requests.parquet"
    trace.write_bytes(trace.read_bytes()[:100])
    problems = _problems(bundle)
    assert problems["records/train/0/log.txt"] == "missing"
    assert problems["records/train/1/notes.txt"] == "not in the manifest: added"
    assert problems[".hidden"] == "not in the manifest: added"
    assert "records/train/2/trace/requests.parquet" in problems
    assert "truncated" in problems["records/train/2/record.json"]


def test_a_number_edited_before_a_new_seal_is_contradicted_by_its_trace(bundle):
    """Hashes made anew do not help: the number does not follow from the raw trace."""
    _edit(bundle / RECORD, lambda r: r["measurements"]["e2e.service.p50"].update(value=1e-9))
    seal(bundle)
    problems = _problems(bundle)
    assert "e2e.service.p50 is" in problems[RECORD]


def test_a_trace_edited_before_a_new_seal_is_contradicted_by_its_record(bundle):
    """The record names the hash of each file of its trace."""
    other = bundle / "records/stream/1/trace/requests.parquet"
    shutil.copy(other, bundle / "records/stream/0/trace/requests.parquet")
    seal(bundle)
    problems = _problems(bundle)
    assert "records/stream/0/trace/requests.parquet" in problems


def test_a_verdict_edited_before_a_new_seal_is_found(bundle):
    """Whether a record counts is judged again."""
    _edit(bundle / RECORD, lambda r: r.update(status="invalid"))
    seal(bundle)
    assert "is called invalid" in _problems(bundle)[RECORD]


def test_a_class_edited_before_a_new_seal_is_found(bundle):
    """Whether a trial was steady is judged again."""
    _edit(bundle / RECORD, lambda r: r.update(steady_state="no steady state"))
    seal(bundle)
    assert "is called no steady state" in _problems(bundle)[RECORD]


def test_a_changed_cell_does_not_answer_to_its_hash(bundle):
    """The stored configuration is held against the hash in the campaign and in the records."""
    _edit(
        bundle / "campaign.json",
        lambda c: c["cells"]["stream"]["scenario"].update(requests=1),
    )
    seal(bundle)
    assert "hash of cell 'stream'" in _problems(bundle)["campaign.json"]


def test_a_removed_trial_is_missed(bundle):
    """A campaign of three trials with two records is not whole."""
    shutil.rmtree(bundle / "records/stream/2")
    seal(bundle)
    assert "missing" in _problems(bundle)["records/stream/2"]


def test_another_metric_version_is_not_passed_silently(bundle):
    """A version this program does not know is told as not recomputed."""
    _edit(bundle / RECORD, lambda r: r["measurements"]["e2e.service.p50"].update(version=99))
    seal(bundle)
    checks = {check.name: check.ok for check in verify(bundle).checks}
    assert checks["e2e.service.p50 of stream/0"] == "not_recomputed"


def test_a_link_in_place_of_a_file_is_named(bundle, tmp_path):
    """A link to the same bytes is no file of the bundle."""
    path = bundle / RECORD
    elsewhere = tmp_path / "elsewhere.json"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    assert _problems(bundle)[RECORD] == "a link, not a file"


def test_a_manifest_in_other_bytes_is_found(bundle):
    """The manifest's bytes are canonical, so that its hash is its own."""
    path = bundle / "manifest.json"
    path.write_bytes(pretty(json.loads(path.read_text())))
    assert "canonical" in _problems(bundle)["manifest.json"]


@pytest.mark.parametrize("content", [None, b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_without_a_readable_manifest_there_is_no_bundle(bundle, content):
    """A missing, empty or broken manifest is one error, exit code 2."""
    path = bundle / "manifest.json"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BundleError) as caught:
        verify(bundle)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [RECORD, "campaign.json", "records/stream/0/trace/trace.json"])
@pytest.mark.parametrize("content", [b"", b"{}", b"[1", b"\xff\xfe", b"[" * 100_000])
def test_broken_documents_are_problems_and_never_tracebacks(bundle, name, content):
    """Whatever stands in a file, the answer is a list of problems."""
    (bundle / name).write_bytes(content)
    seal(bundle)
    assert not verify(bundle).ok
