"""How many rows a worker computes at once: by its part of the memory, and of the largest member."""

import os
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from offmanifold.cluster.local_storage import LocalStorage
from offmanifold.cluster.resources import available_cpus
from offmanifold.core.curvature import jacobian_bytes
from offmanifold.core.generators.class_set import ClassSetGenerator
from offmanifold.core.row_limit import bytes_of_row
from offmanifold.core.settings.search import JACOBIAN_BYTES
from offmanifold.workers.generators import open_generator
from offmanifold.workers.row_memory import (
    _main_memory,
    bytes_of_derivative,
    fixed_rows,
    limited,
)
from offmanifold.workers.runner import WorkerFactory
from torch import Tensor

from ..small_generators import stylegan2_arguments, untrained

CPU = torch.device("cpu")


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Member:
    """An unconditional generator that keeps so many numbers a row."""

    latent_dim, num_classes, image_shape = 2, 0, (1, 1, 1)

    def __init__(self, width: int) -> None:
        self.weight = torch.ones(2, width)

    def __call__(self, latent: Tensor, condition: Tensor | None) -> Tensor:
        assert condition is None
        return torch.sigmoid(latent @ self.weight).mean(1).view(-1, 1, 1, 1)

    def to(self, device: torch.device) -> "Member":
        del device
        return self


@pytest.mark.usefixtures("one_thread")
def test_rows_take_half_of_the_workers_part_of_the_machine() -> None:
    large = Member(1 << 20)
    row = bytes_of_row(large, CPU)
    rows = limited(large, CPU).limit.rows
    part = _main_memory() / available_cpus()
    block = fixed_rows(2 * row)
    assert rows % block == 0
    assert row * rows <= part / 4 <= row * (rows + block)


@pytest.mark.usefixtures("one_thread")
def test_the_row_of_a_set_is_that_of_its_largest_member() -> None:
    # Class 0 is missing: no condition that is made up fits every set.
    members = ClassSetGenerator({1: Member(8), 4: Member(1 << 20)})
    assert limited(members, CPU).limit.rows == limited(Member(1 << 20), CPU).limit.rows


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", ["digits", "fashion"])
def test_memory_has_room_for_all_rows_of_a_shard_of_a_small_generator(name: str) -> None:
    generator = open_generator(f"shipped:{name}").generator
    gibibyte = 1 << 30
    with patch("offmanifold.workers.row_memory._main_memory", lambda: 2 * gibibyte):
        assert limited(generator, CPU).limit.rows * available_cpus() > 64 * 75


@pytest.mark.parametrize("name", ["digits", "fashion"])
def test_a_cpu_differentiates_few_blocks_together(name: str) -> None:
    generator = open_generator(f"shipped:{name}").generator
    images, points = limited(generator, CPU).limit.at_once(1000, 4)
    block = fixed_rows(bytes_of_derivative(generator, CPU))
    assert points == 4
    assert 4 * block <= 4 * images <= 8 * block


def test_a_set_of_generators_keeps_its_rows_together() -> None:
    # They are parted by class, and fill up a block of each.
    members = ClassSetGenerator({0: Member(8), 1: Member(8)})
    assert limited(members, CPU).limit.at_once(1000, 4) == (1000, 4)


def test_memory_too_small_for_a_row_is_left_to_a_single_one() -> None:
    with patch("offmanifold.workers.row_memory._main_memory", lambda: 1):
        assert limited(Member(8), CPU).limit.rows == 1


@pytest.mark.parametrize("name", ["memory.max", "memory/memory.limit_in_bytes"])
def test_a_container_has_the_memory_that_it_is_granted(tmp_path: Path, name: str) -> None:
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert _main_memory(tmp_path) == whole
    granted = tmp_path / name
    granted.parent.mkdir(exist_ok=True)
    for text, expected in (("1048576\n", 1 << 20), ("max\n", whole), (f"{1 << 62}\n", whole)):
        granted.write_text(text)
        assert _main_memory(tmp_path) == expected


@pytest.mark.parametrize(("share", "told"), [(0, []), (1, []), (2, []), (0.5, [0.5])])
def test_workers_that_share_a_gpu_take_their_part_of_its_memory(
    tmp_path: Path, share: float, told: list[float]
) -> None:
    found: list[float] = []
    with (
        patch("torch.cuda.set_per_process_memory_fraction", found.append),
        patch("torch.cuda.is_available", lambda: True),
    ):
        WorkerFactory(LocalStorage(tmp_path), torch.get_num_threads(), gpu_share=share)()
    assert found == told


@pytest.mark.parametrize(
    ("side", "measured", "rows"), [(32, 28.8, 248), (256, 621, 11), (1024, 2656, 2)]
)
def test_rows_of_a_stylegan2_on_24_gibibytes(side: int, measured: float, rows: int) -> None:
    """By arithmetic, of published widths; ``measured`` are the MiB of a gradient on an H200."""
    resolutions = [4 << index for index in range((side // 4).bit_length())]
    channels = [min(512, 32768 // resolution) for resolution in resolutions]
    generator = untrained("stylegan2", stylegan2_arguments(channels, 512, 10))
    meta = torch.device("meta")
    row = bytes_of_derivative(generator.to(meta), meta)
    assert measured * 2**20 <= row <= 2 * measured * 2**20
    assert 24 * 2**30 // 2 // row == rows
    # With 512 latents the Jacobian is taken by parts, beside which a row's layers are held twice.
    pixels = 3 * side**2
    jacobian = jacobian_bytes(512, pixels, 10, JACOBIAN_BYTES, rows=rows, block=1)
    assert jacobian < 2**30
