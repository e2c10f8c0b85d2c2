"""Our generators beside upstream's own classes, from a checkout of upstream's repository.

    python -m tests.families.upstream list
    python -m tests.families.upstream compare CASE CHECKOUT [--sets N]
    python -m tests.families.upstream record CASE CHECKOUT

`compare` builds upstream's network with weights made by rule, saves it as upstream saves, opens the
file here, and prints whether every tensor was accounted for, how far images and their gradient in
the latent differ, how far both float32 gradients are from upstream's float64 one at N (3) sets of
latents, and the processor time of upstream's over ours (one thread, taken in turn, the
median of five, or of as many as fit into some seconds). For networks that use less precision than
float32 it also prints how far ours is from upstream's in its own.
`record` writes what the suite repeats without upstream, in float64, to `recorded/CASE.json`. The
cases are in `upstream_cases.py` and beside it.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import torch
from offmanifold.core.generators.architectures import build
from offmanifold.workers.checkpoints.opening import (
    OpenedCheckpoint,
    Reading,
    build_checkpoint,
    open_checkpoint,
)
from torch import Tensor, nn

from .rule import by_rule, draws
from .upstream_biggan import BIGGAN
from .upstream_cases import CASES as STYLEGAN
from .upstream_cases import Case
from .upstream_dcgan import DCGAN
from .upstream_lucidrains import LUCIDRAINS
from .upstream_r3gan import R3GAN
from .upstream_rosinality import ROSINALITY
from .upstream_studiogan import STUDIOGAN
from .upstream_stylegan3 import STYLEGAN3

FOLDER = Path(__file__).parent / "recorded"
_RECORDED_VALUES = 40
_LEAST_TIMES, _MOST_TIMES, _SECONDS = 5, 101, 4.0
_JUMP = 1e-5
CASES = {
    **STYLEGAN,
    **STYLEGAN3,
    **STUDIOGAN,
    **BIGGAN,
    **DCGAN,
    **R3GAN,
    **ROSINALITY,
    **LUCIDRAINS,
}

Images = Callable[[Tensor, Tensor | None], Tensor]
Returned = list[tuple[Tensor, Tensor]]


def by_rule_network(case: Case) -> nn.Module:
    """Upstream's network with weights made by rule, in evaluation mode."""
    network = case.build(case.arguments)
    state = network.state_dict()
    weights = by_rule({name: list(tensor.shape) for name, tensor in state.items()})
    kept = {name: tensor for name, tensor in state.items() if name.endswith(case.designed)}
    network.load_state_dict(weights | kept)
    return network.eval().requires_grad_(False)


def opened_here(case: Case, network: nn.Module, folder: Path) -> OpenedCheckpoint:
    """The file that upstream would write, opened here: strict in names and shapes."""
    path = case.save(network, folder)
    reading = Reading(truncation=case.truncation, mixed_precision=case.mixed_precision)
    return open_checkpoint(path, case.family, reading)


@contextmanager
def single_precision_is_double() -> Iterator[None]:
    """Upstream's casts to ``torch.float32`` become casts to float64; new tensors are float64."""
    single = torch.float32
    torch.float32 = torch.float64
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.float32 = single
        torch.set_default_dtype(single)


def value_and_gradient(
    images: Images, name: str, latent_dim: int, classes: int, count: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Images at fixed latents, and the gradient of their product with fixed numbers."""
    latent = draws(f"{name}/latent", count, latent_dim).to(dtype).requires_grad_()
    condition = (torch.arange(count) * 7 + 1) % classes if classes else None
    made = images(latent, condition)
    cotangent = draws(f"{name}/cotangent", *made.shape).to(dtype)
    (gradient,) = torch.autograd.grad((made * cotangent).sum(), latent)
    return made.detach(), gradient


def compare(name: str, case: Case, sets: int) -> None:
    """Prints parity in both precisions, upstream's own rounding, and the ratio of times."""
    torch.set_num_threads(1)
    network = by_rule_network(case)
    with tempfile.TemporaryDirectory() as folder:
        opened = opened_here(case, network, Path(folder))
    print(f"{name}: {len(opened.chosen.tensors)} tensors, all accounted for; {opened.arguments}")
    facts = (name, opened.arguments["latent_dim"], opened.arguments["num_classes"], case.count)
    ours = build_checkpoint(opened)

    def theirs(latent: Tensor, condition: Tensor | None) -> Tensor:
        return case.images(network, latent, condition)

    single = [_returned(sets, images, *facts, torch.float32) for images in (ours, theirs)]
    native = _native(case, network, facts)
    _print_times(name, case.count, *_times(ours, theirs, *facts))
    network.double()
    with single_precision_is_double():
        double = _returned(sets, theirs, *facts, torch.float64)
        ours_in_double = value_and_gradient(exact(opened), *facts, torch.float64)
    _print_differences(name, "float32", single[0][0], single[1][0])
    if native is not None:
        _print_differences(name, "upstream's own precisions", single[0][0], native)
    _print_differences(name, "float64", ours_in_double, double[0])
    _print_rounding(name, single[0], single[1], double)


def _native(
    case: Case, network: nn.Module, facts: tuple[str, int, int, int]
) -> tuple[Tensor, Tensor] | None:
    """What upstream returns in the precisions that it would use itself, where not float32."""
    called = case.native
    if called is None:
        return None
    return value_and_gradient(
        lambda latent, condition: called(network, latent, condition), *facts, torch.float32
    )


def _times(
    ours: Images, theirs: Images, name: str, latent_dim: int, classes: int, together: int
) -> tuple[float, float]:
    """Median seconds of the processor, for which others may want it too, taken in turn."""
    own: list[float] = []
    their: list[float] = []
    count = _LEAST_TIMES
    while len(own) < count:
        for times, images in ((own, ours), (their, theirs)):
            started = time.process_time()
            value_and_gradient(images, name, latent_dim, classes, together, torch.float32)
            times.append(time.process_time() - started)
        count = min(max(_LEAST_TIMES, int(_SECONDS / max(their))), _MOST_TIMES)
    return median(own), median(their)


def _print_times(name: str, count: int, own: float, their: float) -> None:
    print(
        f"{name}: value and gradient of {count} images: ours {own * 1e3:.1f} ms, upstream's "
        f"{their * 1e3:.1f} ms, ratio {their / own:.2f}"
    )


def exact(opened: OpenedCheckpoint) -> Images:
    """Our generator in float64."""
    generator = build("generator", opened.translation.architecture, opened.arguments).double()
    generator.load_state_dict(opened.translation.weights)
    frozen: Images = generator.eval().requires_grad_(False)
    return frozen


def _returned(
    sets: int,
    images: Images,
    name: str,
    latent_dim: int,
    classes: int,
    count: int,
    dtype: torch.dtype,
) -> Returned:
    """Images and gradients at several sets of latents."""
    names = [f"{name}{index or ''}" for index in range(sets)]
    return [value_and_gradient(images, each, latent_dim, classes, count, dtype) for each in names]


def _print_differences(
    name: str, label: str, ours: tuple[Tensor, Tensor], theirs: tuple[Tensor, Tensor]
) -> None:
    (own, slope), (expected, gradient) = ours, theirs
    image = (own - expected).abs().max().item()
    relative = ((slope - gradient).abs().max() / gradient.abs().max()).item()
    print(
        f"{name}: {label}: max |Δ image| {image:.0e} (images have standard deviation "
        f"{expected.std():.2f}), max |Δ gradient| over the largest {relative:.0e}"
    )


def _print_rounding(name: str, ours: Returned, theirs: Returned, precise: Returned) -> None:
    """How far both float32 gradients are from upstream's float64 one, of the same weights."""
    own, their = relative_errors(ours, precise), relative_errors(theirs, precise)
    print(
        f"{name}: float32 gradient from upstream's float64 one, {len(own)} latents: upstream's own "
        f"{_spread(their)}; ours {_spread(own)}"
    )


def _spread(errors: Tensor) -> str:
    jumps = int((errors > _JUMP).sum())
    return f"median {errors.median():.1e}, largest {errors.max():.1e}, {jumps} above {_JUMP:.0e}"


def relative_errors(single: Returned, double: Returned) -> Tensor:
    """Of each latent's gradient, the largest difference over the largest entry."""
    rounded, precise = (
        torch.cat([slope.double() for _, slope in sets]) for sets in (single, double)
    )
    return (rounded - precise).abs().amax(1) / precise.abs().amax(1)


def record(name: str, case: Case, checkout: Path) -> None:
    """Writes the case's fixture: names, shapes, and some of what upstream returned in float64."""
    network = by_rule_network(case)
    with tempfile.TemporaryDirectory() as folder:
        opened = opened_here(case, network, Path(folder))
    shapes = {key: list(tensor.shape) for key, tensor in network.state_dict().items()}
    arguments = opened.arguments
    network.double()
    with single_precision_is_double():
        images, gradient = value_and_gradient(
            lambda latent, condition: case.images(network, latent, condition),
            name,
            arguments["latent_dim"],
            arguments["num_classes"],
            3,
            torch.float64,
        )
    content = {
        "family": case.family,
        "upstream": {
            "repository": case.repository,
            "commit": _commit(checkout),
            "file": case.file,
            "arguments": case.arguments,
        },
        "wrapped": case.wrapped,
        "settings": opened.file.settings,
        "precision": "float64",
        "latent_dim": arguments["latent_dim"],
        "num_classes": arguments["num_classes"],
        "image_shape": list(images.shape[1:]),
        "shapes": shapes,
        "image_mean": images.mean().item(),
        "image_std": images.std().item(),
        "images": _some(images),
        "gradient_norm": gradient.norm().item(),
        "gradient": _some(gradient),
    }
    for key in ("truncation", "mixed_precision"):
        if (value := getattr(case, key)) is not None:
            content[key] = value
    if opened.file.modules:
        content["modules"] = opened.file.modules
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(content, separators=(",", ":")))
    print(f"{path}: {path.stat().st_size:,} bytes")


def _some(tensor: Tensor) -> list[float]:
    places = torch.linspace(0, tensor.numel() - 1, min(_RECORDED_VALUES, tensor.numel())).long()
    return [float(f"{value:.12g}") for value in tensor.flatten()[places].tolist()]


def _commit(checkout: Path) -> str:
    command = ["git", "-C", str(checkout), "rev-parse", "HEAD"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=["list", "compare", "record"])
    parser.add_argument("case", nargs="?", choices=sorted(CASES))
    parser.add_argument("checkout", nargs="?", type=Path)
    parser.add_argument("--sets", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.what == "list":
        for name, case in CASES.items():
            print(f"{name}: {case.family}, of {case.repository}")
        return
    if arguments.checkout is None:
        parser.error("give a case and the checkout of its repository")
    sys.path.insert(0, str(arguments.checkout))
    case = CASES[arguments.case]
    if arguments.what == "compare":
        print(f"{arguments.case}: {case.repository} at {_commit(arguments.checkout)[:7]}")
        compare(arguments.case, case, arguments.sets)
    else:
        record(arguments.case, case, arguments.checkout)


if __name__ == "__main__":
    main()
