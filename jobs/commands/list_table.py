"""What comes with the package: generators, families, datasets, stages, presets."""

from itertools import takewhile

from rich.table import Table

from ..spec.inheritance import EXTENDS
from ..spec.loading import SpecError, preset_names, preset_text

_EXTENDS = "a spec's file, or a preset, that this one is based on"


def listing_table(what: str) -> Table:
    """A table of names and one-line descriptions."""
    table = Table("name", "description", box=None, header_style="bold")
    for name, description in _entries(what):
        table.add_row(name, description)
    return table


def preset(name: str) -> str:
    """A preset's YAML text.

    Raises:
        SpecError: for a name that is no preset.
    """
    if name not in preset_names():
        raise SpecError(f"{name}: unknown preset; known presets: {', '.join(preset_names())}")
    return preset_text(name)


def schema() -> str:
    """The JSON schema of a spec's file; one that extends another need not have all keys."""
    import json

    from ..audits.specs import Spec

    found = Spec.model_json_schema()
    needed = found.pop("required")
    extends = {"type": "string", "minLength": 1, "description": _EXTENDS}
    found["properties"] = {EXTENDS: extends, **found["properties"]}
    found["anyOf"] = [{"required": [EXTENDS]}, {"required": needed}]
    return json.dumps(found, indent=2)


def _entries(what: str) -> list[tuple[str, str]]:
    if what == "presets":
        return [(name, _first_sentence(preset_text(name))) for name in preset_names()]
    if what == "stages":
        from ..audits import STAGES

        return [(stage.name, stage.description) for stage in STAGES]
    if what == "metrics":
        from ..audits import METRICS

        return [(name, f"{metric.meaning} ({metric.unit})") for name, metric in METRICS.items()]
    if what == "datasets":
        from ...workers.datasets.opening import list_datasets

        return list(list_datasets().items())
    if what == "families":
        from ...core.generators.families.registry import family_names, find_family

        return [(name, find_family(name).description) for name in family_names()]
    from ...workers.generators import list_generators

    return list(list_generators().items())


def _first_sentence(text: str) -> str:
    """The first sentence of the comment that a preset opens with."""
    comment = takewhile(lambda line: line.startswith("#"), text.splitlines())
    return " ".join(line.lstrip("# ") for line in comment).partition(". ")[0] + "."
