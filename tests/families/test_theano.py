"""ALI and Improved-GAN without Theano, whose operations are derived anew, in numpy.

`theano_parity` compares with upstream's own code, in an environment that has it.

A deconvolution is by its definition the transpose of a strided convolution, and the convolution
here is scipy's, whose kernels are flipped as Theano's are.
"""

import io
import os
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from offmanifold.core.generators.architectures import build
from offmanifold.core.generators.families.transposed import batch
from offmanifold.workers.checkpoints.files import read_checkpoint
from offmanifold.workers.checkpoints.opening import build_checkpoint, open_checkpoint
from offmanifold.workers.generators import GeneratorError
from offmanifold.workers.own_generator import check_generator
from scipy.signal import convolve2d
from scipy.special import expit
from scipy.stats import norm

from .theano_files import ALI_NETWORKS, ali_arrays, as_blocks_writes, improved_arrays, save

Numbers = NDArray[np.float64]


def deconvolve(maps: Numbers, kernel: Numbers, stride: int, padding: int, side: int) -> Numbers:
    """The transpose of a convolution of ``side`` x ``side`` images by ``kernel`` [ours, theirs].

    Convolving an image of indices by a kernel of one tap says which pixel that tap meets at each
    place of the result; transposed, the place gives to the pixel what it took from it.
    """
    indices = np.pad(np.arange(1, side**2 + 1).reshape(side, side), padding)
    made = np.zeros((len(maps), kernel.shape[1], side**2 + 1))
    for tap in np.ndindex(*kernel.shape[2:]):
        one = np.zeros(kernel.shape[2:], dtype=np.int64)
        one[tap] = 1
        meets = convolve2d(indices, one, mode="valid")[::stride, ::stride].ravel()
        gives = np.einsum("nip,io->nop", maps.reshape(*maps.shape[:2], -1), kernel[:, :, *tap])
        np.add.at(made.T, meets, gives.T)
    return made[:, :, 1:].reshape(len(maps), -1, side, side)


def leaky(maps: Numbers, leak: float) -> Numbers:
    return np.where(maps > 0, maps, leak * maps)


def batch_statistics(maps: Numbers, places: tuple[int, ...], epsilon: float) -> tuple[Any, Any]:
    mean = maps.mean(places, keepdims=True)
    return mean, np.sqrt(((maps - mean) ** 2).mean(places, keepdims=True) + epsilon)


def agree(path: Path, reference: Callable[[Numbers], Numbers], latent_dim: int, near: float) -> Any:
    """Our images, in both precisions, and a derivative, are those of the reference."""
    opened = open_checkpoint(path)
    latent = np.random.default_rng(5).standard_normal((4, latent_dim))
    expected = reference(latent)
    assert expected.std() > 0.05
    generator = build_checkpoint(opened)
    check_generator("theano", generator)
    images = generator(torch.from_numpy(latent).float(), None)
    np.testing.assert_allclose(images.numpy(), expected, atol=1e-5 + near, rtol=0)
    exact = build("generator", opened.translation.architecture, opened.arguments).double()
    exact.load_state_dict(opened.translation.weights)
    exact.requires_grad_(False)
    np.testing.assert_allclose(exact(torch.from_numpy(latent), None), expected, atol=near, rtol=0)
    # A central difference errs by rounding over its step, and where a step crosses a kink.
    step = 1e-7
    along = np.random.default_rng(6).standard_normal(latent.shape)
    slope = (reference(latent + step * along) - reference(latent - step * along)) / (2 * step)
    both = torch.from_numpy(latent), torch.from_numpy(along)
    ours = torch.func.jvp(lambda z: exact(z, None), both[:1], both[1:])[1]
    np.testing.assert_allclose(ours, slope, atol=1e-6 + 10 * near, rtol=0)
    return opened


def ali_reference(network: str, arrays: dict[str, Any]) -> Callable[[Numbers], Numbers]:
    latent_dim, leak, layers = ALI_NETWORKS[network]
    own = [array for name, array in arrays.items() if "decoder" in name]
    count = (len(own) - 2) // len(layers)

    def layer(maps: Numbers, index: int, statistics: Any = None) -> tuple[Numbers, Any]:
        kernel, shift, scale, *stored = own[count * index : count * (index + 1)]
        _, side, stride = layers[index]
        size = (maps.shape[2] - 1) * stride + side
        maps = deconvolve(maps, kernel.transpose(1, 0, 2, 3), stride, 0, size)
        mean, deviation = stored or statistics or batch_statistics(maps, (0, 2, 3), 1e-4)
        return leaky((maps - mean) / deviation * scale + shift, leak), (mean, deviation)

    found = []
    if count == 3:
        maps = batch(latent_dim, uniform=False).numpy()[:, :, None, None]
        for index in range(len(layers)):
            maps, statistics = layer(maps, index)
            found.append(statistics)

    def images(latent: Numbers) -> Numbers:
        maps = latent[:, :, None, None]
        for index in range(len(layers)):
            maps, _ = layer(maps, index, found[index] if found else None)
        last, bias = own[-2:]
        return np.asarray(expit(np.einsum("nihw,oi->nohw", maps, last[:, :, 0, 0]) + bias))

    return images


@pytest.mark.parametrize("network", ALI_NETWORKS)
def test_ali_with_its_population_statistics(network: str, tmp_path: Path) -> None:
    arrays = ali_arrays(network, stored=True)
    save(tmp_path / "ali.npz", arrays)
    latent_dim, leak, _ = ALI_NETWORKS[network]
    opened = agree(tmp_path / "ali.npz", ali_reference(network, arrays), latent_dim, 1e-10)
    assert opened.family == "ali"
    assert opened.arguments["leak"] == leak
    assert any("stored population" in note for note in opened.translation.notes)


class Payload:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


def test_ali_in_blocks_tar_without_statistics(tmp_path: Path) -> None:
    """Its pickle, of the whole training, is never looked at."""
    arrays = ali_arrays("svhn", stored=False)
    save(tmp_path / "parameters.npz", as_blocks_writes(arrays))
    path = tmp_path / "ali_svhn.tar"
    with tarfile.open(path, "w") as archive:
        members = {
            "_parameters": (tmp_path / "parameters.npz").read_bytes(),
            "_pkl": pickle.dumps(Payload(tmp_path / "t")),
        }
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    # Statistics are computed in float32, and divided by.
    opened = agree(path, ali_reference("svhn", arrays), 7, 2e-5)
    assert any("no population statistics" in note for note in opened.translation.notes)
    assert not (tmp_path / "t").exists()
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("_pkl"))
    with pytest.raises(GeneratorError, match="without the member '_parameters'"):
        open_checkpoint(path)


def test_compressed_arrays_may_be_more_than_their_file(tmp_path: Path) -> None:
    path = tmp_path / "ali.npz"
    np.savez_compressed(path, weights=np.ones(10_000, dtype=np.float32))
    assert path.stat().st_size < 10_000
    assert read_checkpoint(path).candidates[0].tensors["weights"].sum() == 10_000


def test_an_order_that_was_lost_is_not_guessed(tmp_path: Path) -> None:
    arrays = ali_arrays("svhn", stored=True)
    save(tmp_path / "ali.npz", dict(sorted(arrays.items())))
    with pytest.raises(GeneratorError, match="only the order in the file"):
        open_checkpoint(tmp_path / "ali.npz")


def test_an_unknown_network_of_ali_is_refused(tmp_path: Path) -> None:
    arrays = ali_arrays("svhn", stored=True)
    cut = {name: array for name, array in arrays.items() if name.partition(".")[0][-1] != "5"}
    save(tmp_path / "ali.npz", cut)
    with pytest.raises(GeneratorError, match="unknown here"):
        open_checkpoint(tmp_path / "ali.npz")


def improved_reference(arrays: list[Any], latent_dim: int) -> Callable[[Numbers], Numbers]:
    *hidden, last, offset, gain = arrays
    epsilon = 1e-6
    first = len(hidden[1]) // 16

    def layer(maps: Numbers, index: int, statistics: Any = None) -> tuple[Numbers, Any]:
        weight, shift = hidden[2 * index : 2 * index + 2]
        if index:
            maps = deconvolve(maps, weight, 2, 2, 2 * maps.shape[2])
            shift = shift[:, None, None]
        else:
            maps = maps @ weight
        places = (0, 2, 3) if index else (0,)
        mean, deviation = statistics or batch_statistics(maps, places, epsilon)
        maps = np.maximum((maps - mean) / deviation + shift, 0)
        return (maps if index else maps.reshape(-1, first, 4, 4)), (mean, deviation)

    maps, found = batch(latent_dim, uniform=True).numpy(), []
    for index in range(len(hidden) // 2):
        maps, statistics = layer(maps, index)
        found.append(statistics)

    def images(latent: Numbers) -> Numbers:
        maps = norm.cdf(latent)
        for index, statistics in enumerate(found):
            maps, _ = layer(maps, index, statistics)
        scale = gain / np.sqrt(epsilon + (last.astype(np.float64) ** 2).sum((0, 2, 3)))
        maps = deconvolve(maps, last * scale[:, None, None], 2, 2, 2 * maps.shape[2])
        return np.asarray((np.tanh(maps + offset[:, None, None]) + 1) / 2)

    return images


def test_improved_gan(tmp_path: Path) -> None:
    arrays = improved_arrays([6, 5, 4, 3], 9)
    path = tmp_path / "gen_params.npz"
    np.savez(path, *arrays)
    opened = agree(path, improved_reference(arrays, 9), 9, 2e-5)
    assert opened.family == "improved-gan"
    assert opened.arguments["image_shape"] == [3, 32, 32]
    np.savez(path, *arrays[:-1])
    with pytest.raises(GeneratorError, match="to no known family"):
        open_checkpoint(path)
    with pytest.raises(GeneratorError, match="only the trainable parameters of a generator"):
        open_checkpoint(path, "improved-gan")
