"""What is found of a generator that a spec begins with: its entry, and remarks on it."""

from dataclasses import dataclass, field
from math import prod
from pathlib import Path

from ...cluster.regular_file import read_regular
from ...workers.checkpoints.kind_of_file import kind_of_file
from ...workers.generators import GeneratorError, GeneratorSource, describe_generator
from ..spec.loading import SpecError
from .init_request import Request, in_yaml, spec_path

Shape = tuple[int, int, int]

_NETWORKS = ("torchscript", "torch-export", "onnx")


@dataclass
class FoundGenerator:
    """Lines of the generator's entry, and what is known of it; no shape where it was not opened.

    ``untrusted`` is whether it is a program that was not run for want of ``--trust``.
    """

    lines: list[str]
    image_shape: Shape | None = None
    num_classes: int = 0
    notes: list[str] = field(default_factory=list)
    untrusted: bool = False


def found_generator(request: Request) -> FoundGenerator:
    """What is found of the generator that was asked for.

    Raises:
        SpecError: it cannot be read at all; with the remedy.
    """
    return _from_weights(request) if request.weights else _from_source(request)


def _from_weights(request: Request) -> FoundGenerator:
    path = request.weights
    assert path is not None
    try:
        content = read_regular(path)
    except OSError as error:
        raise SpecError(f"--weights {path}: cannot be read: {error.strerror}") from error
    kind = kind_of_file(content)
    if kind is None and path.suffix == ".onnx":
        kind = "onnx"
    if kind in _NETWORKS:
        return _from_network(request, path, kind)
    return _from_checkpoint(request, path)


def _from_checkpoint(request: Request, path: Path) -> FoundGenerator:
    from ...workers.checkpoints.opening import Reading, checkpoint_warnings, open_checkpoint

    reading = Reading(request.key, classes=request.classes, mixed_precision=request.mixed_precision)
    try:
        opened = open_checkpoint(path, request.family, reading)
        warnings = checkpoint_warnings(opened)
    except GeneratorError as error:
        raise SpecError(str(error)) from error
    asked = {
        "key": request.key,
        "classes": request.classes,
        "mixed_precision": request.mixed_precision,
    }
    entry: dict[str, object] = {"family": opened.family, "weights": spec_path(path, request.out)}
    entry |= {name: value for name, value in asked.items() if value is not None}
    channels, height, width = opened.arguments["image_shape"]
    classes = opened.arguments["num_classes"]
    return FoundGenerator(
        [f"{name}: {in_yaml(value)}" for name, value in entry.items()],
        (channels, height, width),
        classes,
        [
            _what(opened.arguments["latent_dim"], (channels, height, width), classes),
            *opened.translation.assumptions,
            *warnings,
        ],
    )


def _from_network(request: Request, path: Path, kind: str) -> FoundGenerator:
    from ...workers.network_probe import probe_network

    lines = [f"weights: {in_yaml(spec_path(path, request.out))}", "network:", f"  format: {kind}"]
    is_program = kind != "onnx"
    if is_program:
        lines.append(
            f"  trust: {in_yaml(request.trust)}  # {kind} files are programs: true, if you made it "
            "or trust its author"
        )
    found = None
    if request.trust or not is_program:
        try:
            found = probe_network(path, kind)
        except GeneratorError as error:
            raise SpecError(str(error)) from error
    if found is None:
        why = (
            "what it takes could not be found by calling it"
            if request.trust or not is_program
            else "with --trust, init runs the file to see what it takes and makes"
        )
        lines += [f"  # {why}. Fill in:", *(f"  # {line}" for line in _NETWORK_CHOICES)]
        return FoundGenerator(lines, untrusted=is_program and not request.trust)
    low, high = found.values
    lines += [
        f"  latent_shape: {in_yaml(list(found.latent_shape))}",
        f"  image_shape: {in_yaml(list(found.image_shape))}",
    ]
    if found.num_classes:
        lines.append(f"  num_classes: {found.num_classes}")
    if found.one_hot:
        lines.append("  one_hot: true")
    lines.append(f"  # The values of a few images lie between {low:.3g} and {high:.3g}.")
    if found.native_range is None:
        lines.append(
            "  # native_range: [-1, 1]  # black and white: [-1, 1], [0, 1], [0, 255] or others"
        )
    else:
        lines.append(
            f"  native_range: {in_yaml([int(end) for end in found.native_range])}  # black and "
            "white, as these values suggest: check how its training images were scaled"
        )
    lines.append(
        "  prior: normal  # of its latents; or uniform with prior_bounds: [-1, 1], or "
        "truncated_normal with prior_bounds: [2]"
    )
    return FoundGenerator(
        lines,
        found.image_shape,
        found.num_classes,
        [_what(prod(found.latent_shape), found.image_shape, found.num_classes)],
    )


_NETWORK_CHOICES = (
    "latent_shape: [100, 1, 1]  # of one latent, as the network takes it",
    "image_shape: [3, 64, 64]   # channels, height, width of its images",
    "num_classes: 0             # more: its second argument is a class",
    "one_hot: false             # true: the class is a row with a one, and no index",
    "native_range: [-1, 1]      # black and white: [-1, 1] after tanh, [0, 1] after a sigmoid",
)


def _from_source(request: Request) -> FoundGenerator:
    source = request.source
    assert source is not None
    wanted = GeneratorSource(source, str(Path.cwd()))
    name, here = source, Path.cwd()
    lines = []
    if wanted.is_function:
        if request.out.resolve().parent != here:
            lines.append(f"import_path: {in_yaml(str(here))}")
    elif wanted.is_folder and ":" not in source:
        name = spec_path(Path(source), request.out)
    try:
        found = describe_generator(wanted)
    except GeneratorError as error:
        raise SpecError(f"--source {source}: {error}") from error
    what = _what(found.latent_dim, found.image_shape, found.num_classes)
    return FoundGenerator(
        [f"source: {in_yaml(name)}", *lines],
        found.image_shape,
        found.num_classes,
        [what, *found.notes],
    )


def _what(latent_dim: int, image_shape: Shape, num_classes: int) -> str:
    classes = f"{num_classes} classes" if num_classes else "no classes"
    shape = "x".join(map(str, image_shape))
    return f"Found: {shape} images, latents of length {latent_dim}, {classes}."
