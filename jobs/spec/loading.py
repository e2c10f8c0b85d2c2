"""Reading a spec: from a file or a shipped preset, with ``KEY=VALUE`` overrides, into a model."""

import difflib
import os
import reprlib
from collections.abc import Iterator
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from ...cluster import locations
from ...cluster.regular_file import read_regular
from ...cluster.s3_settings import BY_ENVIRONMENT, S3Settings
from ...cluster.storage import StrangeFileError
from ...workers.shard import content_id
from .audit import AuditSpec
from .environment import FromVariable, VariableError, substituted
from .inheritance import EXTENDS, InheritanceError, Written, inherited
from .model import entry_name, is_by_name, models_in
from .paths import with_paths
from .plain_yaml import YamlError, dump_yaml, parse_yaml
from .stored import JOB_SPEC, PROVENANCE_FILE, SPEC_FILE

Spec = TypeVar("Spec", bound=AuditSpec)

# A thousand groups fit; a text that keeps the parser busy for minutes does not.
_MOST_BYTES = 2**20
# Aliases let a few lines stand for billions of values: an error shows none of their inside.
_BRIEF = reprlib.Repr()
_BRIEF.maxlevel = 2
_BRIEF.maxstring = _BRIEF.maxother = 80


class SpecError(ValueError):
    """The spec, or something it names, cannot be used; the message names the key and the remedy."""


def preset_names() -> list[str]:
    """The shipped audit specs."""
    folder = resources.files("offmanifold.jobs.spec") / "presets"
    files = [entry.name for entry in folder.iterdir() if entry.name.endswith(".yaml")]
    names = [name.removesuffix(".yaml") for name in files]
    return sorted(name for name in names if not name.startswith("train-"))


def preset_text(name: str) -> str:
    """The YAML text of a shipped preset, comments and all, ready to be copied."""
    return (resources.files("offmanifold.jobs.spec") / "presets" / f"{name}.yaml").read_text()


def load_spec(model: type[Spec], source: str, overrides: tuple[str, ...] = ()) -> Spec:
    """Reads and validates the spec at a path, or the preset of that name, as a ``model``.

    Relative paths in a file are taken from the file's folder (of one in a bucket, from the working
    directory). ``overrides`` are ``KEY=VALUE`` with
    dotted keys; an element of a list is addressed by its name (``groups.train.count=8``).

    Raises:
        SpecError: naming the file, the key, what was expected and what to do.
    """
    content, base = read_spec(model, source)
    return build_spec(model, content, base, overrides, source)


def read_spec(model: type[Spec], source: str) -> tuple[dict[str, Any], Path]:
    """What the spec at a path, or of a preset, says, and where its relative paths count from.

    With what it extends, and with the environment's variables in the place of their names; of a
    run's own spec, or a job's, which has neither, every key as it is written.

    Raises:
        SpecError: nothing is there, or it cannot be read, as :func:`inherited_spec` has it too.
    """
    content, base, _ = _written(source)
    return inherited_spec(model, content, base, source), base


def inherited_spec(
    model: type[Spec], content: dict[str, Any], base: Path, source: str
) -> dict[str, Any]:
    """The keys of a spec over those of the specs that it ``extends``, if any.

    Raises:
        SpecError: one of these cannot be read or merged, or names a variable that is not set.
    """
    known = str(Path(source).resolve()) if Path(source).is_file() else source
    try:
        return inherited(model, (content, base, known), _extended, locations.absolute)
    except (InheritanceError, locations.LocationError) as error:
        raise SpecError(str(error)) from error


def _extended(name: str, base: Path, by: str) -> Written:
    """What the spec called ``by``, in the folder ``base``, names."""
    try:
        place = name if locations.is_remote(name) else str(base / locations.at_home(name))
    except locations.LocationError as error:
        raise SpecError(f"{by}: {EXTENDS}: {error}") from error
    if not locations.is_remote(name) and not Path(place).is_file():
        if name in preset_names():
            place = name
        else:
            raise SpecError(f"{by}: {EXTENDS}: {_nothing_at(place, name)}")
    return _written(place)


def _written(source: str) -> Written:
    path = Path(source)
    if locations.is_remote(source):
        text, base, known = _read_remote(source, BY_ENVIRONMENT), Path.cwd(), source
    elif path.exists() and not path.is_dir():
        text, base, known = read_spec_text(path, source), path.resolve().parent, str(path.resolve())
    elif source in preset_names():
        text, base, known = preset_text(source), Path.cwd(), source
    else:
        raise SpecError(_nothing_at(source, source))
    content = _mapping(text, source)
    if _is_resolved(known):
        if EXTENDS in content:
            raise SpecError(
                f"{source}: {EXTENDS}: a spec that a run wrote has all its keys; remove this one, "
                "or take the spec that the run was started with"
            )
        return content, base, known
    try:
        return substituted(content, os.environ), base, known
    except VariableError as error:
        raise SpecError(f"{source}: {error}") from error


def _nothing_at(place: str, name: str) -> str:
    """Why no spec is found at a place, or by a preset's name, and what may be meant."""
    if Path(place).is_dir():
        inside = Path(place, SPEC_FILE)
        such = f", such as {inside}" if inside.is_file() else ""
        return f"{place}: is a folder; expected a YAML file{such}"
    known = preset_names()
    close = difflib.get_close_matches(name, known, n=1)
    meant = f"; did you mean {close[0]!r}?" if close else ""
    return f"{place}: no such file or preset (presets: {', '.join(known)}){meant}"


def _is_resolved(known: str) -> bool:
    """Whether a file is a run's or a job's spec.

    Its author may be a stranger, whose run must not get the reader's variables.
    """
    folder, _, name = known.rpartition("/")
    if name != SPEC_FILE:
        return name == JOB_SPEC
    if locations.is_remote(known):
        try:
            return locations.open_storage(folder, BY_ENVIRONMENT).exists(PROVENANCE_FILE)
        except (locations.LocationError, ValueError) as error:
            raise SpecError(f"{known}: cannot be read: {error}") from error
    return Path(folder, PROVENANCE_FILE).exists()


def read_file(source: str, service: S3Settings) -> str:
    """The text of a file that a spec names, here or in a bucket.

    Raises:
        SpecError: a file that cannot be read, is not UTF-8 or is far too large.
    """
    if locations.is_remote(source):
        return _read_remote(source, service)
    return read_spec_text(Path(source), source)


def _read_remote(source: str, service: S3Settings) -> str:
    folder, _, name = source.rpartition("/")
    try:
        content = locations.open_storage(folder, service).read(name, _MOST_BYTES)
    except StrangeFileError as error:
        raise SpecError(str(error)) from error
    except (locations.LocationError, ValueError) as error:
        raise SpecError(f"{source}: cannot be read: {error}") from error
    return spec_text(content, source)


def parse_spec(
    model: type[Spec], text: str, base: Path, overrides: tuple[str, ...], source: str
) -> Spec:
    """The spec in ``text``; ``base`` resolves relative paths; ``source`` names it in errors."""
    return build_spec(model, _mapping(text, source), base, overrides, source)


def _mapping(text: str, source: str) -> dict[str, Any]:
    content = read_yaml(text, source)
    if content is None:
        raise SpecError(
            f"{source}: is empty; expected a spec's keys: `offmanifold init` writes one to begin "
            "with"
        )
    if not isinstance(content, dict):
        raise SpecError(f"{source}: expected a mapping of keys, found {type(content).__name__}")
    return content


def build_spec(
    model: type[Spec],
    content: dict[str, Any],
    base: Path,
    overrides: tuple[str, ...],
    source: str,
) -> Spec:
    """The spec of plain values, which the overrides change in place; otherwise as `parse_spec`.

    Raises:
        SpecError: naming the key, what was expected and what to do.
    """
    for override in overrides:
        apply_override(content, override)
    try:
        spec = _validated(model, content)
    except ValidationError as error:
        raise SpecError(f"{source}: {_explain(error, model, content)}") from error
    try:
        return with_paths(spec, lambda path: locations.absolute(path, base))
    except locations.LocationError as error:
        raise SpecError(f"{source}: {error}") from error


def _validated(model: type[Spec], content: dict[str, Any]) -> Spec:
    """A spec of plain values; a variable's number stays text where text is wanted."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        kept = [
            each["loc"]
            for each in error.errors()
            if each["type"] == "string_type" and isinstance(each["input"], FromVariable)
        ]
        if not kept:
            raise
    for location in kept:
        _keep_text(content, location)
    return model.model_validate(content)


def _keep_text(content: Any, location: tuple[int | str, ...]) -> None:
    """Puts a variable's own text in place of the number that was made of it.

    A location has steps that the content has not, such as the names of types.
    """
    node = content
    holder: Any = None
    key: int | str | None = None
    for step in location:
        if isinstance(node, list):
            is_there = isinstance(step, int) and step < len(node)
        else:
            is_there = isinstance(node, dict) and step in node
        if is_there:
            holder, key = node, step
            node = holder[key]
    if holder is not None and isinstance(node, FromVariable):
        holder[key] = node.text


def read_spec_text(path: Path, source: str) -> str:
    """The text of a spec's file, which ``source`` names in errors.

    Raises:
        SpecError: a file that cannot be read, is not UTF-8 or is far too large.
    """
    try:
        content = read_regular(path, _MOST_BYTES)
    except OSError as error:
        raise SpecError(f"{source}: cannot be read: {error.strerror}") from error
    return spec_text(content, source)


def spec_text(content: bytes, source: str) -> str:
    """The text of a spec's bytes.

    Raises:
        SpecError: not UTF-8, or far too large.
    """
    if len(content) > _MOST_BYTES:
        raise SpecError(f"{source}: is larger than the {_MOST_BYTES:,} bytes allowed for a spec")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SpecError(f"{source}: cannot be read: {error}") from error


def read_yaml(text: str, source: str) -> Any:
    """Plain values out of YAML: no tag makes an object, or runs anything.

    Raises:
        SpecError: not YAML, or as `parse_yaml` refuses it.
    """
    try:
        return parse_yaml(text)
    except YamlError as error:
        raise SpecError(f"{source}: {error}") from error


def dump_spec(spec: AuditSpec) -> str:
    """The resolved spec as YAML, every default written out."""
    return dump_yaml(spec.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def spec_digest(spec: AuditSpec) -> str:
    """A hash of what a spec asks for; where it runs is no part of it, nor how it was made."""
    return content_id(spec.model_dump(mode="json", exclude={"cluster", "quick"}))


def apply_override(content: dict[str, Any], override: str) -> None:
    """Sets one dotted ``KEY=VALUE`` in a spec's mapping, in place; the value is read as YAML.

    Raises:
        SpecError: for text without ``=``, a bad value, or a key that leads nowhere.
    """
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise SpecError(f"--set {override}: expected KEY=VALUE, such as cluster.executor=serial")
    value = read_yaml(text, f"--set {override}")
    node: Any = content
    last = key
    while (step := _step(node, last)) != last:
        node, last = _descend(node, step, override), last[len(step) + 1 :]
    if not isinstance(node, dict):
        above = key.removesuffix(last).rstrip(".")
        raise SpecError(f"--set {override}: {above} is not a mapping")
    node[_own_key(node, last)] = value


def _step(node: Any, rest: str) -> str:
    """The first step of a key below a node: the longest name there that it starts with.

    Names may hold dots themselves. Without such a name it is what comes before the first dot.
    """
    names: list[Any] = []
    if isinstance(node, list):
        names = [entry_name(each) for each in node]
    elif isinstance(node, dict):
        names = list(node)
    found = [str(name) for name in names if name is not None]
    meant = [name for name in found if rest == name or rest.startswith(f"{name}.")]
    return max(meant, key=len, default=rest.partition(".")[0])


def _descend(node: Any, step: str, override: str) -> Any:
    if isinstance(node, list):
        for element in node:
            if isinstance(element, dict) and str(entry_name(element)) == step:
                return element
        names = [str(name) for each in node if (name := entry_name(each)) is not None]
        raise SpecError(f"--set {override}: no entry is named {step!r} (names: {names})")
    if isinstance(node, dict):
        key = _own_key(node, step)
        if node.get(key) is None:
            node[key] = {}
        return node[key]
    raise SpecError(
        f"--set {override}: {step!r} does not exist: the key before it holds a plain value"
    )


def _own_key(node: dict[Any, Any], step: str) -> Any:
    """The key of a mapping that a step of an override names: YAML has numbers among keys."""
    return next((key for key in node if str(key) == step), step)


def _explain(error: ValidationError, model: type[BaseModel], content: dict[str, Any]) -> str:
    details = error.errors()
    inside = {detail["loc"][:depth] for detail in details for depth in range(len(detail["loc"]))}
    # Entries with mistakes are not counted: a list is then too short for no reason of its own.
    own = [d for d in details if d["type"] != "too_short" or d["loc"] not in inside]
    return "; ".join(_explain_one(each, model, content) for each in own)


def _explain_one(detail: Any, model: type[BaseModel], content: dict[str, Any]) -> str:
    location = ".".join(_by_name(_without_tags(detail["loc"], model), content))
    if detail["type"] == "extra_forbidden":
        fields = _models_at(detail["loc"][:-1], model)[0].model_fields
        known = sorted(field.alias or name for name, field in fields.items())
        close = difflib.get_close_matches(str(detail["loc"][-1]), known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(known)}"
        return f"{location}: unknown key; {hint}"
    if detail["type"] == "missing":
        return f"{location}: missing; add this key"
    if detail["type"] == "union_tag_invalid":
        context = detail["ctx"]
        return f"{location}.estimator: {context['tag']!r} is not one of {context['expected_tags']}"
    # What YAML calls a list is a tuple in a model.
    message = detail["msg"].removeprefix("Value error, ").replace("a valid tuple", "a list")
    if detail["type"] == "value_error":
        return f"{location}: {message}" if location else message
    found = _BRIEF.repr(detail["input"])
    if detail["type"] == "string_type" and isinstance(detail["input"], bool | int | float | date):
        found += "; quote it to have it as text"
    return f"{location}: {message[0].lower()}{message[1:]}, found {found}"


def _by_name(location: list[int | str], content: Any) -> Iterator[str]:
    """The steps of a location as ``--set`` has them: an entry of a list by its name."""
    for step in location:
        known = None
        if isinstance(content, list) and isinstance(step, int) and step < len(content):
            content = content[step]
            known = entry_name(content)
        else:
            content = content.get(step) if isinstance(content, dict) else None
        yield str(step if known is None else known)


def _without_tags(location: tuple[int | str, ...], model: type[BaseModel]) -> list[int | str]:
    """A location as the spec has it: pydantic adds the name of the estimator that was chosen."""
    return [
        step
        for index, step in enumerate(location)
        if not (index and len(_models_at(location[:index], model)) > 1)
    ]


def _models_at(location: tuple[int | str, ...], model: type[BaseModel]) -> list[type[BaseModel]]:
    """The model at a location in the spec; several where an estimator is yet to be chosen."""
    models, is_key = [model], False
    for step in location:
        if isinstance(step, int) or is_key:
            is_key = False
            continue
        if len(models) > 1:
            models = [m for m in models if step in get_args(m.model_fields["estimator"].annotation)]
        else:
            field = models[0].model_fields.get(step)
            models = [] if field is None else models_in(field.annotation)
            is_key = bool(models) and field is not None and is_by_name(field.annotation)
        if not models:
            break
    return models
