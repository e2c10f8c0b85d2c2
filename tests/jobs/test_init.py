"""The spec that ``offmanifold init`` writes: what it finds, what it says it does not know."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
import yaml
from offmanifold.jobs.commands.cli import app
from offmanifold.workers.network_probe import FoundNetwork, probe_network
from PIL import Image
from torch import Tensor, nn
from typer.testing import CliRunner

from ..families.recorded import write_checkpoint


class Conditional(nn.Module):
    """A latent of 6 and a class of 5 to 1x8x8 images of its native range."""

    def __init__(self, end: Callable[[Tensor], Tensor], *, one_hot: bool = False) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.embedding = nn.Linear(5, 7) if one_hot else nn.Embedding(5, 7)
        self.start = nn.Linear(6, 7)
        self.body = nn.Sequential(
            nn.ReLU(), nn.Linear(7, 64, bias=False), nn.Unflatten(1, (1, 8, 8))
        )
        self.end = end

    def forward(self, latent: Tensor, classes: Tensor) -> Tensor:
        return self.end(10 * self.body(self.start(latent) + self.embedding(classes)))


def _saved(path: Path, network: nn.Module, *example: Tensor) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.trace(network.eval(), example), str(path))
    return path


LATENT = torch.randn(2, 6, generator=torch.Generator().manual_seed(0))


def test_a_network_is_known_by_calling_it(tmp_path: Path) -> None:
    indices, rows = torch.tensor([0, 4]), torch.eye(5)[:2]
    plain = nn.Sequential(
        nn.ConvTranspose2d(6, 8, 4), nn.BatchNorm2d(8), nn.ConvTranspose2d(8, 3, 4, 2, 1), nn.Tanh()
    )
    files = {
        "plain": _saved(tmp_path / "plain.pt", plain, LATENT[..., None, None]),
        "index": _saved(tmp_path / "index.pt", Conditional(torch.sigmoid), LATENT, indices),
        "row": _saved(
            tmp_path / "row.pt",
            Conditional(lambda values: 255 * torch.sigmoid(values), one_hot=True),
            LATENT,
            rows,
        ),
        "open": _saved(
            tmp_path / "open.pt", Conditional(lambda values: 30 * values), LATENT, indices
        ),
    }
    found: dict[str, FoundNetwork] = {}
    for name, file in files.items():
        network = probe_network(file, "torchscript")
        assert network is not None, name
        found[name] = network
    assert (found["plain"].latent_shape, found["plain"].image_shape) == ((6, 1, 1), (3, 8, 8))
    assert [found[name].num_classes for name in files] == [0, 5, 5, 5]
    assert [found[name].one_hot for name in files] == [False, False, True, False]
    ranges = [found[name].native_range for name in files]
    assert ranges == [(-1, 1), (0, 1), (0, 255), None]
    assert all(found[name].latent_shape == (6,) for name in ("index", "row", "open"))


def test_a_network_that_nothing_tells_of_is_none(tmp_path: Path) -> None:
    file = _saved(tmp_path / "n.pt", nn.Conv2d(1, 1, 3), torch.zeros(1, 1, 9, 9))
    assert probe_network(file, "torchscript") is None


def _pictures(folder: Path, side: int, count: int) -> None:
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for index in range(count):
        pixels = random.integers(0, 256, (side, side, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.chdir(tmp_path)

    def called(*arguments: str, out: str = "audit.yaml") -> tuple[dict[str, Any], Any, Any]:
        done = CliRunner().invoke(app, ["init", *arguments, "--out", out])
        assert done.exit_code == 0, done.output
        text = Path(out).read_text()
        return yaml.safe_load(text), done, CliRunner().invoke(app, ["plan", out])

    return called


def test_a_program_is_not_run_without_trust(tmp_path: Path, command: Callable[..., Any]) -> None:
    indices = torch.tensor([0, 4])
    _saved(tmp_path / "gen.pt", Conditional(torch.sigmoid), LATENT, indices)
    _, done, planned = command("--weights", "gen.pt")
    assert "to fill in first" in done.stdout
    assert "remove audit.yaml and give the same command --trust" in done.stdout
    assert "TO FILL IN" in (tmp_path / "audit.yaml").read_text()
    assert planned.exit_code == 2
    spec, done, planned = command("--weights", "gen.pt", "--trust", "--quick", out="b/audit.yaml")
    assert spec["generators"][0]["network"]["num_classes"] == 5
    assert spec["generators"][0]["network"]["native_range"] == [0, 1]
    assert spec["quick"] is True
    assert planned.exit_code == 0, planned.output
    assert spec["generators"][0]["weights"] == str(tmp_path / "gen.pt")
    again = CliRunner().invoke(app, ["init", "--weights", "gen.pt", "--out", "b/audit.yaml"])
    assert again.exit_code == 2
    assert "exists already" in again.output


def test_a_checkpoint_and_its_pictures(tmp_path: Path, command: Callable[..., Any]) -> None:
    checkpoint = write_checkpoint("dcgan", tmp_path)
    _pictures(tmp_path / "photos" / "train", 20, 6)
    _pictures(tmp_path / "photos" / "val", 20, 4)
    spec, done, planned = command("--weights", checkpoint.name, "--images", "photos")
    assert planned.exit_code == 0, planned.output
    assert "offmanifold plan audit.yaml" in done.stdout
    assert spec["generators"][0]["family"] == "dcgan"
    train, test = spec["groups"][:2]
    place = {"dataset": "folder", "path": "photos", "resize": "lanczos"}
    assert train == {"name": "train", "role": "train", **place, "split": "train", "count": 6}
    assert test == {"name": "test", "role": "test", **place, "split": "val", "count": 4}
    roles = [group["role"] for group in spec["groups"]]
    assert roles == ["train", "test", "generated", "simulated", None, "outlier", "outlier"]
    assert "likelihood" in spec["stages"]


def test_a_function_and_classes_that_its_images_do_not_have(
    audit_folder: Path, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(audit_folder)
    spec, _, planned = command("--source", "decoder:make", "--images", "images", out="one.yaml")
    assert planned.exit_code == 0, planned.output
    assert "conditions" not in spec["groups"][0]
    spec, _, planned = command(
        "--source", "decoder:make", "--images", "images/zero", out="two.yaml"
    )
    assert planned.exit_code == 0, planned.output
    assert spec["groups"][0]["conditions"] == "all"
    assert "class: N" in Path("two.yaml").read_text()
    (audit_folder / "else").mkdir()
    spec, _, planned = command("--source", "decoder:make", out="else/three.yaml")
    assert planned.exit_code == 0, planned.output
    assert spec["generators"][0]["import_path"] == str(audit_folder)
    assert {group["role"] for group in spec["groups"]} == {"generated", "outlier"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "one of --weights"),
        (("--source", "a:b", "--key", "g"), "are of files"),
        (("--weights", "none.pth"), "cannot be read"),
        (("--weights", "hf://a/b/c.pt"), "download this one first"),
        (("--source", "shipped:digit"), "did you mean 'shipped:digits'"),
        (("--source", "shipped:digits", "--images", "none"), "no folder of pictures"),
    ],
)
def test_what_cannot_be_read_writes_nothing(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["init", *arguments])
    assert done.exit_code == 2
    assert message in done.output
    assert not list(tmp_path.iterdir())


def test_a_spec_that_cannot_be_written_is_refused_and_odd_paths_are_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    Path("dangling").symlink_to("nowhere/at/all")
    for out, said in (("file/a.yaml", "is a file, expected a folder"), ("dangling", "exists")):
        done = CliRunner().invoke(app, ["init", "--source", "shipped:digits", "--out", out])
        assert done.exit_code == 2
        assert said in done.output
    with patch("pathlib.Path.write_text", side_effect=PermissionError(13, "Permission denied")):
        done = CliRunner().invoke(app, ["init", "--source", "shipped:digits"])
    assert done.exit_code == 2
    assert "--out audit.yaml: cannot be written: Permission denied" in done.output
    done = CliRunner().invoke(app, ["init", "--source", "shipped:digits", "--out", "a b/c.yaml"])
    assert "next: offmanifold plan 'a b/c.yaml', then offmanifold run 'a b/c.yaml'" in done.output
