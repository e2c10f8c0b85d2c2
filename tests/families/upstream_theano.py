"""Upstream's ALI and Improved-GAN, run by a Python that has Theano; called by `theano_parity`.

    python tests/families/upstream_theano.py CASE FOLDER CHECKOUTS...

Builds the generator by upstream's own lines, with random weights, writes its parameters as upstream
does, and what it returns for the latents in ``FOLDER/given.npz`` to ``FOLDER/returned.npz``. Needs
Python 3.7, Theano 1.0.5 and, for ALI, Blocks: nothing of this project, and no later syntax.
"""

from __future__ import annotations

import importlib
import sys
import time
import types
from pathlib import Path
from typing import Any

import numpy as np


def drawn(random: Any, shape: Any, scale: float, about: float = 0.0) -> Any:
    """Normal numbers that float32 holds exactly, for both precisions."""
    return (about + scale * random.standard_normal(shape)).astype(np.float32)


def set_value(parameter: Any, value: Any) -> None:
    """Of a shared variable of Theano's, in the precision that it computes in."""
    parameter.set_value(value.astype(parameter.dtype))


def without_data_sets() -> None:
    """Stands in for Fuel, with which ALI's modules read data sets: no data is needed."""
    for name in ("", ".datasets", ".datasets.toy", ".schemes", ".streams", ".transformers"):
        place_holder("fuel" + name)
    for name in ("fuel.transformers.defaults", "fuel.utils"):
        place_holder(name)


def place_holder(name: str) -> None:
    """A module, whatever is imported from which is a class that takes anything."""
    module: Any = types.ModuleType(name)

    def stand_in(wanted: str) -> type:
        if wanted.startswith("__"):
            raise AttributeError(wanted)
        return type(wanted, (object,), {"__init__": accept})

    module.__getattr__ = stand_in
    module.__path__ = []
    sys.modules[name] = module


def accept(*_arguments: Any, **_named: Any) -> None:
    """Does nothing."""


def ali(network: str, folder: Path, given: dict[str, Any], checkouts: list[str]) -> dict[str, Any]:
    """The decoder that ``experiments/ali_NETWORK.py`` builds, and Blocks' file of its training."""
    sys.path[:0] = [*checkouts, checkouts[0] + "/experiments"]
    without_data_sets()
    experiment: Any = importlib.import_module("ali_" + network)
    side = experiment.IMAGE_SIZE[0]
    pixels = np.random.RandomState(1).uniform(size=(500, 3, side, side))
    stream = types.SimpleNamespace(get_epoch_iterator=lambda: iter([(pixels,)]))
    setattr(experiment, "create_" + network + "_data_streams", lambda *_sizes: [stream])
    _, training, _ = experiment.create_models()
    (model,) = training.top_bricks
    draw_ali(model.decoder.mapping)
    with (folder / "ali.tar").open("wb") as file:
        blocks: Any = importlib.import_module("blocks.serialization")
        blocks.dump(None, file, parameters=training.parameters)

    theano: Any = importlib.import_module("theano")
    latent = theano.tensor.tensor4()
    estimate_ali(model.decoder, latent, given["batch"])
    return value_and_gradient(latent, model.sample(latent), given, (Ellipsis, None, None))


def draw_ali(mapping: Any) -> None:
    """Weights for activations of size 1."""
    random = np.random.RandomState(2)
    for brick in mapping.layers:
        for parameter in brick.parameters:
            shape = parameter.get_value().shape
            if parameter.name == "W":
                step = brick.step[0] if "Transpose" in type(brick).__name__ else 1
                inputs = brick.num_channels * (brick.filter_size[0] / step) ** 2
                value = drawn(random, shape, inputs**-0.5)
            else:
                value = drawn(random, shape, 0.3, float(parameter.name == "batch_norm_scale"))
            set_value(parameter, value)


def estimate_ali(decoder: Any, latent: Any, batch: Any) -> None:
    """The population statistics are those that Blocks computes of the batch, which no file has."""
    theano: Any = importlib.import_module("theano")
    bn: Any = importlib.import_module("blocks.graph.bn")
    graph: Any = importlib.import_module("blocks.graph")
    with bn.batch_normalization(decoder):
        images = decoder.apply(latent)
    updates = bn.get_batch_normalization_updates(graph.ComputationGraph(images))
    values = theano.function([latent], [value for _, value in updates])(
        batch[:, :, None, None].astype(theano.config.floatX)
    )
    for (population, _), value in zip(updates, values):  # noqa: B905
        set_value(population, value)


def improved_gan(
    script: str, folder: Path, given: dict[str, Any], checkouts: list[str]
) -> dict[str, Any]:
    """The generator that a ``train_*.py`` specifies, by its lines from there to the images."""
    sys.path.insert(0, checkouts[0] + "/mnist_svhn_cifar10")
    theano: Any = importlib.import_module("theano")
    lasagne: Any = lasagne_without_gpu()
    lines = (Path(sys.path[0]) / ("train_" + script + ".py")).read_text()
    source = lines[lines.index("noise_dim = ") : lines.index("# specify discriminative model")]

    def specified(latent: Any, count: int) -> Any:
        names = {
            "args": types.SimpleNamespace(batch_size=count),
            "theano_rng": types.SimpleNamespace(uniform=lambda size: latent),  # noqa: ARG005
            "T": theano.tensor,
            "ll": lasagne.layers,
            "nn": importlib.import_module("nn"),
            "Normal": lasagne.init.Normal,
        }
        exec(source, names)
        return names["gen_layers"]

    latent = theano.tensor.matrix()
    many = specified(latent, len(given["batch"]))
    parameters = lasagne.layers.get_all_params(many, trainable=True)
    draw_improved_gan(parameters)
    np.savez(str(folder / "gen_params.npz"), *[p.get_value() for p in parameters])
    few = specified(latent, len(given["latent"]))
    estimate_improved_gan(many, latent, given["batch"])
    values = lasagne.layers.get_all_param_values(many[-1])
    lasagne.layers.set_all_param_values(few[-1], values)
    native = lasagne.layers.get_output(few[-1], deterministic=True)
    return value_and_gradient(latent, (native + 1) / 2, given, Ellipsis)


def lasagne_without_gpu() -> Any:
    """Lasagne 0.1 beside Theano 1.0.5: the new name of a module, and none for cuDNN's layers."""
    pool = importlib.import_module("theano.tensor.signal.pool")
    importlib.import_module("theano.tensor.signal").downsample = pool  # type: ignore[attr-defined]
    lasagne: Any = importlib.import_module("lasagne")
    dnn: Any = types.ModuleType("lasagne.layers.dnn")
    dnn.as_tuple = lasagne.utils.as_tuple
    sys.modules[dnn.__name__] = lasagne.layers.dnn = dnn
    return lasagne


def draw_improved_gan(parameters: list[Any]) -> None:
    """Weights of any size, which are normalised; gains that use the range of the tanh."""
    random = np.random.RandomState(2)
    for parameter in parameters:
        shape = parameter.get_value().shape
        about = 3.0 if parameter.name == "g" else 0.0
        set_value(parameter, drawn(random, shape, 0.05 if len(shape) > 1 else 0.3, about))


def estimate_improved_gan(layers: list[Any], latent: Any, batch: Any) -> None:
    """The averages are the statistics of the batch, layer by layer; upstream saves none."""
    theano: Any = importlib.import_module("theano")
    lasagne: Any = importlib.import_module("lasagne")
    normalising = [layer for layer in layers if hasattr(layer, "avg_batch_mean")]
    incoming = [lasagne.layers.get_output(layer.input_layer) for layer in normalising]
    values = theano.function([latent], incoming)(batch.astype(theano.config.floatX))
    for layer, value in zip(normalising, values):  # noqa: B905
        set_value(layer.avg_batch_mean, value.mean(layer.axes_to_sum, dtype=np.float64))
        set_value(layer.avg_batch_var, value.var(layer.axes_to_sum, dtype=np.float64))


def value_and_gradient(
    latent: Any, images: Any, given: dict[str, Any], places: Any
) -> dict[str, Any]:
    """Images at given latents, the gradient of their product with given numbers, and its time."""
    theano: Any = importlib.import_module("theano")
    cotangent = theano.tensor.tensor4()
    gradient = theano.grad((images * cotangent).sum(), latent)
    values = [given["latent"][places], given["cotangent"]]
    compiled = theano.function([latent, cotangent], [images, gradient])
    arguments = [value.astype(theano.config.floatX) for value in values]
    made, slope = compiled(*arguments)
    seconds = []
    for _ in range(int(given["times"])):
        started = time.process_time()
        compiled(*arguments)
        seconds.append(time.process_time() - started)
    return {
        "images": made,
        "gradient": slope.reshape(given["latent"].shape),
        "seconds": np.median(seconds),
    }


def main() -> None:
    """Reads the command line."""
    sys.setrecursionlimit(10000)
    case, folder, *checkouts = sys.argv[1:]
    given = dict(np.load(str(Path(folder) / "given.npz")))
    family, _, name = case.partition(":")
    run = ali if family == "ali" else improved_gan
    np.savez(str(Path(folder) / "returned.npz"), **run(name, Path(folder), given, checkouts))


if __name__ == "__main__":
    main()
