"""A user's own network in a TorchScript, torch.export or ONNX file."""

import pickle
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
import safetensors.torch
import torch
import yaml
from offmanifold.jobs.commands.cli import app
from offmanifold.workers.bound_to_cpu import made_on_the_cpu
from offmanifold.workers.checkpoints.kind_of_file import kind_of_file
from offmanifold.workers.generators import GeneratorError
from offmanifold.workers.user_networks import UserNetwork, open_module, open_network
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from typer.testing import CliRunner

from .test_audit import small_spec, write_images

LATENT, CLASSES = 6, 4
SHAPE = (1, 2, 2)


class Network(nn.Module):
    """A latent [N, 6, 1, 1] and a one-hot class to images from 0 to 255."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.start = nn.ConvTranspose2d(LATENT + CLASSES, 8, 4)
        self.end = nn.ConvTranspose2d(8, 3, 4, stride=2, padding=1)

    def forward(self, latent: Tensor, classes: Tensor) -> Tensor:
        both = torch.cat([latent, classes[:, :, None, None]], dim=1)
        images: Tensor = self.end(self.start(both).relu()).sigmoid() * 255
        return images


FACTS = UserNetwork(
    "torchscript",
    (LATENT, 1, 1),
    (3, 8, 8),
    CLASSES,
    True,
    native_range=(0.0, 255.0),
    prior="uniform",
    prior_bounds=(-1.0, 1.0),
)
EXAMPLE = torch.zeros(2, LATENT, 1, 1), torch.zeros(2, CLASSES)


def write_torchscript(network: Network, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        traced: Any = torch.jit.trace(network, EXAMPLE)
        traced.save(str(path))


def write_export(network: Network, path: Path) -> None:
    batch = torch.export.Dim("batch")
    program = torch.export.export(network, EXAMPLE, dynamic_shapes=({0: batch}, {0: batch}))
    torch.export.save(program, path)


def onnx_model(network: Network) -> onnx.ModelProto:
    weights = {
        name.replace(".", "_"): numpy_helper.from_array(tensor.numpy(), name.replace(".", "_"))
        for name, tensor in network.state_dict().items()
    }
    constants = [
        numpy_helper.from_array(np.array([2, 3]), "axes"),
        numpy_helper.from_array(np.array(255, np.float32), "white"),
    ]
    doubling: dict[str, Any] = {"strides": [2, 2], "pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Unsqueeze", ["classes", "axes"], ["rows"]),
        helper.make_node("Concat", ["latent", "rows"], ["both"], axis=1),
        helper.make_node("ConvTranspose", ["both", "start_weight", "start_bias"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("ConvTranspose", ["b", "end_weight", "end_bias"], ["c"], **doubling),
        helper.make_node("Sigmoid", ["c"], ["d"]),
        helper.make_node("Mul", ["d", "white"], ["images"]),
    ]
    ends: dict[str, list[str | int | None]] = {
        "latent": ["n", LATENT, 1, 1],
        "classes": ["n", CLASSES],
        "images": ["n", 3, 8, 8],
    }
    latent, classes, images = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in ends.items()
    )
    graph = helper.make_graph(
        nodes, "generator", [latent, classes], [images], [*weights.values(), *constants]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def write_onnx(network: Network, path: Path) -> None:
    onnx.save(onnx_model(network), path)


WRITERS: dict[str, Callable[[Network, Path], None]] = {
    "torchscript": write_torchscript,
    "torch-export": write_export,
    "onnx": write_onnx,
}


def facts(file_format: str, **changes: Any) -> UserNetwork:
    return UserNetwork.of({**FACTS.settings, "format": file_format, **changes})


@pytest.mark.parametrize("file_format", WRITERS)
def test_a_network_is_audited_from_its_file_to_the_report(file_format: str, tmp_path: Path) -> None:
    network = Network().requires_grad_(False)
    WRITERS[file_format](network, tmp_path / "network.bin")
    generator, *_ = open_network(tmp_path / "network.bin", facts(file_format))
    normal, condition = torch.randn(5, LATENT), torch.arange(5) % CLASSES
    bounded = 2 * torch.special.ndtr(normal) - 1
    rows = nn.functional.one_hot(condition, CLASSES).float()
    expected = network(bounded[:, :, None, None], rows) / 255
    torch.testing.assert_close(generator(normal, condition), expected, atol=1e-6, rtol=1e-5)

    write_images(tmp_path, [3, 8, 8], CLASSES)
    told = {**FACTS.settings, "format": file_format}
    entry = {"weights": "network.bin", "network": told | {"trust": file_format != "onnx"}}
    (tmp_path / "audit.yaml").write_text(yaml.safe_dump(small_spec(entry)))
    run = tmp_path / "run"
    result = CliRunner().invoke(app, ["run", str(tmp_path / "audit.yaml"), "--out", str(run)])
    assert result.exit_code == 0, result.output
    table = pd.read_parquet(run / "likelihood")
    assert (table.status == "ok").all(), table.error.dropna().tolist()
    assert "<html" in (run / "report.html").read_text()
    assert CliRunner().invoke(app, ["status", str(run)]).exit_code == 0


def _ones_without_gradient(latent: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.ones_like(latent[:, :1])


class Placed(nn.Module):
    """Makes a tensor for its images, in the way that is named."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.layer = nn.Linear(LATENT, 64)
        self.ramp = torch.linspace(0.0, 1.0, 64)
        self.register_buffer("buffered", torch.linspace(0.0, 1.0, 64))

    def forward(self, latent: Tensor) -> Tensor:
        made: Any = {
            "none": lambda: 0.5,
            "number": lambda: torch.tensor(0.5),
            "buffer": lambda: self.buffered,
            "of the latent": lambda: latent.new_zeros(1) + torch.ones_like(latent[:, :1]),
            "ramp": lambda: torch.linspace(0.0, 1.0, 64, device=latent.device),
            "zeros": lambda: torch.zeros(64),
            "attribute": lambda: self.ramp,
            "moved": lambda: latent[:, :1].to("cpu"),
            "without gradient": lambda: _ones_without_gradient(latent),
        }[self.way]()
        images: Tensor = (self.layer(latent) + made).view(-1, 1, 8, 8)
        return images


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        ("none", ()),
        ("number", ()),
        ("buffer", ()),
        ("of the latent", ()),
        ("without gradient", ()),
        ("ramp", ("linspace",)),
        ("zeros", ("zeros",)),
        ("attribute", ("a constant",)),
        ("moved", ("to",)),
    ],
)
def test_what_a_file_makes_on_the_cpu_is_known(
    way: str, expected: tuple[str, ...], tmp_path: Path
) -> None:
    network, latent = Placed(way).eval(), torch.randn(3, LATENT)
    told = UserNetwork("torchscript", (LATENT,), (1, 8, 8), native_range=(-9.0, 9.0))
    batch = torch.export.Dim("batch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.trace(network, latent).save(str(tmp_path / "traced.pt"))
    program = torch.export.export(network, (latent,), dynamic_shapes=({0: batch},))
    torch.export.save(program, tmp_path / "exported.pt2")
    assert open_network(tmp_path / "traced.pt", told)[2] == expected
    exported = replace(told, format="torch-export")
    assert open_network(tmp_path / "exported.pt2", exported)[2] == expected


class Asks(nn.Module):
    """Makes a tensor where its latent is."""

    def forward(self, latent: Tensor) -> Tensor:
        return latent + torch.linspace(0.0, 1.0, 6, device=latent.device)


class AsksNot(nn.Module):
    """Makes a tensor where torch makes them by default."""

    def forward(self, latent: Tensor) -> Tensor:
        return latent + torch.linspace(0.0, 1.0, 6)


def test_a_scripted_network_asks_its_latent_for_the_device(tmp_path: Path) -> None:
    for network, expected in ((Asks(), ()), (AsksNot(), ("linspace",))):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            torch.jit.script(network.eval()).save(str(tmp_path / "scripted.pt"))
        module, _ = open_module(tmp_path / "scripted.pt", "torchscript")
        assert made_on_the_cpu(module) == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trust": False}, "a torchscript file is a program"),
        ({"prior": "uniform", "prior_bounds": [1.0]}, "uniform prior needs 2 prior_bounds"),
        ({"native_range": [1.0, 1.0]}, "native_range must be [black, white]"),
        ({"native_range": None}, "network: native_range is missing: black and white of"),
        ({"num_classes": 0}, "one_hot needs num_classes"),
        ({"format": "keras"}, "torchscript"),
        ({"family": "dcgan"}, "a network of your own takes no family"),
        ({"weights": None}, "give one of source"),
    ],
)
def test_a_wrong_entry_is_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    write_torchscript(Network(), tmp_path / "network.pt")
    entry: dict[str, Any] = {"weights": "network.pt"}
    network = {**FACTS.settings, "trust": True}
    for key, value in change.items():
        (entry if key in ("family", "weights") else network)[key] = value
    kept = {key: value for key, value in entry.items() if value} | {"network": network}
    (tmp_path / "audit.yaml").write_text(yaml.safe_dump(small_spec(kept)))
    result = CliRunner().invoke(app, ["run", str(tmp_path / "audit.yaml"), "--out", "never"])
    assert result.exit_code == 2
    assert message in result.stderr
    assert "at least 1 item" not in result.stderr


@pytest.mark.parametrize("file_format", WRITERS)
def test_a_file_of_another_format_is_refused(
    file_format: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "network.bin"
    for other in WRITERS.keys() - {file_format}:
        WRITERS[other](Network(), path)
        known = f"is a {other} file, not .*: set format: {other}"
        with pytest.raises(GeneratorError, match=rf"network\.bin ({known}|is not .*is damaged)"):
            open_network(path, facts(file_format))
        assert other == "onnx" or kind_of_file(path.read_bytes()) == other
    WRITERS[file_format](Network(), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(GeneratorError, match="or is damaged"):
        open_network(path, facts(file_format))
    # Where torch tells its traceback to whoever asked for a plan.
    assert "torch.export" not in {record.name for record in caplog.records}


@pytest.mark.parametrize("file_format", WRITERS)
def test_weights_without_their_network_are_told_from_a_program(
    file_format: str, tmp_path: Path
) -> None:
    weights = dict(Network().state_dict())
    path = tmp_path / "weights.pt"
    for write in (
        lambda: torch.save(weights, path),
        lambda: torch.save(weights, path, _use_new_zipfile_serialization=False),
        lambda: path.write_bytes(safetensors.torch.save(weights)),
        lambda: path.write_bytes(pickle.dumps(1)),
        lambda: np.savez(path.with_suffix(""), a=np.zeros(3)),
    ):
        write()
        written = path if path.exists() else path.with_suffix(".npz")
        with pytest.raises(GeneratorError, match=r"without the network.*module:function"):
            open_network(written, facts(file_format))
        written.unlink()


def test_a_batch_normalisation_that_was_traced_in_training_is_told(tmp_path: Path) -> None:
    path = tmp_path / "network.pt"
    module = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Sigmoid(), nn.Unflatten(1, SHAPE))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(module, torch.randn(8, 2)).save(str(path))
    network = UserNetwork("torchscript", (2,), SHAPE, native_range=(0.0, 1.0))
    with pytest.raises(GeneratorError, match=r"evaluation mode.*network\.eval\(\).*traced"):
        open_network(path, network)
    with pytest.raises(GeneratorError, match="shapes cannot be multiplied") as it:
        open_network(path, UserNetwork("torchscript", (3,), SHAPE, native_range=(0.0, 1.0)))
    assert "TorchScript interpreter" not in str(it.value)


def test_what_a_network_does_not_do_is_told(tmp_path: Path) -> None:
    path = tmp_path / "network.pt"
    write_torchscript(Network().requires_grad_(False), path)
    for changes, message in (
        ({"native_range": [-1.0, 1.0]}, r"images must be in \[0, 1\].*fit native_range \[0, 255\]"),
        ({"image_shape": [1, 8, 8]}, "it raised TypeCheckError|its image_shape says"),
        ({"latent_shape": [LATENT]}, "it raised"),
        ({"prior_bounds": [1.0, -1.0]}, "the lower bound must come first"),
    ):
        with pytest.raises(GeneratorError, match=message):
            open_network(path, facts("torchscript", **changes))
    with pytest.raises(GeneratorError, match="cannot be read"):
        open_network(tmp_path / "absent", facts("torchscript"))


@pytest.mark.parametrize("place", ["weights", "constant", "function"])
def test_onnx_files_lead_nowhere_else(place: str, tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    model = onnx_model(Network())
    tensor = model.graph.initializer[0]
    if place != "weights":
        holder = model.graph if place == "constant" else model.functions.add(name="unused")
        constant = holder.node.add(op_type="Constant", output=["unused"])
        constant.attribute.append(helper.make_attribute("value", tensor))
        tensor = constant.attribute[0].t
    tensor.data_location = TensorProto.EXTERNAL
    tensor.ClearField("raw_data")
    tensor.external_data.add(key="location", value="secret")
    path.write_bytes(model.SerializeToString())
    with pytest.raises(GeneratorError, match="weights in other files"):
        open_network(path, facts("onnx"))


def test_a_name_that_is_no_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    content = onnx_model(Network()).SerializeToString()
    path.write_bytes(content.replace(b"ConvTranspose", b"Conv\xe9ranspose"))
    with pytest.raises(GeneratorError, match="is not an ONNX file, or is damaged"):
        open_network(path, facts("onnx"))


def test_an_operation_that_is_not_known_is_named(tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    model = onnx_model(Network())
    model.graph.node[3].op_type = "Shrink"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(GeneratorError, match=r"onnx2torch cannot convert it: .*Shrink"):
        open_network(path, facts("onnx"))


@pytest.mark.parametrize("file_format", WRITERS)
def test_inspect_says_how_such_a_file_is_named(file_format: str, tmp_path: Path) -> None:
    WRITERS[file_format](Network(), tmp_path / "network.bin")
    result = CliRunner().invoke(app, ["inspect", str(tmp_path / "network.bin")])
    assert result.exit_code == 2
    assert "'network'" in result.stderr
