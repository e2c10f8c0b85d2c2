"""Our ALI and Improved-GAN beside upstream's own code, which needs Theano and an old Python.

    python -m tests.families.theano_parity CASE PYTHON CHECKOUT [BLOCKS]

CASE is one of those below; PYTHON is that of an environment with Theano (which, is said in
docs/families/parity.md); CHECKOUT is upstream's repository and BLOCKS, for ALI, that of
mila-iqia/blocks. Prints how far images and their gradient in the latent differ, in float32 and in
float64, and the processor time of upstream's over ours in float32: one thread, OpenBLAS in Theano,
one process after the other, the median of five.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from offmanifold.core.generators.families.transposed import batch
from offmanifold.workers.checkpoints.opening import build_checkpoint, open_checkpoint
from scipy.stats import norm

from .rule import draws
from .upstream import Images, exact, value_and_gradient

_SCRIPT = Path(__file__).parent / "upstream_theano.py"
_COUNT = 4
_TIMES = 5
Numbers = NDArray[np.floating]
# Of each case: the latent's size, and the images' side.
CASES = {
    "ali:cifar10": (64, 32),
    "ali:svhn": (256, 32),
    "ali:celeba": (256, 64),
    "ali:tiny_imagenet": (256, 64),
    "improved-gan:cifar_feature_matching": (100, 32),
    "improved-gan:cifar_minibatch_discrimination": (100, 32),
    "improved-gan:svhn_feature_matching": (100, 32),
}


def compare(case: str, python: str, checkouts: list[str], precision: str, folder: Path) -> None:
    """Runs upstream's code on latents of ours, opens its file here, and prints the differences."""
    latent_dim, side = CASES[case]
    family = case.partition(":")[0]
    uniform = family == "improved-gan"
    latent, cotangent = drawn_here(case, latent_dim, side)
    own = norm.cdf(latent) if uniform else latent
    statistics = batch(latent_dim, uniform).numpy()
    np.savez(folder / "given.npz", latent=own, cotangent=cotangent, batch=statistics, times=_TIMES)
    settings = {
        "THEANO_FLAGS": f"device=cpu,floatX={precision},blas.ldflags=-lopenblas",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [python, str(_SCRIPT), case, str(folder), *checkouts]
    subprocess.run(command, check=True, env={**os.environ, **settings})
    returned = np.load(folder / "returned.npz")
    # The latents in our tables are standard normal: the chain rule.
    expected = returned["gradient"] * (norm.pdf(latent) if uniform else 1)

    opened = open_checkpoint(folder / ("gen_params.npz" if uniform else "ali.tar"))
    assert opened.family == family
    ours = build_checkpoint(opened) if precision == "float32" else exact(opened)
    facts = (case, latent_dim, 0, _COUNT, getattr(torch, precision))
    images, gradient = (tensor.numpy() for tensor in value_and_gradient(ours, *facts))
    apart = abs(images - returned["images"]).max()
    relative = abs(gradient - expected).max() / abs(expected).max()
    print(
        f"{case}: {precision}: max |Δ image| {apart:.0e} (images have standard deviation "
        f"{images.std():.2f}), max |Δ gradient| over the largest {relative:.0e}"
    )
    if precision == "float32":
        own_seconds, their_seconds = _seconds(ours, facts), float(returned["seconds"])
        print(
            f"{case}: value and gradient of {_COUNT} images: ours {own_seconds * 1e3:.1f} ms, "
            f"upstream's {their_seconds * 1e3:.1f} ms, ratio {their_seconds / own_seconds:.2f}"
        )


def _seconds(ours: Images, facts: tuple[str, int, int, int, torch.dtype]) -> float:
    seconds = []
    for _ in range(_TIMES):
        started = time.process_time()
        value_and_gradient(ours, *facts)
        seconds.append(time.process_time() - started)
    return median(seconds)


def drawn_here(case: str, latent_dim: int, side: int) -> tuple[Numbers, Numbers]:
    """Standard normal latents, and the numbers that `value_and_gradient` multiplies images by."""
    latent = draws(f"{case}/latent", _COUNT, latent_dim)
    return latent.double().numpy(), draws(f"{case}/cotangent", _COUNT, 3, side, side).numpy()


def main() -> None:
    """Reads the command line."""
    if len(sys.argv) < 4 or sys.argv[1] not in CASES:
        raise SystemExit(f"{__doc__}\nThe cases: {', '.join(CASES)}")
    case, python, *checkouts = sys.argv[1:]
    torch.set_num_threads(1)
    for precision in ("float32", "float64"):
        with tempfile.TemporaryDirectory() as folder:
            compare(case, python, checkouts, precision, Path(folder))


if __name__ == "__main__":
    main()
