import numpy as np
import pytest
import torch
from offmanifold.core.statistics.neighbour_lists import nearest_lists
from offmanifold.core.statistics.views import flip, nearest_view, pixel_views, shift, zoom


def pictures(seed: int, count: int = 40) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.rand(count, 1, 12, 10, generator=random)


def test_a_shift_moves_whole_pixels_and_repeats_the_border() -> None:
    images = pictures(0)
    moved = shift(images, 1, -2)
    assert moved.shape == images.shape
    assert torch.equal(moved[..., 1:, :-2], images[..., :-1, 2:])
    assert torch.equal(moved[..., 0, :-2], images[..., 0, 2:])
    assert torch.equal(moved[..., 1:, -1], images[..., :-1, -1])
    assert torch.equal(shift(images, 0, 0), images)


def test_zoom_keeps_the_middle() -> None:
    image = torch.zeros(1, 3, 20, 20)
    image[..., 8:12, 8:12] = 1
    large = zoom(image, 1.5)
    assert large.shape == image.shape
    # Areas grow by the square of the factor.
    assert large.sum() / image.sum() == pytest.approx(1.5**2, rel=0.02)
    assert torch.allclose(large, large.flip(-1))


@pytest.mark.parametrize(
    ("name", "copied"),
    [
        ("pixels", lambda images: images),
        ("brightness", lambda images: 0.6 * images),
        ("flip", flip),
        ("shift -1 +1", lambda images: shift(images, -1, 1)),
        ("shift +2 +0", lambda images: shift(images, 2, 0)),
        ("zoom 1.1", lambda images: zoom(images, 1.1)),
    ],
)
def test_each_view_sees_its_copies(name, copied) -> None:
    training = pictures(1)
    queries = copied(training[[7, 3]])
    found = {}
    for view in pixel_views():
        lists = nearest_lists(view.queries(queries), view.references(training), 20)
        found[view.name] = lists.distance[:, 0] / lists.distance.mean(axis=1)
        if view.name == name:
            assert lists.index[:, 0].tolist() == [7, 3]
    least, views = nearest_view(found)
    assert least == pytest.approx(np.zeros(2), abs=1e-6)
    assert set(views) <= {name, "brightness"}


def test_views_are_named_once() -> None:
    names = [view.name for view in pixel_views()]
    assert len(set(names)) == len(names)
    with pytest.raises(ValueError, match="no views"):
        nearest_view({})


def test_black_images_have_no_length_to_divide_by() -> None:
    view = next(view for view in pixel_views() if view.unit)
    assert (view.queries(torch.zeros(2, 1, 3, 3)) == 0).all()
