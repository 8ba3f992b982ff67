"""`accelbench draw`."""

import json

import pytest

from accelbench.cli.main import main
from accelbench.reports import drawing

pytest.importorskip("torch")
pytest.importorskip("altair")

HIDDEN, LAYERS, HEADS, KV_HEADS, HEAD, MLP, VOCAB = 256, 4, 4, 2, 64, 768, 256
"""The geometry of `tiny_llama`."""


@pytest.fixture
def draw(capsys, tmp_path, monkeypatch):
    """Runs `accelbench draw WORDS...` here; returns the exit code and what it printed."""
    monkeypatch.chdir(tmp_path)

    def command(*words):
        code = main(["draw", *words])
        return code, *capsys.readouterr()

    return command


def test_the_costs_of_kinds_are_those_of_closed_forms(draw, tmp_path):
    """FLOPs and bytes of prefill by kind, and the longer of the two times for each product."""
    batch, length = 2, 96
    words = ("--phase", "prefill", "--lengths", f"{length},192", "--batch", str(batch))
    code, _, _ = draw("operators", "tiny_llama", *words, "--out", "x.json")
    assert code == 0
    document = json.loads((tmp_path / "x.json").read_bytes())
    assert document["schema"] == "accelbench.operators/1"
    row = document["rows"][0]
    kinds = {one["class"]: one for one in row["classes"]}
    tokens, kv = batch * length, KV_HEADS * HEAD
    assert kinds["mlp"]["flops"] == LAYERS * 6 * tokens * HIDDEN * MLP
    assert kinds["projections"]["flops"] == LAYERS * 2 * tokens * HIDDEN * (2 * HIDDEN + 2 * kv)
    assert kinds["attention"]["flops"] == LAYERS * 4 * batch * HEADS * length**2 * HEAD
    assert kinds["head"]["flops"] == 2 * batch * HIDDEN * VOCAB
    assert kinds["mlp"]["bytes"] == 2 * LAYERS * 3 * (tokens * HIDDEN + tokens * MLP + HIDDEN * MLP)
    assert kinds["attention"]["bytes"] == 2 * LAYERS * 2 * tokens * (HIDDEN + kv)
    assert kinds["mlp"]["bound"] == "main memory"
    assert kinds["mlp"]["seconds"] == pytest.approx(kinds["mlp"]["bytes"] / 3e12)
    assert sum(one["share"] for one in row["classes"]) == pytest.approx(1)
    assert row["kv_bytes"] == batch * length * 2 * LAYERS * kv * 2


def test_attention_overtakes_the_other_kinds_as_the_sequence_grows(draw):
    """In prefill and in decode; what does not depend on the length stays."""
    code, out, _ = draw(
        "operators", "tiny_llama", "--lengths", "128,8192", "--json", "--out", "x.json"
    )
    assert code == 0
    rows = {(row["phase"], row["length"]): row for row in json.loads(out)["rows"]}
    share = {
        key: next(one["share"] for one in row["classes"] if one["class"] == "attention")
        for key, row in rows.items()
    }
    for phase in ("prefill", "decode"):
        assert share[phase, 8192] > 3 * share[phase, 128]
    mlp = [
        next(one["seconds"] for one in rows["decode", length]["classes"] if one["class"] == "mlp")
        for length in (128, 8192)
    ]
    assert mlp[0] == mlp[1]


def test_a_workload_is_placed_by_its_intensity(draw):
    """A training step is the sum of its parts; samples without tokens have no length."""
    words = ("tiny_llama:decode", "tiny_llama:train", "digits_cnn:forward")
    code, out, _ = draw("roofline", *words, "--tokens", "64", "--json", "--out", "x.json")
    assert code == 0
    document = json.loads(out)
    assert document["schema"] == "accelbench.roofline/1"
    decode, train, forward = document["points"]
    assert (decode["tokens"], decode["context"]) == (1, 64)
    assert (train["tokens"], forward["tokens"]) == (64, 1)
    for point in document["points"]:
        assert point["intensity"] == pytest.approx(point["flops"] / point["bytes"])
        assert point["roofline"]["bound"] == "main memory"
        assert "survey" not in point
    products = LAYERS * (6 * HIDDEN * MLP + 2 * HIDDEN * (2 * HIDDEN + 2 * KV_HEADS * HEAD))
    assert train["flops"] >= 3 * 64 * products
    assert "order" not in document


@pytest.mark.parametrize(
    ("ending", "begins"),
    [("svg", b"<svg"), ("png", b"\x89PNG"), ("pdf", b"%PDF"), ("html", b"<!doctype html>")],
)
@pytest.mark.parametrize("figure", ["roofline", "operators"])
def test_a_figure_is_written_as_its_ending_says(draw, tmp_path, figure, ending, begins):
    """Its path is the last line, and what it shows is told above."""
    code, out, _ = draw(figure, "tiny_llama", "--out", f"made/x.{ending}")
    assert code == 0
    assert out.splitlines()[-1] == f"made/x.{ending}"
    content = (tmp_path / "made" / f"x.{ending}").read_bytes()
    assert content.startswith(begins)
    if ending == "html":
        page = content.decode()
        assert "<figcaption>" in page
        assert "http-equiv" not in page
        assert "<script" not in page
        assert "bandwidth" in page


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("roofline", "tiny_llama", "--out", "x.gif"), "x.gif"),
        (("roofline", "tiny_lama", "--out", "x.json"), "tiny_lama"),
        (("roofline", "tiny_llama:tuning", "--out", "x.json"), "tuning"),
        (("roofline", "digits_cnn", "--batch", "0", "--out", "x.json"), "--batch"),
        (("roofline", "digits_cnn", "--precision", "int3", "--out", "x.json"), "int3"),
        (("roofline", "digits_cnn", "--platform", "b100", "--out", "x.json"), "b100"),
        (("roofline", "--tokens", "8", "--out", "x.json"), "name the workloads"),
        (("operators", "tiny_llama", "--phase", "train", "--out", "x.json"), "prefill, decode"),
        (("operators", "tiny_llama", "--lengths", "1,b", "--out", "x.json"), "128,512"),
        (("operators", "tiny_llama", "--lengths", "0", "--out", "x.json"), "at least 1"),
        (("operators", "digits_cnn", "--out", "x.json"), "depends on a length"),
        (("roofline", "served", "--out", "x.json"), "not known here"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(draw, tmp_path, words, told):
    """The request was wrong; nothing is written."""
    code, out, err = draw(*words)
    assert (code, out) == (2, "")
    assert told in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_surveys_figure_is_checked_and_not_assumed(draw):
    """Full-size presets: prompts in a batch are the one case that does not lie where it says."""
    code, out, _ = draw("roofline", "--json", "--out", "x.svg")
    assert code == 0
    document = json.loads(out)
    agreed = {point["name"]: point["survey"]["agrees"] for point in document["points"]}
    assert [name for name, right in agreed.items() if not right] == ["batch inference (prompts)"]
    assert {pair["above"] for pair in document["order"]["differs"]} == {"batch inference (prompts)"}
    assert {pair["below"] for pair in document["order"]["differs"]} == {
        "pre-training",
        "fine-tuning",
        "PEFT (low-rank factors)",
    }


def test_without_its_extra_a_picture_says_what_to_install(draw, tmp_path, monkeypatch):
    """Before anything is lowered; the data need no extra."""
    monkeypatch.setattr(drawing, "find_spec", lambda _: None)
    code, _, err = draw("operators", "tiny_llama", "--out", "x.svg")
    assert code == 2
    assert 'pip install "accelbench[report]"' in err
    assert draw("operators", "tiny_llama", "--out", "x.json")[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]
