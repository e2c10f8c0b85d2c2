"""The pages' templates; ``macros.html`` and ``style.css`` are what every page shares."""

from pathlib import Path

import jinja2


def page_template(name: str) -> jinja2.Template:
    """The template of that file name, escaping what it is given and refusing what it is not."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
