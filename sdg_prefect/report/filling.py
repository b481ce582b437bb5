"""Filling the templates of pages: whatever is put in is text, unless it is markup of our own."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sdg_prefect.report.inert import in_page
from sdg_prefect.report.wording import as_text, brief, change, number, share, shown, words

if TYPE_CHECKING:
    from jinja2 import Environment

COMMAND = "python -m sdg_prefect"


def render(template: str, **values: Any) -> str:
    """Fill a template of this package. What is put in is escaped, unless it is markup of our own."""
    return in_page(_environment().get_template(template).render(**values))


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("sdg_prefect.report", "templates")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    known = (number, share, shown, brief, words, as_text, change)
    made.filters |= {function.__name__: function for function in known}
    return made
