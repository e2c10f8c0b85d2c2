"""Weights in what training scripts wrap around them: the same, bit for bit, and nothing runs."""

import argparse
import builtins
import io
import json
import os
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from offmanifold.jobs.commands.cli import app
from offmanifold.workers.checkpoints.opening import OpenedCheckpoint, Reading, open_checkpoint
from offmanifold.workers.generator_source import ClassMember
from offmanifold.workers.generators import (
    GeneratorError,
    GeneratorSource,
    describe_generator,
    open_generator,
)
from torch import Tensor, nn
from typer.testing import CliRunner

from .recorded import recorded
from .rule import by_rule
from .wrappings import WRAPPINGS, AttributeDict, discriminator

FAMILIES = {"dcgan": "dcgan", "biggan-pytorch": "biggan-pytorch-shared"}
# The recording of a family's network has a name of its own where there are several.
CASES = {**FAMILIES, "began": "began"}


def weights(family: str) -> dict[str, Tensor]:
    return by_rule(recorded(CASES[family])["shapes"])


def saved(content: Any, path: Path, *, archive: bool = True) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=archive)
    return path


def bare(family: str, folder: Path) -> OpenedCheckpoint:
    return open_checkpoint(saved(weights(family), folder / "bare.pth"))


def require_same(opened: OpenedCheckpoint, expected: OpenedCheckpoint) -> None:
    assert opened.family == expected.family
    assert opened.arguments == expected.arguments
    assert list(opened.translation.weights) == list(expected.translation.weights)
    for name, tensor in expected.translation.weights.items():
        assert torch.equal(opened.translation.weights[name], tensor), name


@pytest.mark.parametrize("archive", [True, False], ids=["archive", "old file"])
@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize("family", FAMILIES)
def test_wrapped_weights_are_the_same(
    family: str, wrapping: str, archive: bool, tmp_path: Path
) -> None:
    content = WRAPPINGS[wrapping](weights(family))
    path = saved(content, tmp_path / "wrapped.ckpt", archive=archive)
    expected = bare(family, tmp_path)
    for named in (None, family):
        require_same(open_checkpoint(path, named), expected)


class Script(nn.Module):
    """A script's own class around layers, saved whole."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.main = layers


@pytest.mark.parametrize("archive", [True, False], ids=["archive", "old file"])
def test_modules_as_torch_wraps_them(archive: bool, tmp_path: Path) -> None:
    layers: list[nn.Module] = [nn.ConvTranspose2d(6, 4, 4, bias=False), nn.BatchNorm2d(4)]
    layers += [nn.ReLU(), nn.ConvTranspose2d(4, 3, 4, 2, 1, bias=False), nn.Tanh()]
    network = Script(nn.Sequential(*layers))
    expected = open_checkpoint(saved(network.state_dict(), tmp_path / "bare.pth"))
    compiled: Any = torch.compile(network)
    for content in (
        nn.DataParallel(network).state_dict(),
        compiled.state_dict(),
        nn.DataParallel(compiled).state_dict(),
        network,
        nn.DataParallel(network),
        {"G": network, "D": nn.Linear(3, 1)},
    ):
        path = saved(content, tmp_path / "wrapped.pth", archive=archive)
        require_same(open_checkpoint(path), expected)


def test_a_converted_copy_has_the_same_weights(tmp_path: Path) -> None:
    files = {
        "bare": weights("dcgan"),
        "wrapped": WRAPPINGS["lightning"](weights("dcgan")),
    }
    for name, content in files.items():
        path = saved(content, tmp_path / f"{name}.ckpt")
        result = CliRunner().invoke(app, ["convert", str(path), "--out", str(tmp_path / name)])
        assert result.exit_code == 0, result.output
    one, other = ((tmp_path / name / "model.safetensors").read_bytes() for name in files)
    assert one == other
    published = json.loads((tmp_path / "wrapped" / "config.json").read_text())["published"]
    assert published["key"] == "state_dict.generator"


class TestSeveral:
    """A generator and its average, or two of different families."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        average = {name: tensor.double().mul(0.5) for name, tensor in weights("began").items()}
        content = {"g": weights("began"), "d": discriminator(), "g_ema": average}
        return saved(content, tmp_path / "several.pt")

    def test_they_are_listed_with_their_sizes(self, path: Path) -> None:
        size = f"{sum(tensor.numel() for tensor in weights('began').values()):,} numbers"
        message = rf"holds 2 generators .*: g \(\d+ tensors, {size}\), g_ema \(.*{size}\).*--key"
        for family in (None, "began"):
            with pytest.raises(GeneratorError, match=message):
                open_checkpoint(path, family)
        with pytest.raises(GeneratorError, match=r"under the key 'ema'; it holds g \(.* d \("):
            open_checkpoint(path, reading=Reading(key="ema"))

    def test_a_key_chooses(self, path: Path, tmp_path: Path) -> None:
        require_same(open_checkpoint(path, reading=Reading("g")), bare("began", tmp_path))
        opened = open_checkpoint(path, reading=Reading("g_ema"))
        assert opened.average is True
        name = "start.weight"
        whole = open_checkpoint(path, reading=Reading("g")).translation.weights[name]
        assert torch.equal(opened.translation.weights[name], 0.5 * whole)
        result = CliRunner().invoke(app, ["inspect", str(path), "--key", "g_ema", "--json"])
        facts = json.loads(result.stdout)
        assert (facts["key"], facts["average"]) == ("g_ema", True)
        one, other = (
            open_generator(GeneratorSource(str(path), family="began", key=key)).generator(
                torch.ones(1, opened.arguments["latent_dim"]), None
            )
            for key in ("g", "g_ema")
        )
        assert not torch.allclose(one, other)

    def test_two_keys_are_two_identities(self, path: Path) -> None:
        def alone(key: str) -> GeneratorSource:
            return GeneratorSource(str(path), family="began", key=key)

        def together(*keys: str) -> GeneratorSource:
            members = (ClassMember(f"c{n}", n, alone(key)) for n, key in enumerate(keys))
            return GeneratorSource("per_class: c0, c1", members=tuple(members))

        sources = [alone("g"), alone("g_ema"), together("g", "g_ema"), together("g_ema", "g")]
        found = [describe_generator(source) for source in sources]
        assert len({each.sha256 for each in found}) == len(found)
        assert len(set(found[2].members.values())) == 2
        assert open_generator(sources[2]).sha256 == found[2].sha256

    def test_the_family_chooses(self, tmp_path: Path) -> None:
        content = {"first": weights("began"), "second": weights("dcgan")}
        path = saved(content, tmp_path / "two.pt")
        with pytest.raises(GeneratorError, match=r"first \(.* second \("):
            open_checkpoint(path)
        require_same(open_checkpoint(path, "dcgan"), bare("dcgan", tmp_path))

    def test_none_of_them_is_recognised(self, tmp_path: Path) -> None:
        content = {"a": {"w": torch.zeros(2)}, "b": {"v": torch.zeros(3)}}
        path = saved(content, tmp_path / "other.pt")
        with pytest.raises(GeneratorError, match=r"2 sets of tensors, none .* a \(1 .* b \(1 "):
            open_checkpoint(path)
        with pytest.raises(GeneratorError, match="not a checkpoint of the family 'dcgan'"):
            open_checkpoint(path, "dcgan", Reading("b"))


@pytest.mark.parametrize("name", ["biggan-deep-128-config.json", "other-config.json"])
def test_a_config_under_another_name_is_read(name: str, tmp_path: Path) -> None:
    content = recorded("biggan-deep")
    path = saved(by_rule(content["shapes"]), tmp_path / "biggan-deep-128-pytorch_model.bin")
    with pytest.raises(GeneratorError, match=r"config\.json"):
        open_checkpoint(path)
    (tmp_path / name).write_text(json.dumps(content["settings"]))
    assert open_checkpoint(path).family == "biggan-deep"
    # One named after the file comes before the others.
    (tmp_path / "another-config.json").write_text("{}")
    if name.startswith("biggan"):
        assert open_checkpoint(path).file.settings == content["settings"]
    else:
        with pytest.raises(GeneratorError, match=r"config\.json"):
            open_checkpoint(path)


class Called:
    """Pickles as a call."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


@pytest.mark.parametrize("archive", [True, False], ids=["archive", "old file"])
def test_a_payload_beside_the_weights_stays_inert(archive: bool, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    payloads = [
        Called(os.mkdir, str(trace)),
        Called(builtins.exec, f"open({str(trace)!r}, 'w')"),
        Called(torch.load, Called(io.BytesIO, b"")),
    ]
    content = {
        "args": argparse.Namespace(hook=payloads[0]),
        "hyper_parameters": AttributeDict(run=payloads[1]),
        "callbacks": payloads,
        "state_dict": OrderedDict(weights("dcgan")),
    }
    path = saved(content, tmp_path / "hostile.pt", archive=archive)
    require_same(open_checkpoint(path), bare("dcgan", tmp_path))
    assert not trace.exists()
    with pytest.raises(IsADirectoryError):
        torch.load(path, weights_only=False)
    assert trace.exists()


def changed(path: Path, old: bytes, new: bytes) -> None:
    """Replaces bytes in an archive's pickle, with the checksums of the change."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            spoiled = content.replace(old, new) if name.endswith("/data.pkl") else content
            assert not name.endswith("/data.pkl") or spoiled != content
            archive.writestr(name, spoiled)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # The storage's length, the tensor's shape, the storage's key, and a reference elsewhere.
        (b"M\xe7\x03t", b"J\xff\xff\xff\x7ft"),
        (b"M\xe7\x03\x85", b"J\xff\xff\xff\x7f\x85"),
        (b"X\x01\x00\x00\x000", b"X\x01\x00\x00\x001"),
        (b"storage", b"elsehow"),
    ],
)
def test_an_archive_that_claims_more_than_it_holds_is_refused(
    old: bytes, new: bytes, tmp_path: Path
) -> None:
    path = saved({"w": torch.zeros(999)}, tmp_path / "w.pth")
    changed(path, old, new)
    with pytest.raises(GeneratorError, match="nothing in it was run"):
        open_checkpoint(path)


@pytest.mark.parametrize("left_out", [1, 99 * 4, 99 * 4 + 8, 99 * 4 + 20])
def test_an_old_file_without_its_numbers_is_refused(left_out: int, tmp_path: Path) -> None:
    path = saved({"w": torch.zeros(99)}, tmp_path / "w.pth", archive=False)
    path.write_bytes(path.read_bytes()[:-left_out])
    with pytest.raises(GeneratorError, match="nothing in it was run"):
        open_checkpoint(path)


def test_no_message_asks_for_safe_globals(tmp_path: Path) -> None:
    for content in ({"args": argparse.Namespace(a=1)}, {"w": torch.zeros(1), "a": AttributeDict()}):
        with pytest.raises(GeneratorError) as told:
            open_checkpoint(saved(content, tmp_path / "w.pth"))
        assert "safe_globals" not in str(told.value)


def test_a_compressed_archive_is_refused_before_it_is_decompressed(tmp_path: Path) -> None:
    path = saved({"w": torch.zeros(2**22)}, tmp_path / "w.pth")
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    assert path.stat().st_size < 2**16
    with pytest.raises(GeneratorError, match="compressed or overlapping members"):
        open_checkpoint(path)
