import hashlib
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from offmanifold.workers.generators import (
    GeneratorError,
    GeneratorSource,
    describe_generator,
    open_generator,
)
from offmanifold.workers.held_numbers import holds_numbers, identity

MODULE = """
import sys
from pathlib import Path

import torch
from torch import nn
from offmanifold.core.generators.adapter import ModuleGenerator


class Own:
    latent_dim, num_classes, image_shape = 2, 3, (1, 2, 2)

    def __call__(self, latent, condition):
        return (latent.sum(dim=1) + condition).sigmoid()[:, None, None, None].expand(-1, 1, 2, 2)

    def to(self, device):
        return self


def good():
    return Own()


def wrapped():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Tanh())
    shapes = dict(latent_dim=2, num_classes=0, image_shape=(1, 2, 2))
    return ModuleGenerator(module, **shapes, native_range=(-1, 1))


def no_range():
    shapes = dict(latent_dim=2, num_classes=0, image_shape=(1, 2, 2))
    return ModuleGenerator(nn.Linear(2, 4), **shapes)


class Pixels(nn.Module):
    def __init__(self, low, high):
        super().__init__()
        self.low, self.high = low, high
        torch.manual_seed(0)
        self.register_buffer("weights", torch.randn(2, 100))

    def forward(self, latent):
        return self.low + (self.high - self.low) * (latent @ self.weights).sigmoid()


def pixels(low, high, native_range):
    shapes = dict(latent_dim=2, num_classes=0, image_shape=(1, 10, 10))
    return ModuleGenerator(Pixels(low, high), **shapes, native_range=native_range)


def sigmoid_as_tanh(): return pixels(0.1, 0.88, (-1, 1))
def sigmoid_as_bytes(): return pixels(0, 1, (0, 255))
def tanh_as_sigmoid(): return pixels(-1, 1, (0, 1))
def bytes_as_tanh(): return pixels(0, 255, (-1, 1))
def bytes_as_sigmoid(): return pixels(0, 255, (0, 1))
def tanh_rightly(): return pixels(-1, 1, (-1, 1))
def sigmoid_rightly(): return pixels(0.5, 0.95, (0, 1))
def bytes_rightly(): return pixels(0, 255, (0, 255))
def unbounded(): return pixels(-1.12, 1.12, (-1, 1))
def mapped_twice(): return Called(lambda x: (x + 1) / 2)


def faulty(change):
    generator = Own()
    change(generator)
    return generator


class Called(Own):
    def __init__(self, call):
        self.call = call

    def __call__(self, latent, condition):
        return self.call(super().__call__(latent, condition))


class Fixed(Called):
    def __init__(self, call, **held):
        super().__init__(call)
        vars(self).update(held)


def loaded():
    weights = torch.load(Path(__file__).with_name("weights.bin"))
    network = nn.Linear(2, 4)
    network.load_state_dict(weights)
    shapes = dict(latent_dim=2, num_classes=0, image_shape=(1, 2, 2))
    module = nn.Sequential(network, nn.Sigmoid())
    return ModuleGenerator(module, **shapes, native_range=(0, 1))


def loaded_plainly():
    weights = torch.load(Path(__file__).with_name("weights.bin"))
    return Fixed(lambda x: x, parts=[{"bias": weights["bias"].numpy()}])


def loaded_inside():
    return Fixed(lambda x: x, network=loaded())


def unseeded():
    shapes = dict(latent_dim=2, num_classes=0, image_shape=(1, 2, 2))
    module = nn.Sequential(nn.Linear(2, 4), nn.Sigmoid())
    return ModuleGenerator(module, **shapes, native_range=(0, 1))


class Lazy(nn.Module):
    latent_dim, num_classes, image_shape = 2, 0, (1, 2, 2)

    def __init__(self):
        super().__init__()
        self.network = nn.LazyLinear(4)

    def forward(self, latent, condition):
        return self.network(latent).sigmoid().view(-1, 1, 2, 2)


def lazy(): return Lazy()


class Shown(nn.Module):
    def __init__(self, show):
        super().__init__()
        torch.manual_seed(0)
        self.show, self.network = show, nn.Sequential(nn.Linear(2, 24), nn.Sigmoid())

    def forward(self, latent):
        return self.show(self.network(latent).view(-1, 3, 2, 4))


def shown(show, image_shape=(3, 2, 4)):
    shapes = dict(latent_dim=2, num_classes=0, image_shape=image_shape)
    return ModuleGenerator(Shown(show), **shapes, native_range=(0, 1))


class Immovable(Own):
    def to(self, device): pass


class Alone(Own):
    def __call__(self, latent, condition):
        if len(latent) == 1:
            raise ValueError("a batch of one")
        return super().__call__(latent, condition)


def immovable(): return Immovable()
def not_alone(): return Alone()
def flat(): return shown(lambda x: x.flatten(1))
def grey(): return shown(lambda x: x[:, 0], (1, 2, 4))
def channels_last(): return shown(lambda x: x.permute(0, 2, 3, 1))
def transposed(): return shown(lambda x: x.transpose(2, 3))
def too_few(): return shown(lambda x: x[:1])
def a_tuple(): return shown(lambda x: (x, None))
def a_dictionary(): return shown(lambda x: {"images": x})
def network_of_bytes(): return shown(lambda x: (255 * x).to(torch.uint8))
def exits(): sys.exit(0)
def call_exits(): return Called(lambda x: sys.exit("usage: sample.py"))
def no_latent_dim(): return faulty(lambda g: setattr(g, "latent_dim", None))
def list_shape(): return faulty(lambda g: setattr(g, "image_shape", [1, 2, 2]))
def a_number(): return 7
def fails(): raise RuntimeError("no such checkpoint")
def call_fails(): return Called(lambda x: x @ torch.zeros(3, 3))
def native(): return Called(lambda x: 2 * x - 1)
def wrong_shape(): return Called(lambda x: x[:, :, :1])
def not_finite(): return Called(lambda x: x / 0)
def whole_numbers(): return Called(lambda x: (255 * x).to(torch.uint8))
def noisy(): return Called(lambda x: 0.5 * (x + torch.rand(())))
def detached(): return Called(lambda x: x.detach())
def in_training(): return Called(lambda x: nn.BatchNorm1d(4)(x.flatten(1)).view(-1, 1, 2, 2))
def by_batch(): return Called(lambda x: x / len(x))
def double(): return Called(lambda x: x.double())
def half(): return Called(lambda x: x.half())
def coarse(): return Called(lambda x: x.bfloat16())
def half_weights(): return Called(lambda x: x.flatten(1) @ torch.eye(4).half())


class Doubled(Pixels):
    def forward(self, latent):
        return super().forward(latent).double()


def double_network():
    shapes = dict(latent_dim=2, num_classes=0, image_shape=(1, 10, 10))
    return ModuleGenerator(Doubled(0, 1), **shapes, native_range=(0, 1))


class Squared(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, gradient):
        return 2 * gradient * ctx.saved_tensors[0]


class Kept(Own):
    def __init__(self):
        self.seen = torch.zeros(64, 1, 2, 2)

    def __call__(self, latent, condition):
        images = super().__call__(latent, condition)
        self.seen[: len(images)] = images
        return images + 0 * self.seen[: len(images)].detach()


def backward_only(): return Called(Squared.apply)
def branching(): return Called(lambda x: x if float(x.max()) > 0 else 2 * x)
def writing(): return Kept()

value = 3
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    (folder / "own_model_under_test.py").write_text(MODULE)
    return folder


@pytest.mark.parametrize(("name", "classes"), [("good", 3), ("wrapped", 0)])
def test_a_function_is_called_from_the_base_folder(base: Path, name: str, classes: int) -> None:
    source = f"own_model_under_test:{name}"
    opened = open_generator(GeneratorSource(source, str(base)))
    assert opened.description.num_classes == classes
    # Of what holds no weights it is the source file's alone.
    source_alone = opened.sha256 == hashlib.sha256(MODULE.encode()).hexdigest()
    assert source_alone == (name == "good")
    assert describe_generator(GeneratorSource(source, str(base))) == opened.description
    condition = torch.zeros(4, dtype=torch.int64) if classes else None
    assert opened.generator(torch.zeros(4, 2), condition).shape == (4, 1, 2, 2)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "has no function 'nothing'"),
        ("value", "has no function 'value'"),
        ("fails", "RuntimeError: no such checkpoint"),
        ("exits", "SystemExit: 0, which ends the program: .*__main__"),
        ("call_exits", "raised SystemExit: usage: sample.py, which ends the program"),
        ("immovable", r"to\(device\) must return the generator.*not None"),
        ("not_alone", r"called with latents \[1, 2\] and class indices \[1\] it raised ValueError"),
        ("channels_last", r"\[8, 2, 4, 3\].*\[8, 3, 2, 4\]; .*images\.permute\(0, 3, 1, 2\)"),
        ("transposed", r"\[8, 3, 4, 2\].*\[8, 3, 2, 4\]; .*height, width"),
        ("too_few", r"\[1, 3, 2, 4\] for 8 latents"),
        ("a_tuple", "must return a float tensor, not tuple"),
        ("a_dictionary", "must return a float tensor, not dict"),
        ("network_of_bytes", r"must return a float tensor, not torch\.uint8: .*before they are r"),
        ("lazy", "parameters that its first call makes, at random"),
        ("a_number", "int.latent_dim must be a positive int.*missing"),
        ("no_latent_dim", "latent_dim must be a positive int.*None"),
        ("list_shape", r"image_shape must be a tuple.*\[1, 2, 2\]"),
        ("call_fails", r"called with latents \[8, 2\] and class indices \[8\] it raised"),
        ("no_range", r"native_range is missing.*Add native_range=\(-1, 1\) if it ends in tanh"),
        ("native", r"values from -.* to .*must be in \[0, 1\]"),
        ("wrong_shape", r"\[8, 1, 1, 2\].*\[8, 1, 2, 2\]"),
        ("not_finite", "not finite"),
        ("whole_numbers", r"float tensor, not torch\.uint8"),
        ("double", r"torch\.float64 images for float32 latents; .*add \.float\(\)"),
        ("half", r"torch\.float16 images for float32.*too coarse.*network\.float\(\)"),
        ("coarse", r"torch\.bfloat16 images for float32.*too coarse"),
        ("half_weights", r"same dtype.*; compute in float32 \(network\.float\(\)"),
        ("noisy", "two different images for the same latent"),
        ("detached", "is not differentiable"),
        ("by_batch", "evaluation mode"),
        ("in_training", r"a single latent by a batch normalisation: put .*network\.eval\(\)"),
    ],
)
def test_a_breach_of_the_protocol_is_explained(base: Path, name: str, message: str) -> None:
    with pytest.raises(GeneratorError, match=f"(?s)own_model_under_test:{name}.*{message}"):
        open_generator(GeneratorSource(f"own_model_under_test:{name}", str(base)))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("backward_only", "RuntimeError: .*(vmap|forward mode|jvp)"),
        ("writing", "RuntimeError: .*in-place"),
        ("branching", None),
        ("good", None),
        ("wrapped", None),
        ("double_network", None),
    ],
)
def test_a_generator_without_a_jacobian_is_known_by_what_torch_says(
    base: Path, name: str, said: str | None
) -> None:
    found = describe_generator(GeneratorSource(f"own_model_under_test:{name}", str(base)))
    if said is None:
        assert found.no_jacobian is None
    else:
        assert found.no_jacobian is not None
        assert re.match(said, found.no_jacobian), found.no_jacobian


@pytest.mark.parametrize("name", ["flat", "grey"])
def test_rows_of_pixels_and_grey_images_are_given_their_shape(base: Path, name: str) -> None:
    opened = open_generator(GeneratorSource(f"own_model_under_test:{name}", str(base)))
    latent = torch.ones(2, 2)
    network: Any = opened.generator
    expected = network.module.network(latent).view(2, 3, 2, 4)
    if name == "grey":
        expected = expected[:, :1]
    assert torch.equal(opened.generator(latent, None), expected)


@pytest.mark.parametrize("name", ["loaded", "loaded_plainly", "loaded_inside"])
def test_weights_are_part_of_what_a_function_is_known_by(base: Path, name: str) -> None:
    source = GeneratorSource(f"own_model_under_test:{name}", str(base))
    found = []
    for seed in (0, 0, 1):
        random = torch.Generator().manual_seed(seed)
        weights = {
            "weight": torch.randn(4, 2, generator=random),
            "bias": torch.randn(4, generator=random),
        }
        torch.save(weights, base / "weights.bin")
        found.append(describe_generator(source).sha256)
        assert open_generator(source).sha256 == found[-1]
    assert found[0] == found[1] != found[2]


def test_a_network_that_is_another_one_each_time_is_refused(base: Path) -> None:
    with pytest.raises(GeneratorError, match=r"differ each time .*torch\.manual_seed\(0\)"):
        describe_generator(GeneratorSource("own_model_under_test:unseeded", str(base)))


def test_numbers_of_any_kind_are_hashed() -> None:
    sparse, wide = torch.eye(3).to_sparse(), torch.zeros(2, dtype=torch.bfloat16)
    ring: list[Any] = [sparse, torch.zeros(0), 1j * torch.ones(2), wide, np.arange(3.0), 7, None]
    ring.append(ring)
    kinds = SimpleNamespace(ring=ring, name="x", objects=np.array([None]))
    before = identity("of a file", kinds)
    assert identity("of a file", kinds) == before != identity("of another", kinds)
    wide[1] = 1
    assert identity("of a file", kinds) != before
    assert not holds_numbers(SimpleNamespace(name="x", size=3))
    assert not holds_numbers(lambda x: x)
    assert not holds_numbers(7)


def test_a_network_of_double_images_gives_those_of_its_latents(base: Path) -> None:
    opened = open_generator(GeneratorSource("own_model_under_test:double_network", str(base)))
    assert opened.generator(torch.zeros(2, 2), None).dtype == torch.float32


def test_a_module_that_cannot_be_imported_is_explained(base: Path, tmp_path: Path) -> None:
    with pytest.raises(GeneratorError, match=f"{base} first on the import path raised ModuleNotF"):
        open_generator(GeneratorSource("no_such_module_under_test:make", str(base)))
    (tmp_path / "own_model_under_test.py").write_text(MODULE)
    open_generator(GeneratorSource("own_model_under_test:good", str(base)))
    with pytest.raises(GeneratorError, match=f"already imported.*{base}"):
        open_generator(GeneratorSource("own_model_under_test:good", str(tmp_path)))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tanh_as_sigmoid", r"well outside.*fit native_range \[-1, 1\]"),
        ("bytes_as_tanh", r"well outside.*fit native_range \[0, 255\]"),
        ("bytes_as_sigmoid", r"well outside.*fit native_range \[0, 255\]"),
    ],
)
def test_an_impossible_range_is_refused(base: Path, name: str, message: str) -> None:
    with pytest.raises(GeneratorError, match=message):
        open_generator(GeneratorSource(f"own_model_under_test:{name}", str(base)))


@pytest.mark.parametrize(
    ("name", "remark"),
    [
        ("sigmoid_as_tanh", "which looks wrong.*likelier"),
        ("sigmoid_as_bytes", "which looks wrong.*likelier"),
        ("mapped_twice", "leave out the map"),
        ("unbounded", r"lie outside \[0, 1\], from"),
        ("tanh_rightly", None),
        ("sigmoid_rightly", None),
        ("bytes_rightly", None),
        ("good", None),
    ],
)
def test_what_looks_wrong_in_a_few_images_is_told(
    base: Path, name: str, remark: str | None
) -> None:
    source = GeneratorSource(f"own_model_under_test:{name}", str(base))
    assumed = [note for note in describe_generator(source).notes if "N(0, I)" not in note]
    if remark is None:
        assert assumed == []
    else:
        (told,) = assumed
        assert re.search(remark, told), told


@pytest.mark.parametrize(
    "written",
    [
        "own_model_under_test.good",
        "own_model_under_test.py:good",
        "./own_model_under_test.py:good",
        "own_model_under_test:good()",
        "own_model_under_test.good()",
    ],
)
def test_a_function_named_in_another_way_is_recognised(base: Path, written: str) -> None:
    with pytest.raises(GeneratorError, match="did you mean source: own_model_under_test:good "):
        open_generator(GeneratorSource(written, str(base)))


def test_a_module_without_its_function_is_recognised_and_other_files_are_not(base: Path) -> None:
    for written in ("own_model_under_test.py", "own_model_under_test"):
        with pytest.raises(GeneratorError, match="source: own_model_under_test:FUNCTION "):
            open_generator(GeneratorSource(written, str(base)))
    for written in ("own_model_under_test.pt", "weights.pt", "nowhere", "a b"):
        with pytest.raises(GeneratorError) as caught:
            open_generator(GeneratorSource(written, str(base)))
        assert "did you mean" not in str(caught.value)


def test_an_installed_module_is_recognised_unimported(base: Path) -> None:
    with pytest.raises(GeneratorError, match="did you mean") as it:
        open_generator(GeneratorSource("antigravity.geohash", str(base)))
    assert "source: antigravity:geohash?" in str(it.value)
    assert "antigravity" not in sys.modules
