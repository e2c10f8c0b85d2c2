"""Trials of an inversion before a run: what they find, and when none is made."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from offmanifold.cluster.s3_settings import BY_ENVIRONMENT
from offmanifold.core.calls import Calls
from offmanifold.core.quantisation import quantisation_variance
from offmanifold.core.row_limit import LimitedGenerator
from offmanifold.core.settings.inversion import InversionSettings
from offmanifold.workers.datasets import ImageError
from offmanifold.workers.row_memory import limited
from offmanifold.workers.timing import Seconds
from offmanifold.workers.tried_errors import Trial, read_images, tried_errors
from PIL import Image
from torch import Tensor

LATENT, SIDE = 3, 6
SETTINGS = InversionSettings(bank=64, restarts=2, iterations=30, finalists=1, final_iterations=10)
CPU = torch.device("cpu")


class Linear:
    """G(z) = W z + 1/2: what inversion leaves of an image is known in closed form."""

    latent_dim, num_classes, image_shape = LATENT, 0, (1, SIDE, SIDE)

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        basis = np.linalg.qr(random.normal(size=(SIDE * SIDE, LATENT)))[0]
        self.weight = torch.tensor(0.2 * basis.T, dtype=torch.float32)

    def __call__(self, latent: Tensor, condition: Tensor | None) -> Tensor:
        assert condition is None
        return (latent @ self.weight + 0.5).view(-1, *self.image_shape)

    def to(self, _: torch.device) -> "Linear":
        return self

    def left(self, images: np.ndarray) -> float:
        """The mean squared error of the nearest images on the plane."""
        basis = self.weight.numpy() / 0.2
        offset = images.reshape(len(images), -1) - 0.5
        return float(np.square(offset - offset @ basis.T @ basis).mean())


@dataclass
class Steady:
    """Each row of a call takes as long."""

    row: float

    @property
    def decoding(self) -> Seconds:
        return Seconds(self.row, self.row)

    def of_calls(self, calls: Iterable[Calls], images: int) -> Seconds:
        rows = sum(each.times * each.rows for each in calls) * images
        return self.decoding.times(rows)


def generator() -> LimitedGenerator:
    return limited(Linear(), CPU)


def trial(levels: int | None = 256) -> Trial:
    data = np.random.default_rng(1).random((4, 1, SIDE, SIDE), dtype=np.float32)
    return Trial(data, None, levels, SETTINGS)


@pytest.mark.parametrize("levels", [16, 256])
def test_it_finds_what_is_left_of_the_data_and_of_what_was_stored(levels: int) -> None:
    asked = trial(levels)
    found = tried_errors(generator(), CPU, asked, Steady(0.0))
    assert found is not None
    assert not found.lean
    assert found.data == pytest.approx(Linear().left(asked.data), rel=1e-3)
    # Of 144 rounded values a part lies along the plane.
    stored = (1 - LATENT / SIDE**2) * quantisation_variance(levels)
    assert found.own == pytest.approx(stored, rel=0.4)


def test_of_a_slow_generator_it_is_leaner_and_leaves_more() -> None:
    whole = tried_errors(generator(), CPU, trial(), Steady(0.0))
    lean = tried_errors(generator(), CPU, trial(), Steady(0.01))
    assert whole is not None
    assert lean is not None
    assert lean.lean
    assert lean.data >= whole.data * (1 - 1e-6)
    assert lean.own >= whole.own
    assert tried_errors(generator(), CPU, trial(), Steady(1.0)) is None


def test_what_fails_or_is_not_finite_is_no_error_of_a_plan() -> None:
    class Failing(Linear):
        def __call__(self, latent: Tensor, condition: Tensor | None) -> Tensor:
            del latent, condition
            raise RuntimeError("never")

    class Endless(Linear):
        def __call__(self, latent: Tensor, condition: Tensor | None) -> Tensor:
            return super().__call__(latent, condition) * torch.inf

    for broken in (Failing(), Endless()):
        given = LimitedGenerator(broken, generator().limit)
        assert tried_errors(given, CPU, trial(), Steady(0.0)) is None


def test_images_are_read_where_they_are_asked_for(tmp_path: Path) -> None:
    for number in range(3):
        Image.new("L", (SIDE, SIDE), 100 * number).save(tmp_path / f"{number}.png")
    shape = [1, SIDE, SIDE]
    settings = {"dataset": "folder", "split": None, "path": str(tmp_path), "image_shape": shape}
    pixels, labels = read_images({**settings, "seed": 0}, [2, 0], BY_ENVIRONMENT)
    assert pixels.shape == (2, *shape)
    assert pixels.mean((1, 2, 3)) == pytest.approx([200 / 255, 0])
    assert len(labels) == 2
    (tmp_path / "1.png").write_text("no picture")
    with pytest.raises(ImageError, match=r"1\.png"):
        read_images({**settings, "seed": 0}, [1], BY_ENVIRONMENT)
