"""`accelbench draw FIGURE --out FILE`: figures of the survey from operator graphs; nothing is run."""

import argparse
from pathlib import Path

from accelbench.cli.document import document_text, print_document
from accelbench.harness.bundle.storage import write_file
from accelbench.harness.errors import ConfigError
from accelbench.reports.drawing import demand_extra
from accelbench.reports.picture import ENDINGS, write_picture


def command(args: argparse.Namespace) -> int:
    """Writes the figure in the format that the file's ending names; prints its path last.

    Raises:
        ConfigError: The ending, a workload, a phase, a size, a precision or a sheet is wrong.
        MissingPart: The extra `report`, or what a workload needs, is not installed.
    """
    out = Path(args.out)
    ending = out.suffix.removeprefix(".")
    if ending not in (*ENDINGS, "json"):
        raise ConfigError(
            f"no figure is written as {out.suffix or 'a file without an ending'}",
            where=f"--out {out}",
            remedy=f"end it in one of {', '.join(f'.{name}' for name in (*ENDINGS, 'json'))}",
        )
    if ending != "json":
        demand_extra("a figure")
    if args.figure == "roofline":
        from accelbench.cli.draw_roofline import roofline as figure_of  # noqa: PLC0415  (Hydra)
    else:
        from accelbench.cli.draw_operators import operators as figure_of  # noqa: PLC0415  (Hydra)
    figure = figure_of(args)
    if ending == "json":
        write_file(out, document_text(args.figure, figure.document).encode())
    else:
        write_picture(figure.draw(), figure.title, out)
    if args.json:
        print_document(args.figure, {"file": str(out), **figure.document})
    else:
        print("\n".join((*figure.lines, str(out))))
    return 0
