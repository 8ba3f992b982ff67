"""`accelbench show WORKLOAD`."""

import pytest

pytest.importorskip("torch")


def test_a_preset_is_shown_with_its_phases_and_its_place_under_a_roofline(accelbench_here):
    """FLOPs, bytes and intensity of each phase, weights, keys and values a token."""
    words = ("--batch", "2", "--tokens", "32", "--platform", "fig3_reference")
    ended = accelbench_here("show", "tiny_llama", *words)
    assert ended.code == 0
    document = accelbench_here("show", "tiny_llama", *words, "--json").document()
    assert document["schema"] == "accelbench.workload/1"
    assert document["kv_bytes_per_token"] == 2 * 4 * 2 * 64 * 2  # layers, heads, elements, bf16
    assert document["weight_bytes"] == 2 * document["parameters"]
    phases = {row["phase"]: row for row in document["phases"]}
    assert (phases["prefill"]["tokens"], phases["decode"]["context"]) == (32, 32)
    for row in phases.values():
        assert row["intensity"] == pytest.approx(row["flops"] / row["bytes"])
        assert row["roofline"]["bound"] == "main memory"
    assert "prefill" in ended.out
    assert "bound on fig3_reference" in ended.out


def test_what_does_not_apply_is_absent_with_its_reason(accelbench):
    """A model without tokens tells none, and keeps no keys."""
    document = accelbench("show", "digits_cnn", "--json").document()
    assert document["kv_bytes_per_token"] is None
    assert document["reason"]
    for row in document["phases"]:
        assert (row["tokens"], row["context"]) == (None, None)
        assert row["reason"] == "it depends on no tokens and no context"


def test_a_decoder_shows_the_training_that_it_lowers(accelbench_here):
    """Though no run trains it; training has tokens and nothing before them."""
    document = accelbench_here("show", "tiny_llama", "--tokens", "8", "--json").document()
    rows = {row["phase"]: row for row in document["phases"]}
    assert list(rows)[2:] == ["train.forward", "train.backward", "train.optimizer"]
    assert (rows["train.forward"]["tokens"], rows["train.forward"]["context"]) == (8, None)
    assert rows["train.backward"]["flops"] == 2 * rows["train.forward"]["flops"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--precision", "int3"), "int3"),
        (("--platform", "this_hos"), "this_hos"),
        (("--platform", "b200_paper", "--precision", "fp64"), "fp64"),
        (("--tokens", "8"), "--tokens: does not apply: digits_cnn depends on no tokens"),
        (("--context", "8"), "--context: does not apply: digits_cnn depends on no context"),
        (("--batch", "0"), "--batch: must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_told_is_one_line(accelbench_here, words, told):
    """A precision or a sheet that there is not, or a size that the workload does not have."""
    ended = accelbench_here("show", "digits_cnn", *words)
    assert ended.code == 2
    assert told in ended.err
    assert ended.err.count("\n") == 1


def test_what_only_a_server_knows_is_not_shown(accelbench_here):
    """Nothing is lowered here."""
    ended = accelbench_here("show", "served")
    assert ended.code == 2
    assert ended.complaint().startswith("accelbench: served: its operators are not known here")
