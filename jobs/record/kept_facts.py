"""What a run's spec names, as its last driver found it: read back without opening any of it.

Whoever looks at a run so needs neither its image sets nor its generators, and imports no code that
the spec of a run from elsewhere may name.
"""

from pydantic import TypeAdapter, ValidationError

from ...workers.command_lines import resuming
from ...workers.json_file import MOST_BYTES, JsonError, parse_json
from ..spec.audit import MODEL_ROLES, AuditSpec
from ..spec.facts import Facts
from ..spec.loading import SpecError
from .run_directory import RunDirectory

FACTS_FILE = "facts.json"

_FACTS = TypeAdapter(Facts)

# The classes of ten million images are as many whole numbers; whatever else there is, is little.
_MOST_NUMBERS = 2**24
_MOST_OTHERS = 2**19


def keep_facts(run: RunDirectory, facts: Facts) -> None:
    """Writes them into the run directory, in place of those of an earlier driver."""
    run.storage.write(FACTS_FILE, _FACTS.dump_json(facts))


def kept_facts(run: RunDirectory, spec: AuditSpec) -> Facts:
    """The facts of a run whose spec is ``spec``.

    Raises:
        SpecError: there are none, or they are not of this spec.
        StorageError: they cannot be read, or are far too large.
    """
    place = run.storage.locate(FACTS_FILE)
    remedy = f"`{resuming(run.location)}` writes it again"
    if not run.storage.exists(FACTS_FILE):
        raise SpecError(f"{place}: does not exist; {remedy}")
    try:
        content = run.storage.read(FACTS_FILE, MOST_BYTES)
        _refuse_excess(content)
        parse_json(content, most_values=_MOST_NUMBERS)
        facts = _FACTS.validate_json(content, strict=True)
    except JsonError as error:
        raise SpecError(f"{place}: is damaged: {error}; {remedy}") from error
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        key = ".".join(str(step) for step in first["loc"])
        raise SpecError(f"{place}: {key}: {first['msg']}; {remedy}") from error
    generators = {generator.name for generator in spec.each_generator}
    groups = {group.name for group in spec.groups if group.role not in MODEL_ROLES}
    found = (set(facts.generators), set(facts.groups), set(facts.references))
    if found != (generators, groups, set(spec.stages.references)):
        raise SpecError(f"{place}: belongs to another spec; {remedy}")
    return facts


def _refuse_excess(content: bytes) -> None:
    """Whole numbers take little memory beside their text, unlike all other values.

    Raises:
        JsonError: there are too many of those.
    """
    others = content.count(b'"') // 2 + sum(content.count(sign) for sign in (b".", b"e", b"E"))
    if others > _MOST_OTHERS:
        raise JsonError(f"it holds more than {_MOST_OTHERS:,} texts and fractions")
