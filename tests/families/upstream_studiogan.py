"""StudioGAN's networks that ours are compared with; see `upstream_cases`."""

import contextlib
import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from torch import Tensor, nn

from .upstream_cases import Case, give_pkg_resources, save_wrapped_state_dict, stylegan2_images


def _find_packages() -> None:
    """Puts StudioGAN's packages on the path.

    Its module `utils.misc` needs half of the machinery of training, the backbones one name of it.
    """
    source = Path(sys.path[0]) / "src"
    sys.path.insert(0, str(source))
    package, misc = ModuleType("utils"), ModuleType("utils.misc")
    package.__path__ = [str(source / "utils")]
    misc.dummy_context_mgr = contextlib.nullcontext  # type: ignore[attr-defined]
    package.misc = misc  # type: ignore[attr-defined]
    sys.modules |= {"utils": package, "utils.misc": misc}


def _layers(arguments: Mapping[str, Any], backbone: str) -> SimpleNamespace:
    """The layers that StudioGAN's settings would choose."""
    _find_packages()
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


def _styled(
    backbone: str,
    precise: bool,
    size: int,
    classes: int,
    *,
    width: int = 512,
    base: int = 32768,
    most: int = 512,
    info: int = 0,
    **synthesis: Any,
) -> Case:
    """StudioGAN's StyleGAN2 or StyleGAN3, with the settings of its ``load_generator``.

    ``info`` is the number of InfoGAN's one-hot codes, and ``precise`` training without float16.
    """

    def build(given: Mapping[str, Any]) -> nn.Module:
        _find_packages()
        give_pkg_resources()
        codes = {"info_num_discrete_c": 1, "info_dim_discrete_c": info}
        kind = "discrete" if info else "N/A"
        network: nn.Module = importlib.import_module(f"models.{backbone}").Generator(
            **given, MODEL=SimpleNamespace(info_type=kind, **codes)
        )
        return network

    half = {"num_fp16_res": 0 if precise else 4, "conv_clamp": None if precise else 256}
    arguments = {
        "z_dim": width,
        "c_dim": classes,
        "w_dim": width,
        "img_resolution": size,
        "img_channels": 3,
        "mapping_kwargs": {"num_layers": 2 if classes else 8},
        "synthesis_kwargs": {"channel_base": base, "channel_max": most, **half, **synthesis},
    }
    return Case(
        f"studiogan-{backbone}",
        "POSTECH-CVLab/PyTorch-StudioGAN",
        f"src/models/{backbone}.py",
        arguments,
        build,
        stylegan2_images,
        save_wrapped_state_dict,
        True,
        mixed_precision=not precise,
        designed=() if width < 512 else ("up_filter", "down_filter"),
    )


_R = {"conv_kernel": 1, "use_radial_filters": True}
_T = {"conv_kernel": 3, "use_radial_filters": False}
_SMALL = {"width": 12, "base": 128, "most": 8}

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
    "studiogan-stylegan2": _styled("stylegan2", False, 16, 4, **_SMALL),
    "studiogan-stylegan2-info": _styled("stylegan2", True, 16, 0, info=5, **_SMALL),
    "studiogan-stylegan2-cifar10": _styled("stylegan2", False, 32, 10),
    "studiogan-stylegan2-64": _styled("stylegan2", True, 64, 100, base=16384),
    "studiogan-stylegan3-t": _styled("stylegan3", False, 16, 4, **_SMALL, **_T, num_layers=5),
    "studiogan-stylegan3-r": _styled("stylegan3", True, 16, 0, **_SMALL, **_R, num_layers=5),
    "studiogan-stylegan3-t-cifar10": _styled("stylegan3", False, 32, 10, **_T),
    "studiogan-stylegan3-r-cifar10": _styled(
        "stylegan3", False, 32, 10, base=65536, most=1024, **_R
    ),
}
