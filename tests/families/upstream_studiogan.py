"""StudioGAN's networks that ours are compared with; see `upstream_cases`."""

import contextlib
import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from torch import Tensor, nn

from .upstream_cases import Case, save_wrapped_state_dict


def _layers(arguments: Mapping[str, Any], backbone: str) -> SimpleNamespace:
    """The layers that StudioGAN's settings would choose.

    Its module `utils.misc` needs half of the machinery of training, the backbones one name of it.
    """
    source = Path(sys.path[0]) / "src"
    sys.path.insert(0, str(source))
    package, misc = ModuleType("utils"), ModuleType("utils.misc")
    package.__path__ = [str(source / "utils")]
    misc.dummy_context_mgr = contextlib.nullcontext  # type: ignore[attr-defined]
    package.misc = misc  # type: ignore[attr-defined]
    sys.modules |= {"utils": package, "utils.misc": misc}
    operations: Any = importlib.import_module("utils.ops")
    styled = arguments["cond"] != "W/O" or backbone == "big_resnet"
    normalised = "sn" if arguments["sn"] else ""
    return SimpleNamespace(
        g_conv2d=getattr(operations, f"{normalised}conv2d"),
        g_deconv2d=getattr(operations, f"{normalised}deconv2d"),
        g_linear=getattr(operations, f"{normalised}linear"),
        g_bn=operations.ConditionalBatchNorm2d if styled else operations.batchnorm_2d,
        g_act_fn=nn.ReLU(inplace=True),
    )


def _images(network: nn.Module, latent: Tensor, condition: Tensor | None) -> Tensor:
    images: Tensor = network(latent, condition)
    return (images + 1) / 2


def _studiogan(family: str, backbone: str, *, count: int = 4, **own: Any) -> Case:
    def build(given: Mapping[str, Any]) -> nn.Module:
        layers = _layers(given, backbone)
        network: nn.Module = importlib.import_module(f"models.{backbone}").Generator(
            z_dim=given["z"],
            g_shared_dim=given["shared"],
            img_size=given["size"],
            g_conv_dim=given["ch"],
            apply_attn=bool(given["attn"]),
            attn_g_loc=given["attn"],
            g_cond_mtd=given["cond"],
            num_classes=given["classes"],
            g_init="ortho",
            g_depth=given["depth"],
            mixed_precision=False,
            MODULES=layers,
            MODEL=SimpleNamespace(info_type="N/A", g_info_injection="N/A"),
        )
        return network

    plain = {"sn": False, "cond": "W/O", "z": 128, "shared": "N/A", "size": 32, "ch": 64}
    arguments = {**plain, "attn": [], "classes": 10, "depth": "N/A", **own}
    return Case(
        family,
        "POSTECH-CVLab/PyTorch-StudioGAN",
        f"src/models/{backbone}.py",
        arguments,
        build,
        _images,
        save_wrapped_state_dict,
        True,
        count,
    )


def _conditional(family: str, backbone: str, **own: Any) -> Case:
    return _studiogan(family, backbone, sn=True, cond="cBN", **own)


def _biggan(**own: Any) -> Case:
    return _conditional("studiogan-biggan", "big_resnet", **own)


def _deep(variant: str, **own: Any) -> Case:
    backbone = f"big_resnet_deep_{variant}"
    return _conditional("studiogan-biggan-deep", backbone, depth=2, **own)


STUDIOGAN: dict[str, Case] = {
    "studiogan-biggan": _biggan(z=16, shared=6, ch=4, attn=[2]),
    "studiogan-biggan-64": _biggan(z=20, shared=6, size=64, ch=4, attn=[3], classes=7),
    "studiogan-biggan-cifar10": _biggan(z=80, shared=128, ch=96, attn=[2]),
    "studiogan-biggan-imagenet128": _biggan(
        z=120, shared=128, size=128, ch=96, attn=[4], classes=1000, count=2
    ),
    "studiogan-biggan-deep": _deep("studiogan", z=16, shared=16, ch=8, attn=[2]),
    "studiogan-biggan-deep-64": _deep("legacy", z=16, shared=16, size=64, ch=8, attn=[3]),
    "studiogan-biggan-deep-cifar10": _deep("studiogan", z=128, shared=128, ch=128, attn=[2]),
    "studiogan-biggan-deep-cifar10-legacy": _deep("legacy", z=128, shared=128, ch=128, attn=[2]),
    "studiogan-biggan-deep-imagenet128": _deep(
        "legacy", z=128, shared=128, size=128, ch=128, attn=[4], classes=1000, count=2
    ),
    "studiogan-resnet": _studiogan("studiogan-resnet", "resnet", z=16, ch=4),
    "studiogan-resnet-conditional": _conditional(
        "studiogan-resnet", "resnet", z=16, ch=4, attn=[2]
    ),
    "studiogan-resnet-cifar10": _studiogan("studiogan-resnet", "resnet"),
    "studiogan-resnet-sngan": _conditional("studiogan-resnet", "resnet", attn=[2]),
    "studiogan-dcgan": _studiogan("studiogan-dcgan", "deep_conv", z=16, ch="N/A"),
    "studiogan-dcgan-cifar10": _studiogan("studiogan-dcgan", "deep_conv", ch="N/A"),
}
