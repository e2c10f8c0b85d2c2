"""Checkpoint files on the command line: what they are, their conversion, and bad ones."""

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from offmanifold.jobs.commands.cli import app
from offmanifold.workers.checkpoints.files import read_checkpoint
from offmanifold.workers.checkpoints.opening import Reading, open_checkpoint
from offmanifold.workers.generators import (
    GeneratorError,
    GeneratorSource,
    OpenedGenerator,
    describe_generator,
    open_generator,
)
from safetensors.torch import save_file
from typer.testing import CliRunner

from .recorded import write_checkpoint
from .rule import by_rule

CASE = "studiogan-biggan"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return write_checkpoint(CASE, tmp_path)


def command(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def weights(opened: OpenedGenerator) -> list[torch.Tensor]:
    generator = opened.generator
    assert isinstance(generator, torch.nn.Module)
    return list(generator.state_dict().values())


def test_inspect_says_what_a_file_is(checkpoint: Path) -> None:
    result = command("inspect", checkpoint, "--json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert facts["family"] == "studiogan-biggan"
    assert (facts["images"], facts["classes"], facts["latent"]) == ("3x32x32", 10, 16)
    assert facts["average"] is None
    assert (
        facts["sha256"] == describe_generator(GeneratorSource(str(checkpoint), family=CASE)).sha256
    )
    named = checkpoint.rename(checkpoint.with_name("model=G_ema-best-weights.pth"))
    table = command("inspect", named)
    assert f"{facts['parameters']:,}" in table.stdout
    assert "yes" in table.stdout
    assert "evaluation mode" in table.stdout


def test_weights_saved_with_their_optimiser_are_no_average(checkpoint: Path) -> None:
    content = {**torch.load(checkpoint), "optimizer": {"state": {}}}
    torch.save(content, checkpoint)
    assert open_checkpoint(checkpoint).average is False


def test_a_converted_checkpoint_is_the_same_generator(checkpoint: Path, tmp_path: Path) -> None:
    folder = tmp_path / "converted"
    result = command("convert", checkpoint, "--family", CASE, "--out", folder)
    assert result.exit_code == 0, result.output
    converted = open_generator(str(folder))
    original = open_generator(GeneratorSource(str(checkpoint), family=CASE))
    latent, condition = torch.randn(2, 16), torch.tensor([3, 9])
    images = converted.generator(latent, condition)
    # Weights are the same to the bit; sums over them may be ordered by where they lie in memory.
    torch.testing.assert_close(images, original.generator(latent, condition), rtol=0, atol=2e-6)
    for one, other in zip(weights(converted), weights(original), strict=True):
        assert torch.equal(one, other)
    published = json.loads((folder / "config.json").read_text())["published"]
    assert published["file_sha256"] == original.sha256
    assert published["weights_sha256"] == converted.sha256
    assert converted.description.notes == original.description.notes
    assert command("convert", checkpoint, "--out", folder).exit_code == 2
    (folder / "model.safetensors").write_bytes(
        (folder / "model.safetensors").read_bytes()[:-4] + b"\0\0\0\0"
    )
    with pytest.raises(GeneratorError, match="from different conversions"):
        open_generator(str(folder))


def test_a_stylegan_xl_that_was_grown_is_inspected_and_converted(tmp_path: Path) -> None:
    path = write_checkpoint("stylegan-xl-superresolution", tmp_path)
    facts = json.loads(command("inspect", path, "--json").stdout)
    assert (facts["family"], facts["images"], facts["classes"]) == ("stylegan-xl", "3x32x32", 5)
    assert facts["average"] is True
    result = command("convert", path, "--out", tmp_path / "converted")
    assert result.exit_code == 0, result.output
    converted = open_generator(str(tmp_path / "converted")).generator
    latent, condition = torch.randn(2, 8), torch.tensor([0, 4])
    expected = open_generator(GeneratorSource(str(path), family="stylegan-xl")).generator(
        latent, condition
    )
    torch.testing.assert_close(converted(latent, condition), expected, rtol=0, atol=2e-6)


def test_safetensors_with_published_names_are_recognised(checkpoint: Path) -> None:
    path = checkpoint.with_suffix(".safetensors")
    save_file(torch.load(checkpoint)["state_dict"], path)
    assert open_checkpoint(path).family == CASE


def change_tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        content = torch.load(path)
        change(content["state_dict"])
        torch.save(content, path)

    return spoil


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def truncate_old(path: Path) -> None:
    torch.save(torch.load(path), path, _use_new_zipfile_serialization=False)
    truncate(path)


def compress(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def spread(path: Path) -> None:
    torch.save({"linear0.weight": torch.zeros(1).expand(1 << 20, 1 << 20)}, path)


def write_objects(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, np.array([None], dtype=object))


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "text": (
        lambda p: p.write_text("not weights\n"),
        "is not a checkpoint: it begins with b'not we",
    ),
    "empty": (lambda p: p.write_bytes(b""), "is not a checkpoint"),
    "absent": (lambda p: p.unlink(), "cannot be read: No such file"),
    "truncated": (truncate, "damaged archive"),
    "truncated old": (truncate_old, "damaged torch file"),
    "compressed": (compress, "compressed or overlapping members"),
    "spread": (spread, "is larger than its storage"),
    "not finite": (
        change_tensors(lambda t: t["conv2d5.bias"].fill_(torch.nan)),
        r"not finite: conv2d5\.bias",
    ),
    "missing": (
        change_tensors(lambda t: t.pop("blocks.1.0.conv2d2.bias")),
        r"missing: blocks\.1\.0\.conv2d2\.bias \[16\]",
    ),
    "unexpected": (
        change_tensors(lambda t: t.update(info_mix_linear=torch.zeros(2))),
        "unexpected: info_mix_linear",
    ),
    "shape": (
        change_tensors(lambda t: t.update({"bn4.bias": torch.zeros(5)})),
        r"of another shape: bn4\.bias \[5\] instead of \[16\]",
    ),
    "out of form": (
        change_tensors(lambda t: t.update({"shared.weight": torch.zeros(5)})),
        "tensor shapes that no family has",
    ),
    "a model": (lambda p: torch.save(torch.nn.Linear(2, 2), p), "to no known family"),
    "a number": (lambda p: torch.save(7, p), "holds a value of type int, expected a state dict"),
    "no state dict": (
        lambda p: torch.save({"steps": 7}, p),
        r"there is no tensor in it \(it holds steps\)",
    ),
    "objects": (write_objects, r"arr_0 is object of shape \(1,\), expected numbers"),
    "unknown": (lambda p: torch.save({"w": torch.zeros(2)}, p), "to no known family"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_gets_its_message(checkpoint: Path, kind: str) -> None:
    spoil, message = BAD[kind]
    spoil(checkpoint)
    with pytest.raises(GeneratorError, match=message):
        open_checkpoint(checkpoint)
    result = command("inspect", checkpoint)
    assert result.exit_code == 2
    assert str(checkpoint) in result.stderr


def test_another_family_is_refused_with_what_differs(checkpoint: Path) -> None:
    with pytest.raises(GeneratorError, match=r"'biggan-pytorch', it looks like studiogan-biggan: "):
        open_checkpoint(checkpoint, "biggan-pytorch")
    with pytest.raises(GeneratorError, match="did you mean 'studiogan-biggan'"):
        open_checkpoint(checkpoint, "studiogan-bigan")
    with pytest.raises(GeneratorError, match="has no truncation"):
        open_checkpoint(checkpoint, reading=Reading(truncation=0.5))
    with pytest.raises(GeneratorError, match="by 'family' and 'weights'"):
        describe_generator(str(checkpoint))


class Payload:
    """Unpickled by the book, makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("kind", ["archive", "old torch", "bare pickle"])
def test_a_payload_in_a_file_is_not_run(tmp_path: Path, kind: str) -> None:
    trace, path = tmp_path / "trace", tmp_path / "payload.pth"
    content = {"state_dict": {"linear0.weight": Payload(trace)}}
    if kind == "bare pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind == "archive")
    with pytest.raises(GeneratorError):
        open_checkpoint(path)
    assert not trace.exists()
    pickle.load(io.BytesIO(pickle.dumps(Payload(trace))))
    assert trace.exists()


def test_a_byte_changed_anywhere_is_told_or_read(tmp_path: Path) -> None:
    """In the archive's directory and in the pickle, where each byte means something."""
    torch.save({"a": torch.zeros(3)}, tmp_path / "whole.pth")
    np.savez(tmp_path / "whole.npz", a=np.zeros(3, dtype=np.float32))
    told = 0
    for whole in ("whole.pth", "whole.npz"):
        content = (tmp_path / whole).read_bytes()
        for place in range(0, len(content), 5):
            damaged = tmp_path / "damaged"
            damaged.write_bytes(content[:place] + b"\xe9" + content[place + 1 :])
            try:
                read_checkpoint(damaged)
            except GeneratorError:
                told += 1
    assert told > 30


def test_stored_vectors_decide_the_spectral_norm() -> None:
    """Vectors that lag behind are divided by as upstream does, not by the exact norm."""
    shapes = {"l.weight_orig": (6, 4, 3, 3), "l.weight_u": (6,), "l.weight_v": (36,)}
    tensors = by_rule(shapes)
    layer = torch.nn.utils.spectral_norm(torch.nn.Conv2d(4, 6, 3, bias=False)).eval()
    lagging = torch.nn.functional.normalize(tensors["l.weight_u"] + 0.2, dim=0)
    tensors["l.weight_u"] = lagging
    layer.load_state_dict({name.removeprefix("l."): tensor for name, tensor in tensors.items()})
    from offmanifold.core.generators.families.checkpoint import PublishedTensors

    folded = PublishedTensors(tensors).weight("l", 6, 4, 3, 3)
    images = torch.randn(2, 4, 5, 5)
    torch.testing.assert_close(torch.nn.functional.conv2d(images, folded.float()), layer(images))
    exact = torch.linalg.matrix_norm(tensors["l.weight_orig"].flatten(1), 2)
    assert not torch.allclose(folded.float(), tensors["l.weight_orig"] / exact, rtol=1e-2)
