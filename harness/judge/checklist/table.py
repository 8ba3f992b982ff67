"""Tables of the package, read strictly."""

import csv
from collections.abc import Mapping, Sequence
from importlib.resources import files


def rows(name: str, columns: Sequence[str]) -> Sequence[Mapping[str, str]]:
    """The rows of a table that lies beside this module.

    Args:
        name: Its file name.
        columns: The columns it must have, in order.

    Raises:
        ValueError: Another column, or a row with too few or too many cells.
    """
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    lines = csv.reader(text.splitlines(), strict=True)
    if (head := next(lines)) != list(columns):
        raise ValueError(f"{name}: columns are {head}, expected {list(columns)}")
    found = []
    for cells in lines:
        if len(cells) != len(columns):
            raise ValueError(f"{name}, line {lines.line_num}: {len(cells)} cells")
        found.append(dict(zip(columns, cells, strict=True)))
    return found
