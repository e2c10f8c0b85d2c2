"""Opening a generator: ours from safetensors, a published checkpoint, or a user's own function."""

import difflib
import hashlib
import json
import re
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, deserialize

from ..cluster.locations import LocationError, is_remote
from ..cluster.s3_settings import BY_ENVIRONMENT, S3Settings
from ..core.generators.architectures import ArchitectureError, build, require_architecture
from .file_generators import open_published, open_user_network
from .generator_errors import GeneratorError as GeneratorError
from .inputs import copied_file, copied_folder, naming_original
from .opened_generator import GeneratorDescription as GeneratorDescription
from .opened_generator import OpenedGenerator as OpenedGenerator
from .user_networks import UserNetwork

if TYPE_CHECKING:
    from ..core.generators.protocol import Generator

WEIGHTS_NAME = "model.safetensors"
CONFIG_NAME = "config.json"

_SHIPPED = Path(__file__).parent / "weights"
_SHIPPED_PREFIX = "shipped:"
# Sizes in a config that are beyond it are a mistake, or meant to fill the memory.
_LARGEST_ARGUMENT = 65_536
_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def open_generator(
    source: str,
    base_dir: str | Path | None = None,
    family: str | None = None,
    truncation: float | None = None,
    service: S3Settings = BY_ENVIRONMENT,
    network: UserNetwork | None = None,
) -> OpenedGenerator:
    """Opens a generator.

    ``source`` is ``shipped:NAME``; a folder with ``model.safetensors`` and ``config.json`` (a
    relative path counts from ``base_dir``); or ``module:function``, a callable without arguments
    that returns a Generator, imported with ``base_dir`` first on ``sys.path``. Only the last runs
    code of the user's; nothing runs from a weights file. With a ``family`` of published
    generators, ``source`` is a checkpoint file of it; ``truncation`` is that of the latents, for
    families that have one. With a ``network``, it is a file of the user's that holds the network so
    described. Folder and file may lie at an ``s3://`` address of the ``service``; they
    are copied to this machine once.

    Raises:
        GeneratorError: what was found, what was expected and what to do.
        StorageError: the bucket cannot be read.
    """
    if is_remote(source):
        copy = _copied(source, family is None and network is None, service)
        with naming_original(source, copy, GeneratorError):
            opened = open_generator(str(copy), None, family, truncation, network=network)
        return replace(opened, description=replace(opened.description, source=source))
    if family is not None:
        return open_published(source, Path(base_dir or ".", source), family, truncation)
    if network is not None:
        return open_user_network(source, Path(base_dir or ".", source), network)
    if _is_function(source):
        from .own_generator import open_function

        return OpenedGenerator.of_user(source, *open_function(source, base_dir))
    folder = _folder(source, base_dir)
    description = _describe_folder(source, folder)
    generator = _load(folder)
    return OpenedGenerator(generator, description.sha256, description)


def runs_code(source: str, family: str | None, network: UserNetwork | None) -> bool:
    """Whether :func:`open_generator` would run a program of the user's: a module, or a file's."""
    if network is not None:
        return network.format != "onnx"
    return family is None and not is_remote(source) and _is_function(source)


def describe_generator(
    source: str,
    base_dir: str | Path | None = None,
    family: str | None = None,
    truncation: float | None = None,
    service: S3Settings = BY_ENVIRONMENT,
    network: UserNetwork | None = None,
) -> GeneratorDescription:
    """Checks that a generator can be opened and says what it is, from its config alone.

    Torch is imported, and the generator built, only for ``module:function``, a network in a file
    and a published checkpoint: nothing else can say what they are. Arguments as for
    `open_generator`.

    Raises:
        GeneratorError: what was found, what was expected and what to do.
        StorageError: the bucket cannot be read.
    """
    if family is not None or network is not None or _is_function(source):
        return open_generator(source, base_dir, family, truncation, service, network).description
    if is_remote(source):
        copy = _copied(source, True, service)
        with naming_original(source, copy, GeneratorError):
            return replace(describe_generator(str(copy)), source=source)
    return _describe_folder(source, _folder(source, base_dir))


def _copied(address: str, is_folder: bool, service: S3Settings) -> Path:
    """This machine's copy of a generator's folder, or of a file."""
    try:
        if is_folder:
            return copied_folder(address, (WEIGHTS_NAME, CONFIG_NAME), service)
        # Some files need the config that is published beside them.
        return copied_file(address, service, (CONFIG_NAME,))
    except (LocationError, FileNotFoundError) as error:
        raise GeneratorError(str(error)) from error


def list_generators() -> dict[str, str]:
    """Every generator in the package with a line that says what it is."""
    return {
        f"{_SHIPPED_PREFIX}{name}": _summary(f"{_SHIPPED_PREFIX}{name}")
        for name in _shipped_names()
    }


def _summary(source: str) -> str:
    folder = _folder(source, None)
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


def _is_function(source: str) -> bool:
    return not source.startswith(_SHIPPED_PREFIX) and _FUNCTION.fullmatch(source) is not None


def _folder(source: str, base_dir: str | Path | None) -> Path:
    if source.startswith(_SHIPPED_PREFIX):
        name = source.removeprefix(_SHIPPED_PREFIX)
        names = _shipped_names()
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            known = ", ".join(_SHIPPED_PREFIX + known for known in names)
            hint = (
                f"did you mean '{_SHIPPED_PREFIX}{close[0]}'?"
                if close
                else f"known generators: {known}"
            )
            raise GeneratorError(f"no generator '{source}' comes with the package: {hint}")
        return _SHIPPED / name
    folder = Path(base_dir or ".", source).expanduser()
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


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise GeneratorError(
            f"{path} cannot be read ({error.strerror}): a generator's folder holds "
            f"{WEIGHTS_NAME} and {CONFIG_NAME}, as 'offmanifold train' writes them"
        ) from error


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG_NAME
    try:
        config: dict[str, Any] = json.loads(_read(path))
    except (ValueError, RecursionError) as error:
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
    import torch
    from safetensors.torch import load

    config = _read_config(folder)
    path = folder / WEIGHTS_NAME
    try:
        # Without memory of its own: what the config asks for is only ever the file's tensors.
        with torch.device("meta"):
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
