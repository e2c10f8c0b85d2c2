"""Modules that are to have a file's weights have none of their own, and need no compiler."""

import subprocess
import sys

import pytest
import torch
from offmanifold.core.generators.undrawn import undrawn
from torch import nn

from ..small_generators import FAMILIES, small_generator

# In a process of its own: others may have imported it.
_MADE = """
import sys
from offmanifold.core.generators.architectures import build
from offmanifold.core.generators.undrawn import undrawn
from tests.small_generators import FAMILIES

for family, (architecture, arguments) in FAMILIES.items():
    with undrawn():
        build("generator", architecture, {"image_shape": [3, 32, 32], **arguments})
    print(family, "torch._dynamo" in sys.modules, sep=": ")
"""


def test_no_family_imports_the_compiler() -> None:
    told = subprocess.run(
        [sys.executable, "-c", _MADE], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    assert told.splitlines() == [f"{family}: False" for family in FAMILIES]


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_have_the_shapes_of_drawn_ones_and_take_their_place(family: str) -> None:
    drawn = small_generator(family)
    assert isinstance(drawn, nn.Module)
    with undrawn():
        made = small_generator(family)
    assert isinstance(made, nn.Module)
    assert all(each.is_meta for each in made.state_dict().values())
    assert {name: each.shape for name, each in made.state_dict().items()} == {
        name: each.shape for name, each in drawn.state_dict().items()
    }
    made.load_state_dict(drawn.state_dict(), assign=True)
    latent = torch.randn(2, drawn.latent_dim)
    classes = torch.tensor([0, 1]) if drawn.num_classes else None
    with torch.no_grad():
        assert torch.equal(made(latent, classes), drawn(latent, classes))
