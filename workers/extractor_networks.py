"""The networks of feature extractors, with weights of a local file that nothing in runs.

Published weights are a state dict: names with tensors. They are read here, as tensors alone, and
given to a network that timm, torch-fidelity or a user's own function builds without any. Nothing is
downloaded.
"""

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from .checkpoints.files import read_checkpoint
from .generator_errors import GeneratorError
from .held_numbers import identity
from .own_function import call_function
from .user_networks import open_module

INCEPTION = "inception-v3-compat"
"""torch-fidelity's name for the Inception network of published FIDs."""


class ExtractorError(ValueError):
    """An extractor cannot be opened: what was found, what was expected and what to do."""


def open_timm(name: str, weights: Path) -> tuple[nn.Module, str]:
    """A network of timm's, without its classifier, and the SHA-256 of its weights' file.

    Raises:
        ExtractorError: timm is missing or has no such network, or the weights are not its.
    """
    try:
        import timm
    except (ImportError, RuntimeError) as error:
        raise _missing("timm", error) from error
    if not timm.is_model(name):
        close = ", ".join(timm.list_models(f"*{name.split('.')[0][:12]}*")[:5])
        raise ExtractorError(
            f"timm {timm.__version__} has no model {name!r}"
            + (f"; it has {close}" if close else "; `timm.list_models()` names them")
        )
    try:
        network: nn.Module = timm.create_model(name, pretrained=False, num_classes=0)
    except (RuntimeError, TypeError, ValueError) as error:
        raise ExtractorError(f"timm cannot build {name!r}: {error}") from error
    heads = getattr(network, "default_cfg", {}).get("classifier") or ()
    heads = (heads,) if isinstance(heads, str) else tuple(heads)
    left_out = tuple(f"{head}." for head in heads)
    return network, _load(network, weights, f"timm's {name}", left_out)


def open_inception(layer: str, weights: Path) -> tuple[nn.Module, str]:
    """torch-fidelity's Inception, up to a layer of its, and the SHA-256 of its weights' file.

    It takes images from 0 to 255, rounds them to bytes, and resizes them itself as TensorFlow did.

    Raises:
        ExtractorError: torch-fidelity is missing or has no such layer, or the weights are not its.
    """
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except (ImportError, RuntimeError) as error:
        raise _missing("torch-fidelity", error) from error
    layers = FeatureExtractorInceptionV3.get_provided_features_list()
    if layer not in layers:
        raise ExtractorError(
            f"torch_fidelity: {layer!r} is no layer of {INCEPTION}; it has {', '.join(layers)}"
        )
    tensors, sha256 = _tensors(weights)

    class Layer(nn.Module):
        def __init__(self, inception: nn.Module) -> None:
            super().__init__()
            self.inception = inception

        def forward(self, images: Tensor) -> Tensor:
            # torch-fidelity takes bytes alone.
            (found,) = self.inception(images.round().clamp(0, 255).to(torch.uint8))
            features: Tensor = found
            return features

    with tempfile.NamedTemporaryFile(suffix=".pth") as file:
        # It opens the file that it is given as a pickle, so it is given tensors that we wrote.
        torch.save(tensors, file.name)
        try:
            inception = FeatureExtractorInceptionV3(
                INCEPTION, [layer], feature_extractor_weights_path=file.name
            )
        except (RuntimeError, TypeError) as error:
            raise _misfit(weights, f"torch-fidelity's {INCEPTION}", str(error)) from error
    return Layer(inception), sha256


def open_own(source: str, import_path: str | None, weights: Path | None) -> tuple[nn.Module, str]:
    """What a user's function returns, with the weights of a file where one is named.

    The hash is of the function's source file and of every tensor that the network then has.

    Raises:
        ExtractorError: there is no such function, it raises, or it returns no torch module.
    """
    try:
        network, source_sha256 = call_function("extractor", source, import_path)
    except GeneratorError as error:
        raise ExtractorError(str(error)) from error
    if not isinstance(network, nn.Module):
        name = source.partition(":")[2]
        raise ExtractorError(
            f"extractor '{source}': {name}() returned {type(network).__name__}, expected a "
            "torch.nn.Module that takes images [N, C, H, W] and returns features [N, d]"
        )
    if weights is not None:
        _load(network, weights, f"the network of {source}", ())
    return network, identity(source_sha256, network)


def open_program(path: Path, kind: str) -> tuple[nn.Module, str]:
    """A TorchScript, torch.export or ONNX file that is a whole network, and its SHA-256.

    Raises:
        ExtractorError: it cannot be read, or is of another format.
    """
    try:
        network, content = open_module(path, kind)
    except GeneratorError as error:
        raise ExtractorError(str(error)) from error
    return network, hashlib.sha256(content).hexdigest()


def _missing(package: str, error: Exception) -> ExtractorError:
    extra = package.replace("torch-", "")
    return ExtractorError(
        f"{package} cannot be imported ({error}): pip install {package}, or offmanifold[{extra}]; "
        "torchvision must be built for the same torch"
    )


def _tensors(weights: Path) -> tuple[Mapping[str, Tensor], str]:
    """The largest set of tensors in a file, outer ones before inner ones, and its SHA-256."""
    try:
        found = read_checkpoint(weights)
    except GeneratorError as error:
        raise ExtractorError(str(error)) from error
    largest = max(found.candidates, key=lambda each: each.size)
    return largest.tensors, found.sha256


def _load(network: nn.Module, weights: Path, what: str, left_out: tuple[str, ...]) -> str:
    """Puts a file's tensors into a network, whose names and shapes they must have; its SHA-256.

    Tensors whose names begin as ``left_out`` belong to a classifier that the network lacks.
    """
    tensors, sha256 = _tensors(weights)
    own = network.state_dict()
    kept = {
        name: tensor
        for name, tensor in tensors.items()
        if name in own or not (left_out and name.startswith(left_out))
    }
    wrong = sorted(set(own).symmetric_difference(kept))
    wrong += [name for name in kept if name in own and kept[name].shape != own[name].shape]
    if wrong:
        name = wrong[0]
        words = "has no tensor" if name not in kept else "has a tensor that is none of its:"
        if name in kept and name in own:
            words = f"has a tensor of shape {list(kept[name].shape)}, not {list(own[name].shape)}:"
        raise _misfit(weights, what, f"it {words} {name} ({len(wrong)} names differ)")
    network.load_state_dict(kept)
    return sha256


def _misfit(weights: Path, what: str, reason: str) -> ExtractorError:
    return ExtractorError(
        f"{weights} does not hold the weights of {what}: {reason[:300]}; give the file that was "
        "published for it"
    )
