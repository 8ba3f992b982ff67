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
from accelbench.reports.headline import generates
from accelbench.reports.shown import Shown, not_drawn, valid
from accelbench.reports.wording import intervals_told

_PANELS = {
    "energy.per_inference": "energy per inference",
    "energy.per_output_token": "energy per generated token",
}


def draw(shown: Sequence[Shown]) -> Drawing:
    """Energy figures with the way they are known by shape."""
    drawn = [one for one in valid(shown) if (known := one.value(_metric(one))) and known.energy]
    if not drawn:
        return Drawing("", lacks=f"no valid cell has an energy. {not_drawn(shown)}")
    found = [measured for one in drawn if (measured := one.value(_metric(one)))]
    kinds = dict.fromkeys(item.energy.quality for item in found if item.energy)
    styles = class_styles(ENERGY, {kind: ENERGY_NAMES[kind] for kind in kinds})
    panels = [
        intervals_panel(rows, title, styles, unit="J")
        for metric, title in _PANELS.items()
        if (rows := [_row(one, metric) for one in drawn if _metric(one) == metric])
    ]
    caption = (
        "Mean over trials with the interval over trials. Shape and colour tell how the energy is "
        "known: figures of different shape have different boundaries and must not be ranked "
        f"against each other. {intervals_told(found)} {not_drawn(shown)}"
    )
    return Drawing(caption, stacked(panels))


def _metric(one: Shown) -> str:
    return "energy.per_output_token" if generates(one.cell) else "energy.per_inference"


def _row(one: Shown, metric: str) -> dict[str, Any]:
    found = one.value(metric)
    assert found is not None
    assert found.energy is not None
    return {"label": one.label, "kind": ENERGY_NAMES[found.energy.quality], **point_of(found)}
