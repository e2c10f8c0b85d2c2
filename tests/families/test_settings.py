"""Settings in or beside a file, and what they decide."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from offmanifold.core.generators.stylegan2 import StyledConvolution, smoothing_matrix
from offmanifold.workers.checkpoints.opening import open_checkpoint
from offmanifold.workers.generators import GeneratorError

from .pickles import write_network
from .recorded import recorded, write_checkpoint
from .rule import by_rule


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"img_resolution": None}, "arguments that the network was built with are missing"),
        ({"synthesis_kwargs": {"architecture": "resnet"}}, "only 'skip' is known"),
        ({"mapping_kwargs": {"activation": "relu"}}, "only 'lrelu' is known"),
        ({"img_resolution": 64}, "there is no tensor 'synthesis.b64"),
        ({"img_resolution": "large"}, r"not of its form \(AttributeError"),
    ],
)
def test_a_stylegan_that_is_not_known_is_refused(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    content = recorded("stylegan2-ada")
    settings = {**content["settings"], **change}
    kept = {name: value for name, value in settings.items() if value is not None}
    path = write_network(tmp_path / "n.pkl", by_rule(content["shapes"]), kept)
    with pytest.raises(GeneratorError, match=message):
        open_checkpoint(path)


def test_biggan_deep_needs_its_config_and_takes_a_truncation(tmp_path: Path) -> None:
    path = write_checkpoint("biggan-deep", tmp_path)
    whole, half = (open_checkpoint(path, truncation=value).translation for value in (None, 0.5))
    assert (whole.arguments["truncation"], half.arguments["truncation"]) == (1.0, 0.5)
    name = "blocks.0.affines.0.bias"
    assert not torch.equal(whole.weights[name], half.weights[name])
    config = tmp_path / "config.json"
    settings = json.loads(config.read_text())
    config.write_text("{")
    with pytest.raises(GeneratorError, match=r"config\.json is not JSON"):
        open_checkpoint(path)
    del settings["layers"]
    config.write_text(json.dumps(settings))
    with pytest.raises(GeneratorError, match="lacks layers"):
        open_checkpoint(path)


def test_large_maps_are_smoothed_as_small_ones_are() -> None:
    """The filter as a convolution, which sides above the dense one use, and as a matrix."""
    layer = StyledConvolution(1, 2, 1, 256, True, None)
    features = torch.randn(1, 2, 257, 257)
    matrix = smoothing_matrix(256)
    expected = matrix @ features @ matrix.T
    torch.testing.assert_close(layer._smooth(features), expected, rtol=0, atol=1e-5)
    assert matrix[5, 4:8].tolist() == [0.25, 0.75, 0.75, 0.25]
