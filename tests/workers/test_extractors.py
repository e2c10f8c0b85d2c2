"""Feature extractors from local files: what each kind computes, and what is refused."""

import hashlib
import sys
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from offmanifold.core.preprocessing import Preprocessing
from offmanifold.workers.extractor_networks import ExtractorError
from offmanifold.workers.extractors import (
    ExtractorSource,
    describe_extractor,
    open_extractor,
    shard_extractor,
)
from offmanifold.workers.resources import ChangedInputError, Resources
from PIL import Image
from torch import nn

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
PLAIN = Preprocessing(None, "bilinear", 3, 0.0, 1.0)
NORMALISED = Preprocessing((24, 24), "bicubic", 3, 0.0, 1.0, MEAN, STD)
NOTHING = ExtractorSource(None, None, None, None, None, None, PLAIN)


def small_network(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )


MODULE = """
import torch
from torch import nn

def network():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten())

def pixels():
    return nn.Flatten()

def noisy():
    class Noisy(nn.Module):
        def forward(self, images):
            return images.flatten(1) + torch.rand(1)
    return Noisy()

def several():
    class Several(nn.Module):
        def forward(self, images):
            return images, images
    return Several()

def number():
    return 3
"""


@pytest.fixture
def own(tmp_path: Path) -> ExtractorSource:
    # Python knows a module by its name alone.
    name = f"extractors_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    return replace(NOTHING, source=f"{name}:pixels", import_path=str(tmp_path))


def calling(own: ExtractorSource, function: str, **changes: Any) -> ExtractorSource:
    assert own.source is not None
    return replace(own, source=f"{own.source.partition(':')[0]}:{function}", **changes)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(20, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_images_are_resized_as_pillow_does_and_normalised(images: torch.Tensor) -> None:
    seen = NORMALISED(images)
    for channel in range(3):
        picture = Image.fromarray(images[0, channel].numpy())
        resized = np.asarray(picture.resize((24, 24), Image.Resampling.BICUBIC)).clip(0, 1)
        expected = (resized - MEAN[channel]) / STD[channel]
        assert np.abs(seen[0, channel].numpy() - expected).max() < 1e-4
    grey = Preprocessing(None, "bilinear", 3, -1.0, 1.0)(images[:, :1])
    assert torch.equal(grey, (2 * images[:, :1] - 1).expand(-1, 3, -1, -1))
    nearest = Preprocessing((64, 64), "nearest", 3, 0.0, 255.0)(images)
    assert torch.equal(nearest[..., ::2, ::2], 255 * images)
    with pytest.raises(ValueError, match="images of 3 channels, where the network takes 1"):
        Preprocessing(None, "bilinear", 1, 0.0, 1.0)(images)


def test_settings_are_plain_and_come_back(own: ExtractorSource) -> None:
    source = replace(own, preprocessing=NORMALISED)
    assert ExtractorSource.of(source.settings) == source


def test_a_function_is_called_and_known_by_its_source_and_its_tensors(
    own: ExtractorSource, images: torch.Tensor, tmp_path: Path
) -> None:
    extractor, _ = open_extractor(own)
    assert torch.equal(extractor(images), images.flatten(1))
    found = describe_extractor(own, (3, 32, 32))
    assert found.features == 3 * 32 * 32
    hashes = {found.sha256}
    for seed in (0, 1):
        weights = tmp_path / f"{seed}.pth"
        torch.save({"state_dict": small_network(seed).state_dict()}, weights)
        given = calling(own, "network", weights=str(weights))
        extractor, sha256 = open_extractor(given)
        expected = small_network(seed).eval()(images)
        assert torch.allclose(extractor(images), expected, atol=1e-6)
        hashes.add(sha256)
    assert len(hashes) == 3


def test_torchscript_is_known_by_its_file(images: torch.Tensor, tmp_path: Path) -> None:
    network, file = small_network().eval(), tmp_path / "network.pt"
    torch.jit.save(torch.jit.trace(network, images), str(file))
    source = replace(NOTHING, weights=str(file), format="torchscript", preprocessing=NORMALISED)
    extractor, sha256 = open_extractor(source)
    assert sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert torch.allclose(extractor(images), network(NORMALISED(images)), atol=1e-6)
    # A batch is cut, which its rows do not show.
    assert torch.allclose(extractor(images)[17:], extractor(images[17:]), atol=1e-6)


class TinyTimm(types.ModuleType):
    """What is used of timm, around a network that is not its own."""

    __version__ = "0"

    def is_model(self, name: str) -> bool:
        return name == "tiny"

    def list_models(self, _: str) -> list[str]:
        return ["tiny"]

    def create_model(self, name: str, pretrained: bool, num_classes: int) -> nn.Module:
        assert (name, pretrained, num_classes) == ("tiny", False, 0)
        network = small_network(seed=5)
        network.default_cfg = {"classifier": "head"}  # type: ignore[assignment]
        return network


@pytest.fixture
def timm_model(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a small model: timm's own where it is installed."""
    try:
        import timm  # noqa: F401
    except ImportError:
        monkeypatch.setitem(sys.modules, "timm", TinyTimm("timm"))
        return "tiny"
    return "test_resnet"


def test_a_network_of_timm_has_the_weights_of_the_file_without_its_classifier(
    timm_model: str, images: torch.Tensor, tmp_path: Path
) -> None:
    timm = sys.modules["timm"]
    file = tmp_path / "model.pth"
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = timm.create_model(timm_model, pretrained=False, num_classes=0)
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer.fill_(0.1)
    head = network.default_cfg["classifier"]
    classifier = {f"{head}.weight": torch.ones(2, 4), f"{head}.bias": torch.ones(2)}
    torch.save({**network.state_dict(), **classifier}, file)
    source = replace(NOTHING, weights=str(file), timm=timm_model, preprocessing=NORMALISED)
    extractor, sha256 = open_extractor(source)
    assert sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    with torch.no_grad():
        expected = network.eval()(NORMALISED(images))
    assert torch.allclose(extractor(images), expected, atol=1e-5)
    assert describe_extractor(source, (1, 8, 8)).features == expected.shape[1]
    torch.save({f"{name}.other": value for name, value in network.state_dict().items()}, file)
    with pytest.raises(ExtractorError, match=rf"{file} does not hold the weights of timm's"):
        open_extractor(source)
    with pytest.raises(ExtractorError, match="has no model 'resnot'"):
        open_extractor(replace(source, timm="resnot"))


class TinyInception(nn.Module):
    """What is used of torch-fidelity's Inception, around a network that is not its own."""

    def __init__(self, name: str, layers: list[str], feature_extractor_weights_path: str) -> None:
        super().__init__()
        assert (name, layers) == ("inception-v3-compat", ["192"])
        self.inner = small_network()
        self.load_state_dict(torch.load(feature_extractor_weights_path, weights_only=True))
        self.eval()

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return ("64", "192")

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor]:
        assert images.dtype == torch.uint8
        return (self.inner(images.float()),)


@pytest.fixture
def inception(monkeypatch: pytest.MonkeyPatch) -> Any:
    """torch-fidelity's own class where it is installed."""
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError:
        name = "torch_fidelity.feature_extractor_inceptionv3"
        module = types.ModuleType(name)
        module.FeatureExtractorInceptionV3 = TinyInception  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "torch_fidelity", types.ModuleType("torch_fidelity"))
        monkeypatch.setitem(sys.modules, name, module)
        return TinyInception
    return FeatureExtractorInceptionV3


def test_torch_fidelitys_inception_gets_our_tensors(
    inception: Any, images: torch.Tensor, tmp_path: Path
) -> None:
    file, empty = tmp_path / "inception.pth", tmp_path / "empty.pth"
    torch.save({}, empty)
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng():
        torch.manual_seed(0)
        # Its constructor has no way to leave the weights as they are drawn.
        patch.setattr(inception, "load_state_dict", lambda *_: None)
        drawn = inception("inception-v3-compat", ["192"], feature_extractor_weights_path=str(empty))
    torch.save(drawn.state_dict(), file)
    source = replace(
        NOTHING,
        weights=str(file),
        torch_fidelity="192",
        preprocessing=replace(PLAIN, white=255.0),
    )
    extractor, _ = open_extractor(source)
    (expected,) = drawn((images[:2] * 255).round().to(torch.uint8))
    assert torch.allclose(extractor(images[:2]), expected, atol=1e-5)
    with pytest.raises(ExtractorError, match="'17' is no layer of inception"):
        open_extractor(replace(source, torch_fidelity="17"))
    torch.save(small_network().state_dict(), file)
    with pytest.raises(ExtractorError, match="does not hold the weights of torch-fidelity's"):
        open_extractor(source)


@pytest.mark.parametrize(("name", "module"), [("timm", "timm"), ("2048", "torch_fidelity")])
def test_a_missing_extra_says_how_to_get_it(
    name: str, module: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, f"{module}.feature_extractor_inceptionv3", None)
    file = tmp_path / "weights.pth"
    torch.save(small_network().state_dict(), file)
    source = replace(NOTHING, weights=str(file), torch_fidelity=name)
    if module == "timm":
        source = replace(NOTHING, weights=str(file), timm=name)
    package = module.replace("_", "-")
    with pytest.raises(
        ExtractorError, match=f"{package} cannot be imported .*pip install {package}"
    ):
        open_extractor(source)


def test_what_is_no_extractor_is_refused(own: ExtractorSource, tmp_path: Path) -> None:
    shape, absent = (3, 32, 32), str(tmp_path / "absent.pth")
    wrong = {
        "raises|cannot be imported|no function": calling(own, "absent"),
        r"number\(\) returned int, expected a torch.nn.Module": calling(own, "number"),
        "other features for the same images": calling(own, "noisy"),
        r"returns tuple, expected one float tensor \[N, d\]": calling(own, "several"),
        "absent.pth": replace(NOTHING, weights=absent, format="torchscript"),
        "absent.pth cannot be read": calling(own, "network", weights=absent),
    }
    for message, source in wrong.items():
        with pytest.raises(ExtractorError, match=message):
            describe_extractor(source, shape)
    small = replace(calling(own, "network"), preprocessing=replace(PLAIN, size=(1, 1)))
    with pytest.raises(ExtractorError, match=r"cannot take images of shape \[3, 32, 32\]"):
        describe_extractor(small, shape)


def test_a_pickle_that_would_run_code_does_not(own: ExtractorSource, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    file = tmp_path / "evil.pth"
    torch.save({"a": Evil(), **small_network().state_dict()}, file)
    # What is no tensor is left aside, and nothing in the file runs.
    open_extractor(calling(own, "network", weights=str(file)))
    assert not (tmp_path / "ran").exists()


def test_another_file_under_the_planned_name_stops_the_run(
    own: ExtractorSource,
) -> None:
    resources = Resources(None, torch.device("cpu"))  # type: ignore[arg-type]
    settings = {"source": own.settings, "sha256": "0" * 64}
    with pytest.raises(ChangedInputError, match="SHA-256 of extractor"):
        shard_extractor(settings, resources)
