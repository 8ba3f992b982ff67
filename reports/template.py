"""The templates of pages, filled in."""

from collections.abc import Callable, Mapping
from typing import Any


def filled(
    name: str, filters: Mapping[str, Callable[..., Any]] | None = None, **values: object
) -> str:
    """A page out of its template; a value that the template lacks is an error.

    Args:
        name: Of the template.
        filters: Further filters, by name.
        values: What the template shows, by name; texts are escaped.
    """
    import jinja2  # noqa: PLC0415  (an extra)

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("accelbench.reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters or {})
    return environment.get_template(name).render(**values)
