"""The templates of the console: Jinja, which escapes everything that a template writes."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from roadworthy.console import formats

__all__ = ["template"]


def template(name: str) -> Template:
    """Return a template of the folder `templates`, read once."""
    return _environment().get_template(name)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("roadworthy.console", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(formats.FILTERS)
    return made
