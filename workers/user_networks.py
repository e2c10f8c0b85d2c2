"""A user's own network in a file: TorchScript, torch.export or ONNX, with what its spec says of it.

TorchScript and torch.export files are programs: torch runs their operations, some of which open
files, and builds expressions from their text. They are opened where the spec trusts them. An ONNX
file is a graph of arithmetic, of which onnx2torch makes torch modules; one that keeps its numbers
in other files is refused.
"""

import hashlib
import io
import math
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..cluster.regular_file import read_regular
from .bound_to_cpu import made_on_the_cpu
from .checkpoints.kind_of_file import PROGRAMS, kind_of_file
from .generator_errors import GeneratorError

if TYPE_CHECKING:
    from torch import nn

    from ..core.generators.adapter import ModuleGenerator
    from ..core.generators.latent_prior import LatentPrior
    from ..core.generators.protocol import Generator


# Where torch.export.save puts the graph.
_GRAPHS = tuple(name for name, kind in PROGRAMS.items() if kind == "torch-export")


@dataclass(frozen=True)
class UserNetwork:
    """What a file does not say of its network.

    ``format`` is torchscript, torch-export or onnx. Latents are given to it as [N, *latent_shape];
    classes as indices, int64 [N], or as one-hot float rows. Its output goes from
    ``native_range[0]`` (black) to ``native_range[1]``. ``prior`` is normal, uniform between the two
    ``prior_bounds``, or truncated_normal at the one.
    """

    format: str
    latent_shape: tuple[int, ...]
    image_shape: tuple[int, int, int]
    num_classes: int = 0
    one_hot: bool = False
    _: KW_ONLY
    native_range: tuple[float, float]
    prior: str = "normal"
    prior_bounds: tuple[float, ...] = ()

    @property
    def latent_dim(self) -> int:
        """The length of a flat latent."""
        return math.prod(self.latent_shape)

    @property
    def settings(self) -> dict[str, Any]:
        """The same in plain values, as a shard's settings hold it."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "UserNetwork":
        """From plain values."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in settings.items()
        }
        return cls(**values)


def open_network(path: Path, network: UserNetwork) -> tuple["Generator", str, tuple[str, ...]]:
    """The generator in a file, checked on a few latents, the file's SHA-256, and what binds it.

    The last are the operations for which it can compute on CPUs alone.

    Raises:
        GeneratorError: the file cannot be read, is of another format, or its network does not do
            what is said of it.
    """
    from .own_generator import check_generator

    module, content = open_module(path, network.format)
    generator = wrapped(module, network)
    check_generator(str(path), generator)
    return generator, hashlib.sha256(content).hexdigest(), made_on_the_cpu(module)


def wrapped(module: "nn.Module", network: UserNetwork) -> "ModuleGenerator":
    """A network and what is said of it as a generator, whose weights it freezes.

    Raises:
        GeneratorError: the prior's bounds are none.
        NativeRangeError: the native range is not in ascending order.
    """
    from ..core.generators.adapter import ModuleGenerator

    return ModuleGenerator(
        _as_called(module, network),
        latent_dim=network.latent_dim,
        num_classes=network.num_classes,
        image_shape=network.image_shape,
        native_range=network.native_range,
        latent_prior=_prior(network),
    )


def open_module(path: Path, network_format: str) -> tuple["nn.Module", bytes]:
    """The network in a file, in evaluation mode, as it wants to be called; and the file's content.

    Raises:
        GeneratorError: the file cannot be read, or is of another format.
    """
    try:
        content = read_regular(path)
    except OSError as error:
        raise GeneratorError(f"{path} cannot be read: {error.strerror}") from error
    return _LOADERS[network_format](path, content), content


def _prior(network: UserNetwork) -> "LatentPrior | None":
    from ..core.generators.latent_prior import truncated_normal, uniform

    if network.prior == "normal":
        return None
    prior = uniform if network.prior == "uniform" else truncated_normal
    try:
        return prior(*network.prior_bounds)
    except ValueError as error:
        raise GeneratorError(f"network.prior_bounds: {error}") from error


def _as_called(module: "nn.Module", network: UserNetwork) -> "nn.Module":
    """The module, called with flat latents and class indices."""
    import torch
    from torch import Tensor, nn

    class Called(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def train(self, _: bool = True) -> "Called":
            # An exported graph keeps the mode that it was exported in, and says so by raising.
            return self

        def forward(self, latent: Tensor, condition: Tensor | None = None) -> Tensor:
            shaped = latent.unflatten(1, network.latent_shape)
            if condition is None:
                images: Tensor = self.module(shaped)
            elif network.one_hot:
                rows = nn.functional.one_hot(condition, network.num_classes)
                images = self.module(shaped, rows.to(torch.get_default_dtype()))
            else:
                images = self.module(shaped, condition)
            return images

    return Called()


def _torchscript(path: Path, content: bytes) -> "nn.Module":
    import torch

    try:
        module: nn.Module = torch.jit.load(io.BytesIO(content), map_location="cpu")
    except (RuntimeError, ValueError) as error:
        expected = "a TorchScript file (torch.jit.save)"
        raise _another(path, content, expected, error) from error
    return module.eval()


def _torch_export(path: Path, content: bytes) -> "nn.Module":
    import torch

    expected = "a torch.export file (torch.export.save)"
    try:
        # Of other files torch prints its own traceback.
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if not any(name.endswith(_GRAPHS) for name in archive.namelist()):
                raise _another(path, content, expected, ValueError("it holds no graph"))
    except zipfile.BadZipFile as error:
        raise _another(path, content, expected, error) from error
    try:
        return torch.export.load(io.BytesIO(content)).module()
    except Exception as error:
        # What torch raises for a file that it did not write is of any type.
        raise _damaged(path, expected, error) from error


def _onnx(path: Path, content: bytes) -> "nn.Module":
    try:
        import onnx
        import onnx2torch
        from google.protobuf.message import DecodeError
        from onnx.external_data_helper import uses_external_data
    except ImportError as error:
        raise GeneratorError(
            f"{path}: ONNX files need onnx and onnx2torch ({error}): pip install onnx onnx2torch"
        ) from error
    except RuntimeError as error:
        # So says torchvision, which onnx2torch imports, beside a torch of another build.
        raise GeneratorError(
            f"{path}: onnx2torch cannot be imported ({error}); install matching builds of torch "
            "and torchvision"
        ) from error
    try:
        model = onnx.load_model_from_string(content)
        if any(uses_external_data(tensor) for tensor in _tensors(model)):
            raise GeneratorError(
                f"{path} keeps its weights in other files: save the model as one file "
                "(save_as_external_data=False)"
            )
        onnx.checker.check_model(model)
    except (DecodeError, UnicodeDecodeError, onnx.checker.ValidationError) as error:
        raise _another(path, content, "an ONNX file", error) from error
    try:
        module: nn.Module = onnx2torch.convert(model)
    except Exception as error:
        # What onnx2torch raises for a graph beyond it is of any type.
        raise GeneratorError(
            f"{path}: onnx2torch cannot convert it: {error or type(error).__name__}. Export it "
            "with operations that onnx2torch supports, or as TorchScript"
        ) from error
    return module.eval()


def _tensors(message: Any) -> Iterator[Any]:
    """The numbers anywhere in an ONNX model: in graphs, operations, functions."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for inner in value if isinstance(value, Iterable) else (value,):
            if field.message_type.name == "TensorProto":
                yield inner
            else:
                yield from _tensors(inner)


def _another(path: Path, content: bytes, expected: str, error: Exception) -> GeneratorError:
    """What a file is that is not of the format that was named, if that can be told."""
    kind = kind_of_file(content)
    if kind is None or kind in expected.lower():
        return _damaged(path, expected, error)
    if kind in _LOADERS:
        return GeneratorError(f"{path} is a {kind} file, not {expected}: set format: {kind}")
    return GeneratorError(
        f"{path} is {kind}, not {expected}: it holds weights, or an object, without the network "
        "that they belong to. Build the network in a function of your own that loads them (source: "
        "module:function), or save it whole: torch.jit.save(torch.jit.trace(network.eval(), "
        "latent), FILE). Of a published family (`offmanifold inspect FILE` names it) give family "
        "instead of network"
    )


def _damaged(path: Path, expected: str, error: Exception) -> GeneratorError:
    reason = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
    return GeneratorError(f"{path} is not {expected}, or is damaged: {reason}")


_LOADERS: dict[str, Callable[[Path, bytes], "nn.Module"]] = {
    "torchscript": _torchscript,
    "torch-export": _torch_export,
    "onnx": _onnx,
}
