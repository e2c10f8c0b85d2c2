"""StudioGAN's StyleGANs: the networks of NVIDIA's pickles, saved as tensors alone."""

import json
from pathlib import Path

import pytest
import torch
from offmanifold.jobs.commands.cli import app
from offmanifold.jobs.spec.generator import GeneratorSpec
from offmanifold.workers.checkpoints.opening import Reading, open_checkpoint
from offmanifold.workers.generators import GeneratorError, open_generator
from typer.testing import CliRunner

from .recorded import recorded, write_checkpoint
from .rule import by_rule

MIXED = Reading(mixed_precision=True)


def state_dict_of(case: str, folder: Path, name: str = "model=G-best.pth") -> Path:
    """The tensors of a recorded case, as StudioGAN saves them."""
    torch.save({"state_dict": by_rule(recorded(case)["shapes"])}, folder / name)
    return folder / name


@pytest.mark.parametrize("case", ["stylegan2-ada", "stylegan3-t", "stylegan3-r"])
def test_tensors_alone_are_read_as_the_pickle_of_the_same_network(
    case: str, tmp_path: Path
) -> None:
    """What NVIDIA's pickle says of the layers is what follows from the tensors."""
    pickled = open_checkpoint(write_checkpoint(case, tmp_path))
    alone = open_checkpoint(state_dict_of(case, tmp_path), reading=MIXED)
    assert alone.family == f"studiogan-{case[:9]}"
    assert alone.arguments == pickled.arguments
    assert alone.translation.weights.keys() == pickled.translation.weights.keys()
    for name, tensor in pickled.translation.weights.items():
        assert torch.equal(alone.translation.weights[name], tensor), name
    assert any("no value in a layer exceeds 256" in note for note in alone.translation.notes)


@pytest.mark.parametrize("case", ["studiogan-stylegan2", "studiogan-stylegan3-t"])
def test_the_precision_of_training_is_asked(case: str, tmp_path: Path) -> None:
    path = state_dict_of(case, tmp_path)
    with pytest.raises(GeneratorError, match=r"mixed_precision: true.*--no-mixed-precision"):
        open_checkpoint(path)
    plain = open_checkpoint(path, reading=Reading(mixed_precision=False))
    bounds = [plain.arguments.get("clamp"), plain.arguments.get("pixel_clamp")]
    bounds += [layer["clamp"] for layer in plain.arguments.get("layers", [])]
    assert not any(bounds)
    assert any("no bound" in note for note in plain.translation.notes)


def test_what_was_answered_reaches_the_generator(tmp_path: Path) -> None:
    path = state_dict_of("studiogan-stylegan2", tmp_path, "model=G_ema.pth")
    out = tmp_path / "out"
    answer = ["--no-mixed-precision", "--json"]
    result = CliRunner().invoke(app, ["inspect", str(path), *answer])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["average"] is True
    result = CliRunner().invoke(app, ["convert", str(path), *answer[:1], "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert json.loads((out / "config.json").read_text())["arguments"]["clamp"] is None
    spec = GeneratorSpec(
        name="g", family="studiogan-stylegan2", weights=str(path), mixed_precision=False
    )
    settings = spec.opened_from.settings("0")
    assert settings["mixed_precision"] is False
    assert type(spec.opened_from).of(settings) == spec.opened_from
    opened = open_generator(spec.opened_from)
    assert any("as stated" in note for note in opened.description.notes)


def test_a_pickle_of_the_same_names_is_another_family(tmp_path: Path) -> None:
    path = write_checkpoint("stylegan2-ada", tmp_path)
    with pytest.raises(GeneratorError, match="looks like stylegan2-ada: it is a pickle"):
        open_checkpoint(path, "studiogan-stylegan2")
    with pytest.raises(GeneratorError, match="has it in the file; remove it"):
        open_checkpoint(path, reading=MIXED)
    alone = state_dict_of("stylegan2-ada", tmp_path)
    with pytest.raises(GeneratorError, match="looks like studiogan-stylegan2: the attribute"):
        open_checkpoint(alone, "stylegan2-ada")


def test_codes_in_the_latent_are_warned_of(tmp_path: Path) -> None:
    path = state_dict_of("studiogan-stylegan2-info", tmp_path)
    opened = open_checkpoint(path, reading=Reading(mixed_precision=False))
    (warning,) = opened.translation.warnings
    assert "17 numbers, 5 more than the style" in warning


def test_another_design_than_stylegan3s_is_refused(tmp_path: Path) -> None:
    weights = by_rule(recorded("studiogan-stylegan3-t")["shapes"])
    first = next(name for name in weights if name.startswith("synthesis.L0_"))
    layer = first.split(".")[1]
    other = layer.replace("_36_", "_40_")
    assert other != layer
    renamed = {name.replace(layer, other): tensor for name, tensor in weights.items()}
    torch.save({"state_dict": renamed}, tmp_path / "g.pth")
    with pytest.raises(GeneratorError, match=r"L0_40_8 makes maps of 40 pixels.*has 36"):
        open_checkpoint(tmp_path / "g.pth", reading=MIXED)
    weights[f"synthesis.{layer}.up_filter"] = torch.ones(8)
    torch.save({"state_dict": weights}, tmp_path / "g.pth")
    with pytest.raises(GeneratorError, match=r"up_filter does not have the design's 12 taps"):
        open_checkpoint(tmp_path / "g.pth", reading=MIXED)
