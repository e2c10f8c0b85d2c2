"""Trains the classifiers of the diversity audit on Fashion-MNIST, on one GPU and in one go.

    python -m tests.benchmarks.train_classifiers DATA.npz OUT [--device cuda] [--seconds 220] \
        [--models resnet32-real-1-0 resnet32-generated-1-0]

Needs `core`, torch, scipy and safetensors, but neither Ray nor a run. DATA.npz has uint8
``train_images`` and ``test_images`` [N, 28, 28] with ``train_labels`` and ``test_labels``. The
generated images are the shipped generator's. Several processes share the device, since networks
this small leave most of it idle. OUT/models.json has a row for each model as soon as it is trained;
OUT/answers.npz which test images each labels rightly, and the annotator's logits; OUT/annotator.pt
its weights: it is the residual network trained on all real images.

A model that the deadline stops is written with ``converged: false`` and the accuracy it has.
``--passes 6`` is for a CPU, which has no time for convergence: so many passes, in batches of 128,
the rate a tenth after the first half of them and a hundredth in the last one.
"""

import argparse
import json
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from offmanifold.core.classifiers.answers import Answers, answer_in_batches
from offmanifold.core.classifiers.architectures import build_classifier
from offmanifold.core.classifiers.classifier import Classifier
from offmanifold.core.classifiers.labelled_images import (
    GeneratedImages,
    Joined,
    LabelledImages,
    StoredImages,
    Subset,
    down_sampled,
)
from offmanifold.core.classifiers.training import ClassifierTraining
from offmanifold.core.generators.architectures import build
from offmanifold.core.generators.protocol import Generator
from offmanifold.core.settings.classifiers import TRAINING
from offmanifold.core.statistics.inception_score import inception_score
from safetensors.torch import load_file

CLASSES = 10
ANNOTATOR = "resnet32-real-1-0"
SHAPE = (1, 28, 28)
SHIPPED = Path(__file__).parents[2] / "workers" / "weights" / "fashion"
# Larger batches than on a CPU, and rates to match: a device is idle between small ones.
SETTINGS = {
    "linear": TRAINING["linear"],
    "resnet32": replace(TRAINING["resnet32"], batch_size=512, learning_rate=0.2),
}
BLOCK = 50


@dataclass(frozen=True)
class Model:
    """One classifier to train: ``data`` is real, generated or both; ``factor`` M or the times N."""

    architecture: str
    data: str
    factor: int
    draw: int

    @property
    def name(self) -> str:
        return f"{self.architecture}-{self.data}-{self.factor}-{self.draw}"


def models() -> list[Model]:
    """The annotator first, then what the headline needs most, then its repeats."""
    found = []
    for draw in range(3):
        found += [Model("resnet32", "real", 1, draw), Model("resnet32", "generated", 1, draw)]
        found += [Model("resnet32", "real", factor, draw) for factor in (4, 16, 64, 256)]
        found += [Model("linear", "generated", 1, draw)]
        found += [
            Model("linear", "real", factor, draw) for factor in (1, 2, 4, 8, 16, 32, 64, 128, 256)
        ]
        found += [Model("linear", "both", 1, draw), Model("linear", "generated", 10, draw)]
    found.append(Model("resnet32", "both", 1, 0))
    return found


def open_shipped(device: torch.device) -> Generator:
    config = json.loads((SHIPPED / "config.json").read_text())
    generator = build("generator", config["architecture"], config["arguments"])
    generator.load_state_dict(load_file(SHIPPED / "model.safetensors"))
    found: Generator = generator.eval().requires_grad_(False).to(device)
    return found


def generated(count: int, draw: int, maker: torch.device, device: torch.device) -> StoredImages:
    """So many images of ``maker``'s, as many of every class, kept on ``device`` as bytes."""
    labels = np.arange(count, dtype=np.int64) % CLASSES
    seeds = range(draw * 10**9, draw * 10**9 + count)
    images = GeneratedImages(open_shipped(maker), labels, seeds, maker, levels=256)
    blocks = []
    for start in range(0, count, 10_000):
        indices = np.arange(start, min(start + 10_000, count), dtype=np.int64)
        blocks.append((images.batch(indices) * 255).round().to(device, torch.uint8))
    return StoredImages(torch.cat(blocks), labels)


def open_data(path: Path, device: torch.device, limit: int | None) -> dict[str, StoredImages]:
    with np.load(path) as data:
        return {
            part: StoredImages(
                torch.from_numpy(data[f"{part}_images"][:limit, None]).to(device),
                data[f"{part}_labels"][:limit].astype(np.int64),
            )
            for part in ("train", "test")
        }


def train(
    model: Model, arguments: argparse.Namespace, deadline: float
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A row about the trained model, and arrays of its answers."""
    torch.set_num_threads(1)
    device = torch.device(arguments.device if model.architecture == "resnet32" else "cpu")
    sets = open_data(arguments.data, device, arguments.limit)
    images = training_images(model, sets["train"], torch.device(arguments.device), device)
    classifier = build_classifier(model.architecture, SHAPE, CLASSES, model.draw).to(device)
    settings = SETTINGS[model.architecture]
    if arguments.passes is not None:
        # The loss never falls by 99% in a pass: every one after the first is idle.
        settings = replace(
            TRAINING[model.architecture],
            tolerance=0.99,
            patience=max(1, (arguments.passes - 1) // 2),
            most_rounds=arguments.passes,
        )
    began = time.time()
    training = ClassifierTraining(classifier, images, settings, model.draw)
    while not training.finished and time.time() < deadline:
        training.advance(BLOCK)
    seconds = time.time() - began
    answers = answers_of(classifier, sets["test"])
    sample = Subset(images, np.arange(0, len(images.labels), max(1, len(images.labels) // 60_000)))
    row = {
        "model": model.name,
        "images": len(images.labels),
        "converged": training.progress.converged,
        "rounds": training.progress.round,
        "losses": training.progress.losses,
        "rates": training.progress.rates,
        "train_accuracy": accuracy(answers_of(classifier, sample)),
        "test_accuracy": accuracy(answers),
        "training_seconds": seconds,
        "device": str(device),
        "settings": vars_of(settings),
    }
    arrays = {f"correct.{model.name}": np.packbits(answers.predicted == answers.labels)}
    if model.name == ANNOTATOR:
        torch.save(classifier.state_dict(), arguments.out / "annotator.pt")
        made = generated(len(sets["train"].labels), 0, device, device)
        on_made = answers_of(classifier, made)
        row |= {
            "label_correctness": accuracy(on_made),
            "inception_score_test": vars_of(inception_score(shuffled(answers.logits))),
            "inception_score_generated": vars_of(inception_score(shuffled(on_made.logits))),
        }
        arrays |= {
            "annotator.test": answers.logits.astype(np.float32),
            "annotator.generated": on_made.logits.astype(np.float32),
        }
    return row, arrays


def training_images(
    model: Model, real: StoredImages, maker: torch.device, device: torch.device
) -> LabelledImages:
    count = len(real.labels)
    if model.data == "real":
        if model.factor == 1:
            return real
        return Subset(real, down_sampled(real.labels, model.factor, model.draw))
    made = generated(count * model.factor, model.draw, maker, device)
    return made if model.data == "generated" else Joined([real, made])


def answers_of(classifier: Classifier, images: LabelledImages) -> Answers:
    parts = list(answer_in_batches(classifier, images, 2000))
    return Answers(
        np.concatenate([part.logits for part in parts]),
        np.concatenate([part.labels for part in parts]),
    )


def accuracy(answers: Answers) -> float:
    return float(np.mean(answers.predicted == answers.labels))


def shuffled(logits: np.ndarray) -> np.ndarray:
    """The splits of a score should not be sorted by class."""
    return np.random.default_rng(0).permutation(logits)


def vars_of(settings: object) -> dict[str, Any]:
    return dict(vars(settings))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=220.0)
    parser.add_argument("--processes", type=int, default=14)
    known = {model.name: model for model in models()}
    parser.add_argument(
        "--models",
        nargs="+",
        metavar="NAME",
        choices=known,
        default=list(known),
        help="only these, named as in models.json: ARCHITECTURE-DATA-FACTOR-DRAW",
    )
    parser.add_argument("--passes", type=int, help="so many, instead of until it has converged")
    parser.add_argument("--limit", type=int, help="images of each part, to try the script out")
    arguments = parser.parse_args()
    chosen = [known[name] for name in arguments.models]
    deadline = time.time() + arguments.seconds
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    arrays: dict[str, np.ndarray] = {}
    with ProcessPoolExecutor(arguments.processes, get_context("spawn")) as pool:
        futures = [pool.submit(train, model, arguments, deadline) for model in chosen]
        for future in as_completed(futures):
            row, found = future.result()
            rows.append(row)
            arrays |= found
            (arguments.out / "models.json").write_text(json.dumps(rows, indent=1))
            np.savez_compressed(arguments.out / "answers.npz", allow_pickle=False, **arrays)
            print(
                f"{row['model']}: test {row['test_accuracy']:.4f}, train "
                f"{row['train_accuracy']:.4f}, {row['rounds']} rounds, "
                f"{row['training_seconds']:.0f} s, converged: {row['converged']}",
                flush=True,
            )


if __name__ == "__main__":
    main()
