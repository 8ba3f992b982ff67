"""What the figures show, and what they refuse to show."""

import math
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from accelbench.harness.bundle.summary import read_bundle
from accelbench.harness.judge.checklist.rules import BrokenRule
from accelbench.harness.metrics.latency import e2e_service
from accelbench.harness.metrics.observation import Observation
from accelbench.harness.schema.measurement import Measurement
from accelbench.harness.schema.platform import Figure
from accelbench.harness.schema.recorder import table_of
from accelbench.harness.schema.trace import Trace, TraceHead
from accelbench.reports import figures
from accelbench.reports.drawing import ENERGY, ENERGY_NAMES, EVIDENCE, inlined, span_of, ticks
from accelbench.reports.figure_latency import _steps
from accelbench.reports.figure_roofline import Roof
from accelbench.reports.figure_tokens import _arrivals
from accelbench.reports.figures import FIGURES, drawing
from accelbench.reports.shown import shown_cells

pytest.importorskip("altair")


def values_of(node):
    """All data rows of a chart."""
    if isinstance(node, dict):
        own = node.get("data", {}).get("values", []) if isinstance(node.get("data"), dict) else []
        named = [row for rows in node.get("datasets", {}).values() for row in rows]
        return [*own, *named, *(row for item in node.values() for row in values_of(item))]
    if isinstance(node, list):
        return [row for item in node for row in values_of(item)]
    return []


def drawn(name, cells):
    """The data rows of a figure."""
    return values_of(drawing(name, cells).chart.to_dict())


def test_every_figure_is_known_by_name():
    """Nothing is drawn that is not listed, and the other way round."""
    assert list(FIGURES) == list(figures._DRAW)
    assert len(FIGURES) >= 4


def test_the_cumulative_share_ends_at_the_slowest_request():
    """It rises, holds every one of the slowest requests, and leaves out what was not told."""
    values = np.append(np.random.default_rng(1).exponential(size=5000), np.nan)
    seconds, share = _steps(values)
    assert seconds.size < 250
    assert (np.diff(seconds) >= 0).all()
    assert (np.diff(share) > 0).all()
    assert share[-1] == 1
    assert set(np.sort(values[:-1])[-60:]) <= set(seconds)
    for at, part in zip(seconds, share, strict=True):
        assert part == pytest.approx((values <= at).mean() * 5001 / 5000)


def test_the_latency_figure_is_drawn_from_the_raw_traces(cells):
    """One line a trial of each single-stream cell, up to its slowest request."""
    rows = [row for row in drawn("latency", cells) if "share" in row and "trial" in row]
    (stream,) = [one for one in cells if one.label == "stream"]
    slowest = {trial: float(e2e_service(seen).max()) for trial, seen in stream.observed()}
    assert set(slowest) == {"trial 1", "trial 2", "trial 3"}
    ends = {row["seconds"] for row in rows if row["share"] == 1}
    assert set(slowest.values()) <= ends


def test_points_carry_value_and_interval_of_the_cell(cells):
    """Throughput and energy: what is drawn is what the table says."""
    (one,) = [one for one in cells if one.label == "offline-batch_size=8"]
    for figure, metric in (("throughput", "tp.samples"), ("energy", "energy.per_inference")):
        found = one.value(metric)
        (row, *_) = [row for row in drawn(figure, cells) if row.get("label") == one.label]
        assert row["value"] == found.value
        assert (row["low"], row["high"]) == (found.interval.low, found.interval.high)


def test_classes_differ_in_shape_and_name_not_only_in_colour(cells):
    """Evidence, and how an energy is known; the legend says it in words."""
    for styles in (EVIDENCE, ENERGY):
        shapes, colours = zip(*styles.values(), strict=True)
        assert len(set(shapes)) == len(set(colours)) == len(styles)
    assert set(ENERGY) == set(ENERGY_NAMES)
    kinds = {row["kind"] for row in drawn("energy", cells) if "kind" in row}
    assert kinds == {"model (a simulator's model)"}
    legend = str(drawing("energy", cells).chart.to_dict())
    assert "'shape': {'field': 'kind'" in legend
    assert "diamond" in legend


def test_cells_that_are_not_valid_are_named_and_not_drawn(troubled, lawful):
    """In the caption, or in what is said in place of the figure."""
    cells = lawful(shown_cells([troubled]))
    training = drawing("training", cells)
    assert training.chart is None
    assert "train (invalid: target_not_met)" in training.lacks
    throughput = drawing("throughput", cells)
    labels = {row["label"] for row in values_of(throughput.chart.to_dict()) if "label" in row}
    assert labels == {"offline-batch_size=1", "offline-batch_size=8", "generate"}
    assert "stream (failed: crashed)" in throughput.caption


def test_a_figure_without_data_says_what_is_missing(rehearsed, with_records, failed):
    """Each one, where every trial failed."""
    cells = shown_cells([with_records(rehearsed, failed)])
    for name in FIGURES:
        found = drawing(name, cells)
        assert found.chart is None
        assert found.lacks


def test_a_trace_that_cannot_be_read_costs_its_figure_only(rehearsed, rehearsal, tmp_path):
    """The reason stands in its place."""
    (tmp_path / "records").mkdir()
    for name in ("campaign.json", "manifest.json"):
        (tmp_path / name).symlink_to(rehearsal / name)
    for folder in (rehearsal / "records").glob("*/*"):
        place = tmp_path / folder.relative_to(rehearsal)
        place.mkdir(parents=True)
        (place / "record.json").symlink_to(folder / "record.json")
    cells = shown_cells([read_bundle(tmp_path)])
    assert "no trace here" in drawing("latency", cells).lacks
    assert drawing("throughput", cells).chart is not None


def test_the_token_figure_starts_with_the_first_token(cells):
    """Each request begins with token 1 and gains one an arrival; prefill is shaded up to it."""
    rows = drawn("tokens", cells)
    (one,) = [one for one in cells if one.label == "generate"]
    firsts = [row for row in rows if row.get("tokens") == 1 and "request" in row]
    _, seen = next(iter(one.observed()))
    assert len(firsts) == seen.requests.due_inside.sum() == 20
    waits = ((seen.streams.first - seen.requests.due) / 1e9)[seen.requests.due_inside]
    assert sorted(row["seconds"] for row in firsts) == pytest.approx(sorted(waits))
    assert one.value("ttft.response.p50").value in [row["to"] for row in rows if "to" in row]


def test_a_server_without_a_decode_rate_stands_by_its_system_rate(cells):
    """What tells no prefill has no tp.decode; its tokens a second are drawn on an axis of their own."""
    one = next(one for one in cells if one.value("tp.system"))
    told = {name: found for name, found in one.cell.measurements.items() if name != "tp.decode"}
    server = replace(one, cell=replace(one.cell, measurements=told))
    assert one.value("tp.decode").value in [row.get("value") for row in drawn("throughput", [one])]
    assert told["tp.system"].value in [row.get("value") for row in drawn("throughput", [server])]


def test_the_token_figure_leaves_out_what_came_before_the_window(make_window):
    """Requests of the warm-up are in the trace of a load, and on no figure."""
    rows = _arrivals(make_window)
    assert {row["request"] for row in rows} == {0}
    assert [row["seconds"] for row in rows] == [0.5]


@pytest.fixture
def make_window():
    """A trial of one request after a warm-up of one, both of one token."""
    requests = [
        {"id": name, "due_ns": due, "sent_ns": due, "done_ns": due + 10**9, "status": "ok"}
        for name, due in (("w", 0), ("a", 2 * 10**9))
    ]
    tokens = [{"id": name, "at_ns": at, "count": 1} for name, at in (("w", 10), ("a", 25 * 10**8))]
    head = TraceHead("accelbench.trace/1", "wall", "measured", (10**9, 4 * 10**9))
    tables = {"requests": table_of("requests", requests), "tokens": table_of("tokens", tokens)}
    return Observation(Trace(head, tables))


def test_the_training_figure_shows_the_target_and_when_it_was_met(cells):
    """One point an evaluation of each trial."""
    rows = drawn("training", cells)
    assert {row["trial"] for row in rows if "trial" in row} == {"trial 1", "trial 2", "trial 3"}
    assert "target 0.96" in {row.get("text") for row in rows}
    (one,) = [one for one in cells if one.label == "train"]
    assert one.value("train.time_to_target").value in [row.get("value") for row in rows]


def test_a_roof_is_the_lower_of_two_ceilings():
    """Bandwidth times intensity left of the ridge, the peak right of it."""
    roof = Roof("machine, fp8", peak=1e12, bandwidth=1e10)
    assert roof.allows(10) == 1e11
    assert roof.allows(100) == 1e12
    assert roof.allows(1000) == 1e12


def test_cells_stand_under_the_roof_of_their_sheet(rehearsed):
    """Each at its intensity and FLOP/s; those without a roof are named with the reason."""
    sheet = rehearsed.campaign.cells["stream"].platform
    roofed = replace(sheet, peak={"fp32": Figure(1e12, "a test", "estimate")})
    names = {"stream", "offline-batch_size=8"}
    cells = {
        name: replace(cell, platform=roofed) if name in names else cell
        for name, cell in rehearsed.campaign.cells.items()
    }
    shown = shown_cells([replace(rehearsed, campaign=replace(rehearsed.campaign, cells=cells))])
    found = drawing("roofline", shown)
    rows = values_of(found.chart.to_dict())
    points = {row["label"]: row for row in rows if "kind" in row}
    assert set(points) == names
    for one in shown:
        if one.label in names:
            assert points[one.label]["intensity"] == one.value("intensity").value
            assert points[one.label]["flops"] == one.value("flops.achieved").value
    assert {row["roof"] for row in rows if "roof" in row} == {
        f"{sheet.name}, fp32: 1 TFLOP/s, 3 Tbyte/s"
    }
    assert max(row["flops"] for row in rows if "roof" in row) == 1e12
    assert "offline-batch_size=1, generate (the platform sheet" in found.caption


@pytest.mark.parametrize(
    ("values", "ends"),
    [([100.0, 130.0], (0.0, 136.5)), ([1.0, 1000.0], (0.625, 1600.0)), ([-2.0, 4.0], (0.0, 4.2))],
)
def test_an_axis_starts_at_zero_unless_values_span_decades(values, ends):
    """Only a wide span is drawn on a logarithm."""
    assert span_of(values) == pytest.approx(ends)


@pytest.mark.parametrize(("low", "high"), [(80e-6, 700e-6), (1e3, 1e9), (1e-12, 1e15), (3, 61)])
def test_a_logarithmic_axis_has_a_few_ticks_inside(low, high):
    """Two or more, so that a reader sees the scale, and not too many."""
    found = ticks(low, high)
    assert 2 <= len(found) <= 12
    assert low <= min(found)
    assert max(found) <= high
    assert all(math.isclose(tick, float(f"{tick:.0e}")) for tick in found)


def test_a_figure_in_a_page_has_the_pages_ink_and_ids_of_its_own():
    """Several figures share one document, light or dark."""
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="9"><rect width="9" height="9" '
        'fill="white"/><clipPath id="clip0"></clipPath><g clip-path="url(#clip0)">'
        '<text fill="#1b1f24">&lt;b></text></g></svg>'
    )
    text = inlined(svg, "figure-a", "A title")
    assert text.startswith('<svg role="img" aria-label="A title" width="9">')
    assert re.findall(r"figure-a-clip0", text) == ["figure-a-clip0"] * 2
    assert 'fill="currentColor"' in text
    assert "white" not in text
    assert "http" not in text
    assert "&lt;b>" in text


@pytest.fixture
def long_trial(make_long):
    """A cell that was watched for two minutes, as the figure takes it."""
    told = {
        "throughput.drift": Measurement(-3.0, "%/h", 240),
        "memory.growth": Measurement(1e4, "byte/s", 120),
    }
    cell = SimpleNamespace(measurements=told, status="valid")
    return SimpleNamespace(
        label="long",
        title="long (measured)",
        cell=cell,
        value=told.get,
        checklist=SimpleNamespace(rules=()),
        observed=lambda: iter([("trial 1", make_long)]),
    )


@pytest.fixture
def make_long():
    """Two requests of eight tokens a second; memory and use of keys and values once a second."""
    second = 10**9
    requests = [
        {"id": str(k), "due_ns": k * second // 2, "sent_ns": k * second // 2,
         "done_ns": k * second // 2 + 1000, "output_tokens": 8, "status": "ok"}
        for k in range(240)
    ]  # fmt: skip
    counters = [
        {"name": name, "at_ns": k * second, "value": value, "unit": unit, "scope": scope}
        for k in range(-5, 120)
        for name, value, unit, scope in (
            ("memory.resident", 2e8 + k * 1e4, "byte", "engine"),
            ("memory.resident", 7.0, "byte", "generator"),
            ("kv.usage", 0.1 + 0.4 * (k == 60), "1", "engine 0"),
        )
    ]
    head = TraceHead("accelbench.trace/1", "wall", "measured", (0, 120 * second))
    tables = {"requests": requests, "counters": counters}
    return Observation(Trace(head, {name: table_of(name, rows) for name, rows in tables.items()}))


def test_a_long_trial_is_drawn_over_time(long_trial):
    """Its throughput in parts, and beneath it memory and keys and values on the same axis."""
    chart = drawing("over_time", [long_trial]).chart.to_dict()
    rates, memory, usage = (
        [row for row in values_of(panel) if "seconds" in row] for panel in chart["vconcat"]
    )
    assert {row["value"] for row in rates} == {16.0}
    assert (memory[0], len(memory)) == ({"seconds": 0.0, "value": 200.0}, 120)
    assert [row["seconds"] for row in usage if row["value"] == 0.5] == [60.0]
    spans = {str(panel["layer"][0]["encoding"]["x"]["scale"]) for panel in chart["vconcat"]}
    assert len(spans) == 1
    assert "growth 10 kbyte/s" in str(chart)


def test_a_long_trial_that_a_rule_rejects_is_not_drawn_over_time(long_trial):
    """The rule stands in its place."""
    rule = BrokenRule("RULE-23", "reject", "an FPGA result without its clock; §3.6.4")
    long_trial.checklist.rules = (rule,)
    found = drawing("over_time", [long_trial])
    assert found.chart is None
    assert "long (RULE-23: an FPGA result without its clock" in found.lacks


def test_a_cell_that_was_not_watched_for_long_is_not_drawn_over_time(cells):
    """What is missing is said in its place."""
    assert "60 s or longer" in drawing("over_time", cells).lacks
