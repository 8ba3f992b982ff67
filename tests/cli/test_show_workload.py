"""`accelbench show WORKLOAD`."""

import pytest

pytest.importorskip("torch")


def test_a_preset_is_shown_with_its_phases_and_its_place_under_a_roofline(accelbench):
    """FLOPs, bytes and intensity of each phase, weights, keys and values a token."""
    words = ("--batch", "2", "--tokens", "32", "--platform", "fig3_reference")
    ended = accelbench("show", "tiny_llama", *words)
    assert ended.code == 0
    document = accelbench("show", "tiny_llama", *words, "--json").document()
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


def test_what_keeps_no_keys_says_so(accelbench):
    """An absent value stands beside its reason."""
    document = accelbench("show", "digits_cnn", "--json").document()
    assert document["kv_bytes_per_token"] is None
    assert document["reason"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--precision", "int3"), "int3"),
        (("--platform", "this_hos"), "this_hos"),
        (("--platform", "b200_paper", "--precision", "fp64"), "fp64"),
    ],
)
def test_what_cannot_be_told_is_one_line(accelbench, words, told):
    """A precision or a sheet that there is not."""
    ended = accelbench("show", "digits_cnn", *words)
    assert ended.code == 2
    assert told in ended.err
    assert ended.err.count("\n") == 1
