"""Opening a generator: ours from safetensors, a published checkpoint, or a user's own function."""

import difflib
import hashlib
import logging
from collections.abc import Mapping
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, deserialize

from ..cluster.locations import LocationError
from ..cluster.regular_file import read_regular
from ..cluster.s3_settings import BY_ENVIRONMENT, S3Settings
from ..core.generators.architectures import ArchitectureError, build, require_architecture
from .checkpoints.config_beside import CONFIG_NAMES
from .class_sets import describe_set, naming_member, open_set
from .file_generators import open_published, open_user_network
from .generator_errors import GeneratorError as GeneratorError
from .generator_source import SHIPPED_PREFIX, ClassMember
from .generator_source import GeneratorSource as GeneratorSource
from .inputs import copied_file, copied_folder, naming_original
from .json_file import MOST_SETTINGS_BYTES, parse_json
from .meant_function import meant_function
from .opened_generator import GeneratorDescription as GeneratorDescription
from .opened_generator import OpenedGenerator as OpenedGenerator
from .resources import ChangedInputError, Resources
from .row_memory import limited

if TYPE_CHECKING:
    from ..core.compilation import Compilation
    from ..core.generators.protocol import Generator

WEIGHTS_NAME = "model.safetensors"
CONFIG_NAME = "config.json"

logger = logging.getLogger(__name__)

_SHIPPED = Path(__file__).parent / "weights"
# Sizes in a config that are beyond it are a mistake, or meant to fill the memory.
_LARGEST_ARGUMENT = 65_536


def open_generator(
    source: GeneratorSource | str, service: S3Settings = BY_ENVIRONMENT
) -> OpenedGenerator:
    """Opens a generator; a plain ``str`` is a `GeneratorSource` with nothing else said.

    What lies in a bucket of the ``service`` is copied to this machine once.

    Raises:
        GeneratorError: what was found, what was expected and what to do.
        StorageError: the bucket cannot be read.
    """
    wanted = _source(source)
    if wanted.members:
        return _open_members(wanted, service)
    if wanted.is_remote:
        copy = _copied(wanted, service)
        with naming_original(wanted.source, copy, GeneratorError):
            opened = open_generator(replace(wanted, source=str(copy), import_path=None))
        return replace(opened, description=replace(opened.description, source=wanted.source))
    if wanted.family is not None:
        return open_published(wanted, _path(wanted))
    if wanted.network is not None:
        return open_user_network(wanted.source, _path(wanted), wanted.network)
    if wanted.is_given:
        from .given_generators import open_given

        return open_given(wanted.source)
    if wanted.is_function:
        from .own_generator import open_function

        generator, sha256 = open_function(wanted.source, wanted.import_path)
        return OpenedGenerator.of_user(wanted.source, generator, sha256)
    folder = _folder(wanted)
    description = _describe_folder(wanted.source, folder)
    return OpenedGenerator(_load(folder), description.sha256, description)


def shard_generator(settings: Mapping[str, Any], resources: Resources) -> "Generator":
    """The generator that a shard's settings name, on the worker's device; opened once.

    It is given as many rows at once as the worker's memory has room for (`row_memory`).

    Raises:
        ChangedInputError: what lies there has other weights than the run was planned with.
        GeneratorError: as `open_generator`.
    """
    source, planned = GeneratorSource.of(settings), settings["weights"]

    def opened() -> "Generator":
        found = open_generator(source, resources.service)
        if found.sha256 != planned:
            what = f"SHA-256 of generator {source.source}"
            raise ChangedInputError.of(what, found.sha256, planned)
        on_device = found.generator.to(resources.device)
        compilation = _compilation(source.source) if resources.compiles else None
        return limited(on_device, resources.device, resources.pace.evaluating, compilation)

    return resources.kept("generator", (source, planned), opened)


def describe_generator(
    source: GeneratorSource | str, service: S3Settings = BY_ENVIRONMENT
) -> GeneratorDescription:
    """Checks that a generator can be opened and says what it is, from its config alone.

    Torch is imported, and the generator built, only for ``module:function``, a network in a file
    and a published checkpoint: nothing else can say what they are. Arguments as for
    `open_generator`.

    Raises:
        GeneratorError: what was found, what was expected and what to do.
        StorageError: the bucket cannot be read.
    """
    wanted = _source(source)
    if wanted.members:
        return describe_set(wanted, [_described(each, service) for each in wanted.members])
    if wanted.is_function:
        from .own_generator import require_the_same_again

        found = open_generator(wanted, service).description
        require_the_same_again(wanted.source, wanted.import_path, found.sha256)
        return found
    if not wanted.is_folder:
        return open_generator(wanted, service).description
    if wanted.is_remote:
        copy = _copied(wanted, service)
        with naming_original(wanted.source, copy, GeneratorError):
            return replace(describe_generator(str(copy)), source=wanted.source)
    return _describe_folder(wanted.source, _folder(wanted))


def _open_members(wanted: GeneratorSource, service: S3Settings) -> OpenedGenerator:
    opened = []
    for member in wanted.members:
        with naming_member(member):
            opened.append(open_generator(member.source, service))
    description = describe_set(wanted, [each.description for each in opened])
    generator = open_set(wanted.members, [each.generator for each in opened])
    return OpenedGenerator(generator, description.sha256, description)


def _described(member: ClassMember, service: S3Settings) -> GeneratorDescription:
    with naming_member(member):
        return describe_generator(member.source, service)


def _source(source: GeneratorSource | str) -> GeneratorSource:
    return GeneratorSource(source) if isinstance(source, str) else source


def _path(source: GeneratorSource) -> Path:
    return Path(source.import_path or ".", source.source)


def _copied(source: GeneratorSource, service: S3Settings) -> Path:
    """This machine's copy of a generator's folder, or of a file."""
    try:
        if source.is_folder:
            return copied_folder(source.source, (WEIGHTS_NAME, CONFIG_NAME), service)
        # Some files need the config that is published beside them.
        return copied_file(source.source, service, CONFIG_NAMES)
    except (LocationError, FileNotFoundError) as error:
        raise GeneratorError(str(error)) from error


def _compilation(source: str) -> "Compilation":
    from ..core.compilation import Compilation

    def declined(why: str) -> None:
        logger.warning(
            "chains of generator %s are not compiled, and are the same but for rounding: %s",
            source,
            why,
        )

    return Compilation(declined)


def list_generators() -> dict[str, str]:
    """Every generator in the package with a line that says what it is."""
    return {
        f"{SHIPPED_PREFIX}{name}": _summary(f"{SHIPPED_PREFIX}{name}") for name in _shipped_names()
    }


def _summary(source: str) -> str:
    folder = _folder(GeneratorSource(source))
    description = _describe_folder(source, folder)
    config = _read_config(folder)
    dataset = config["training"]["spec"]["dataset"]["name"]
    channels, height, width = description.image_shape
    return (
        f"{config['architecture']} GAN trained on {dataset}: {channels}x{height}x{width} images, "
        f"{description.num_classes} classes, latent {description.latent_dim}, "
        f"{description.parameters:,} parameters"
    )


def _shipped_names() -> list[str]:
    return sorted(path.parent.name for path in _SHIPPED.glob(f"*/{CONFIG_NAME}"))


def _folder(wanted: GeneratorSource) -> Path:
    source = wanted.source
    if source.startswith(SHIPPED_PREFIX):
        name = source.removeprefix(SHIPPED_PREFIX)
        names = _shipped_names()
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            known = ", ".join(SHIPPED_PREFIX + known for known in names)
            hint = (
                f"did you mean '{SHIPPED_PREFIX}{close[0]}'?"
                if close
                else f"known generators: {known}"
            )
            raise GeneratorError(f"no generator '{source}' comes with the package: {hint}")
        return _SHIPPED / name
    folder = _path(wanted).expanduser()
    meant = None if folder.is_dir() else meant_function(folder)
    if meant is not None:
        raise GeneratorError(
            f"generator '{source}': there is no folder {folder} with {WEIGHTS_NAME} and "
            f"{CONFIG_NAME}; {meant}"
        )
    if folder.is_file():
        raise GeneratorError(
            f"generator '{source}': {folder} is a file. Give a published checkpoint by 'family' "
            "and 'weights' ('offmanifold inspect FILE' names its family), or turn it into a "
            "folder with 'offmanifold convert'"
        )
    if not folder.is_dir():
        raise GeneratorError(
            f"generator '{source}': there is no folder {folder}. Expected shipped:NAME, a folder "
            f"with {WEIGHTS_NAME} and {CONFIG_NAME}, or module:function"
        )
    return folder


def _describe_folder(source: str, folder: Path) -> GeneratorDescription:
    """The description by the config, once the weights file proves to be a whole safetensors."""
    config = _read_config(folder)
    arguments = config["arguments"]
    weights = _read(folder / WEIGHTS_NAME)
    channels, height, width = arguments["image_shape"]
    speed = config.get("evaluations_per_second")
    return GeneratorDescription(
        source=source,
        latent_dim=arguments["latent_dim"],
        num_classes=arguments["num_classes"],
        image_shape=(channels, height, width),
        parameters=_count_parameters(folder / WEIGHTS_NAME, weights),
        evaluations_per_second=float(speed["value"]) if speed else None,
        sha256=_hash_as_converted(folder, config, weights),
        notes=tuple(config.get("published", {}).get("notes", ())),
    )


def _hash_as_converted(folder: Path, config: dict[str, Any], weights: bytes) -> str:
    """The weights' SHA-256; where the config was converted with them, it must say the same."""
    found = hashlib.sha256(weights).hexdigest()
    expected = config.get("published", {}).get("weights_sha256", found)
    if found != expected:
        raise GeneratorError(
            f"{folder / WEIGHTS_NAME} has the SHA-256 {found}, but {CONFIG_NAME} was written "
            f"with {expected}: they come from different conversions; convert the checkpoint again"
        )
    return found


def _read(path: Path, most: int | None = None) -> bytes:
    try:
        return read_regular(path, most)
    except OSError as error:
        raise GeneratorError(
            f"{path} cannot be read ({error.strerror}): a generator's folder holds "
            f"{WEIGHTS_NAME} and {CONFIG_NAME}, as 'offmanifold train' writes them"
        ) from error


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG_NAME
    try:
        config: dict[str, Any] = parse_json(_read(path, MOST_SETTINGS_BYTES))
    except ValueError as error:
        raise GeneratorError(f"{path} is not JSON: {error}") from error
    arguments = config.get("arguments") if isinstance(config, dict) else None
    if not isinstance(arguments, dict) or not isinstance(config.get("architecture"), str):
        raise GeneratorError(
            f"{path} must have 'architecture', a name, and 'arguments', a mapping; it has "
            f"{sorted(config) if isinstance(config, dict) else type(config).__name__}"
        )
    try:
        require_architecture("generator", config["architecture"])
    except ArchitectureError as error:
        raise GeneratorError(f"{path}: {error}") from error
    _check_arguments(path, arguments)
    return config


def _check_arguments(path: Path, arguments: dict[str, Any]) -> None:
    shape = arguments.get("image_shape")
    sizes = shape if isinstance(shape, list) and len(shape) == 3 else [None]
    numbers = {
        "latent_dim": ([arguments.get("latent_dim")], 1, "a positive whole number"),
        "num_classes": ([arguments.get("num_classes")], 0, "a whole number, 0 for no classes"),
        "image_shape": (sizes, 1, "[channels, height, width]"),
    }
    for key, (values, least, expected) in numbers.items():
        if not all(type(value) is int and value >= least for value in values):
            raise GeneratorError(
                f"{path}: arguments.{key} is {arguments.get(key)!r}, expected {expected}"
            )
    for key, value in arguments.items():
        sizes = value if isinstance(value, list) else [value]
        if any(isinstance(size, int) and size > _LARGEST_ARGUMENT for size in sizes):
            raise GeneratorError(
                f"{path}: arguments.{key} is {value}, expected at most {_LARGEST_ARGUMENT:,}"
            )


def _count_parameters(path: Path, weights: bytes) -> int:
    """Counts a safetensors file's numbers, which shows that it is whole."""
    try:
        tensors: list[tuple[str, dict[str, Any]]] = deserialize(weights)  # type: ignore[no-untyped-call]
        return sum(prod(tensor["shape"]) for _, tensor in tensors)
    except SafetensorError as error:
        raise GeneratorError(
            f"{path} is not a whole safetensors file ({error}); copy or train it again"
        ) from error


def _load(folder: Path) -> "Generator":
    from safetensors.torch import load

    from ..core.generators.undrawn import undrawn

    config = _read_config(folder)
    path = folder / WEIGHTS_NAME
    try:
        with undrawn():
            generator = build("generator", config["architecture"], config["arguments"])
    except ArchitectureError as error:
        raise GeneratorError(f"{folder / CONFIG_NAME}: {error}") from error
    tensors = load(_read(path))
    try:
        generator.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise GeneratorError(
            f"{path} does not hold the weights of the '{config['architecture']}' architecture that "
            f"{CONFIG_NAME} describes: {error}"
        ) from error
    broken = [name for name, tensor in tensors.items() if not bool(tensor.isfinite().all())]
    if broken:
        raise GeneratorError(f"{path} holds numbers that are not finite, in {', '.join(broken)}")
    opened: Generator = generator.float().eval().requires_grad_(False)
    return opened
