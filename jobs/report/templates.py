"""The pages' templates; ``page.html``, ``style.css`` and ``page.js`` are what every page shares."""

import base64
import hashlib
from pathlib import Path

import jinja2
from markupsafe import Markup

from .table_files import csv_uri
from .verdict import SIDES
from .words import TERMS

_FOLDER = Path(__file__).parent


def page_template(name: str) -> jinja2.Template:
    """The template of that file name, escaping what it is given and refusing what it is not."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Read as bytes: the page's policy allows the script of this hash alone.
    script = (_FOLDER / "page.js").read_bytes()
    digest = base64.b64encode(hashlib.sha256(script).digest()).decode()
    environment.globals |= {
        "script": Markup(script.decode()),
        "script_source": f"sha256-{digest}",
        "csv_uri": csv_uri,
        "terms": TERMS,
        "sides": SIDES,
    }
    return environment.get_template(name)
