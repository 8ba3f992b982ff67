"""Energy of one inference or one generated token, by how it was obtained."""

from collections.abc import Sequence
from typing import Any

from accelbench.reports.drawing import (
    ENERGY,
    ENERGY_NAMES,
    Drawing,
    class_styles,
    intervals_panel,
    point_of,
    stacked,
)
from accelbench.reports.gates import ranking
from accelbench.reports.headline import generates
from accelbench.reports.shown import Shown, not_drawn, valid
from accelbench.reports.wording import intervals_told

_PANELS = {
    "energy.per_inference": "energy per inference",
    "energy.per_output_token": "energy per generated token",
}


def draw(shown: Sequence[Shown]) -> Drawing:
    """Energy figures with the way they are known by shape."""
    known = [one for one in valid(shown) if (value := one.value(_metric(one))) and value.energy]
    ranked = ranking(known, _PANELS, _metric)
    said, drawn = f"{ranked.said} {not_drawn(shown)}", ranked.cells
    if not drawn:
        return Drawing("", lacks=f"no cell has an energy that may be shown. {said}")
    found = [measured for one in drawn if (measured := one.value(_metric(one)))]
    kinds = dict.fromkeys(item.energy.quality for item in found if item.energy)
    styles = class_styles(ENERGY, {kind: ENERGY_NAMES[kind] for kind in kinds})
    panels = [
        intervals_panel([_row(one, metric) for one in group], title, styles, unit="J")
        for metric, title in _PANELS.items()
        for group in ranked.groups[metric]
    ]
    caption = (
        "Mean over trials with the interval over trials. Shape and colour tell how the energy is "
        f"known. {intervals_told(found)} {said}"
    )
    return Drawing(caption, stacked(panels))


def _metric(one: Shown) -> str:
    return "energy.per_output_token" if generates(one.cell) else "energy.per_inference"


def _row(one: Shown, metric: str) -> dict[str, Any]:
    found = one.value(metric)
    assert found is not None
    assert found.energy is not None
    return {"label": one.label, "kind": ENERGY_NAMES[found.energy.quality], **point_of(found)}
