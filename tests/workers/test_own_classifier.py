"""A user's own classifier as the annotator: what it must be, and that it is measured as others."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from offmanifold.cluster.local_storage import LocalStorage
from offmanifold.core.classifiers.answers import logits_of
from offmanifold.jobs.audits.class_shares.annotator_plan import annotator_shards, own_settings
from offmanifold.jobs.audits.specs import gather_facts, load_spec
from offmanifold.jobs.commands.cli import app
from offmanifold.jobs.plan.stage import AuditContext
from offmanifold.jobs.spec.loading import SpecError
from offmanifold.workers import own_classifier
from offmanifold.workers.own_classifier import (
    ClassifierError,
    OwnSource,
    examine,
    open_own_classifier,
    own_classifier_of,
)
from offmanifold.workers.resources import ChangedInputError, Resources
from sklearn.datasets import load_digits
from torch import Tensor, nn
from typer.testing import CliRunner

from ..jobs.conftest import write_spec

SHAPE, CLASSES = (1, 8, 8), 10
CPU = torch.device("cpu")


class Nearest(nn.Module):
    """Scores by the distance to the digits' class means; images from 0 to ``white``."""

    def __init__(self, white: float = 1.0) -> None:
        super().__init__()
        digits = load_digits()
        means = [digits.images[digits.target == each].mean(axis=0) for each in range(CLASSES)]
        self.register_buffer("means", torch.tensor(np.stack(means) / 16, dtype=torch.float32))
        self.white = white

    def forward(self, images: Tensor) -> Tensor:
        given = (images / self.white).flatten(1)
        return -(given[:, None] - self.means.flatten(1)).square().sum(dim=2)  # type: ignore[operator]


def saved(network: nn.Module, path: Path) -> OwnSource:
    """Traced, as a user would save it."""
    traced = torch.jit.trace(network.eval(), torch.rand(2, *SHAPE))
    torch.jit.save(traced, str(path))
    return OwnSource(None, None, str(path), (0.0, 1.0), "logits")


def opened(tmp_path: Path, network: nn.Module, **said: Any) -> Any:
    own = replace(saved(network, tmp_path / "own.pt"), **said)
    return open_own_classifier(own, SHAPE, CLASSES)[0]


class Said(nn.Module):
    def __init__(self, answer: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, images: Tensor) -> Tensor:
        return self.answer(images.flatten(1)[:, :CLASSES])


@pytest.mark.parametrize(
    ("answer", "answers", "message"),
    [
        (lambda x: x[:, :7], "logits", r"returned \[4, 7\] for 4 images, expected \[4, 10\]"),
        (lambda x: x / 0.0 * 0.0, "logits", "not finite"),
        (lambda x: x.softmax(1), "logits", "set answers: probabilities"),
        (lambda x: x - 2, "probabilities", "set answers: logits"),
        (lambda x: x.argmax(1), "logits", "expected a float tensor"),
        (lambda x: x - x.mean(0), "logits", "for an image alone and among others"),
        (lambda x: x @ torch.ones(3, CLASSES), "logits", "resize and repeat channels inside it"),
    ],
)
def test_what_a_classifier_does_wrong_is_said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: Callable[[Tensor], Tensor],
    answers: Any,
    message: str,
) -> None:
    def made(*_: Any) -> tuple[Any, str]:
        return Said(answer), "0"

    # As from a function: some of these cannot be traced.
    monkeypatch.setattr(own_classifier, "call_function", made)
    own = OwnSource("wrong:make", str(tmp_path), None, (0.0, 1.0), answers)
    with pytest.raises(ClassifierError, match=message):
        open_own_classifier(own, SHAPE, CLASSES)


def test_two_classes_need_two_scores(tmp_path: Path) -> None:
    own = saved(Said(lambda x: x[:, :1]), tmp_path / "one.pt")
    with pytest.raises(ClassifierError, match="return two scores an image"):
        open_own_classifier(own, SHAPE, 2)


def test_dropout_that_a_program_keeps_is_found(tmp_path: Path) -> None:
    class Dropping(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            flat = images.flatten(1)[:, :10]
            return nn.functional.dropout(flat, 0.5, training=True)

    scripted = torch.jit.script(Dropping())
    torch.jit.save(scripted, str(tmp_path / "dropping.pt"))
    own = OwnSource(None, None, str(tmp_path / "dropping.pt"), (0.0, 1.0), "logits")
    with pytest.raises(ClassifierError, match="differently when asked twice"):
        open_own_classifier(own, SHAPE, CLASSES)


def test_ranges_and_probabilities_give_the_same_answers(tmp_path: Path) -> None:
    images = torch.rand(5, *SHAPE)
    plain = logits_of(opened(tmp_path, Nearest()), images)
    bytes_ = logits_of(opened(tmp_path, Nearest(255.0), native_range=(0.0, 255.0)), images)
    softened = nn.Sequential(Nearest(), nn.Softmax(dim=1))
    probable = logits_of(opened(tmp_path, softened, answers="probabilities"), images)
    assert np.allclose(plain, bytes_, atol=1e-4)
    shifted = plain - np.log(np.exp(plain).sum(axis=1, keepdims=True))
    assert np.allclose(probable, shifted, atol=1e-4)


def spec_of(**own: Any) -> dict[str, Any]:
    digits = {"dataset": "digits"}
    return {
        "name": "own",
        "generators": [{"name": "gan", "source": "shipped:digits"}],
        "groups": [{"name": "generated", "role": "generated", "count": 2}],
        "stages": {
            "annotator": {**digits, "split": "train", "own": own},
            "class_shares": {**digits, "split": "test", "images": 40},
        },
        "cluster": {"executor": "serial"},
    }


def context_of(folder: Path, **own: Any) -> AuditContext:
    spec = load_spec(str(write_spec(folder, spec_of(**own))))
    return AuditContext(spec, gather_facts(spec))


def rows_of(context: AuditContext, folder: Path) -> Any:
    (shard,) = annotator_shards(context)
    return examine(shard.items, shard.settings, Resources(LocalStorage.create(folder), CPU))


def test_its_accuracy_is_measured_and_a_run_uses_it(tmp_path: Path) -> None:
    saved(Nearest(), tmp_path / "own.pt")
    path = write_spec(tmp_path, spec_of(weights="own.pt", trust=True))
    result = CliRunner().invoke(app, ["run", str(path), "--out", str(tmp_path / "run")])
    assert result.exit_code == 0, result.output
    context = context_of(tmp_path, weights="own.pt", trust=True)
    (row,) = rows_of(context, tmp_path / "again")
    assert 0.85 < row["test_accuracy"] < 0.95
    assert len(row["test_correct"]) == 500
    assert np.sum(row["train_confusion"]) == 1297
    page = (tmp_path / "run" / "report.html").read_text()
    assert f"{100 * row['test_accuracy']:.1f}" in page
    assert list((tmp_path / "run" / "annotations").iterdir())


def test_another_file_is_another_annotator(tmp_path: Path) -> None:
    saved(Nearest(), tmp_path / "own.pt")
    context = context_of(tmp_path, weights="own.pt", trust=True)
    first = annotator_shards(context)[0].id
    assert annotator_shards(context_of(tmp_path, weights="own.pt", trust=True))[0].id == first
    saved(nn.Sequential(Nearest(), nn.Threshold(-40.0, -40.0)), tmp_path / "own.pt")
    assert annotator_shards(context_of(tmp_path, weights="own.pt", trust=True))[0].id != first
    with pytest.raises(ChangedInputError, match="was planned with"):
        own_classifier_of(own_settings(context), Resources(LocalStorage.create(tmp_path), CPU))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x.flip(1), "with its outputs in another order"),
        (lambda x: torch.zeros_like(x), r"native_range to what it was trained on"),
    ],
)
def test_chance_is_refused(
    tmp_path: Path, change: Callable[[Tensor], Tensor], message: str
) -> None:
    class Changed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Nearest()

        def forward(self, images: Tensor) -> Tensor:
            return change(self.inner(images))

    saved(Changed(), tmp_path / "own.pt")
    context = context_of(tmp_path, weights="own.pt", trust=True)
    with pytest.raises(ClassifierError, match=message):
        rows_of(context, tmp_path / "rows")


@pytest.mark.parametrize(
    ("confusion", "message"),
    [
        # Of a rare class most are found; as many are right if all are said to be of the other.
        ([[488, 2], [4, 6]], None),
        ([[4, 0, 0], [0, 4, 0], [0, 0, 0]], None),
        ([[490, 0], [10, 0]], "nothing to do with"),
        ([[441, 49], [9, 1]], "native_range"),
        ([[2, 488], [6, 4]], r"another order it would be 494 \(class: output 0: 1, 1: 0\)"),
        ([[490, 0, 0], [0, 0, 5], [0, 5, 0]], "0: 0, 1: 2, 2: 1"),
        ([[5, 0], [0, 0]], "nothing to do with"),
    ],
)
def test_answers_must_go_with_the_classes(confusion: list[list[int]], message: str | None) -> None:
    own = OwnSource("a:b", ".", None, (0.0, 1.0), "logits")
    if message is None:
        own_classifier._require_better_than_chance(own, np.array(confusion))
        return
    with pytest.raises(ClassifierError, match=message):
        own_classifier._require_better_than_chance(own, np.array(confusion))


def test_answers_without_relation_are_hardly_ever_taken() -> None:
    own = OwnSource("a:b", ".", None, (0.0, 1.0), "logits")
    random, taken, tries = np.random.default_rng(0), 0, 60
    for _ in range(tries):
        labels, answers = random.choice(3, (2, 80), p=[0.8, 0.15, 0.05])
        confusion = np.zeros((3, 3), dtype=int)
        np.add.at(confusion, (labels, answers), 1)
        with suppress(ClassifierError):
            own_classifier._require_better_than_chance(own, confusion)
            taken += 1
    # 1 in 20, and four standard errors.
    assert taken <= tries * 0.05 + 4 * (tries * 0.05 * 0.95) ** 0.5


FUNCTION = """
import torch

def make():
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    network.load_state_dict(torch.load("{weights}", weights_only=True))
    return network
"""


def test_a_functions_weights_are_part_of_what_it_is_known_by(tmp_path: Path) -> None:
    weights = tmp_path / "weights.pt"
    (tmp_path / "own_function_classifier.py").write_text(FUNCTION.format(weights=weights))
    known = []
    for seed in (0, 1, 0):
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
        torch.save(network.state_dict(), weights)
        context = context_of(tmp_path, source="own_function_classifier:make")
        known.append(context.facts.classifiers["annotator"])
    assert known[0] == known[2] != known[1]


PLAIN = """
import functools
import torch

def _scores(scale, images):
    assert type(images) is torch.Tensor
    return scale * images.flatten(1)[:, :10]

make = functools.partial(lambda scale: functools.partial(_scores, scale), 2.0)

class WithState(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
        torch.nn.init.constant_(self.layer[1].weight, 0.1)
        torch.nn.init.constant_(self.layer[1].bias, 0.1)
        self.state = {"scale": 1.0, "more": [torch.ones(2), None, object()]}
    def get_extra_state(self):
        return self.state
    def set_extra_state(self, state):
        self.state = state
    def forward(self, images):
        return self.layer(images)

def other():
    network = WithState()
    network.state["scale"] = 2.0
    return network
"""


class Elsewhere(Tensor):
    """Stands for a tensor of an accelerator: a copy on the CPU is a plain one."""

    def cpu(self, *_: Any, **__: Any) -> Tensor:
        return self.as_subclass(Tensor)


def test_plain_functions_partials_and_extra_state(tmp_path: Path) -> None:
    (tmp_path / "own_plain_classifier.py").write_text(PLAIN)

    def found(name: str) -> tuple[Any, str]:
        own = OwnSource(f"own_plain_classifier:{name}", str(tmp_path), None, (0.0, 1.0), "logits")
        return open_own_classifier(own, SHAPE, CLASSES)

    classifier, _ = found("make")
    images = torch.rand(2, *SHAPE)
    expected = 2 * images.flatten(1)[:, :10]
    assert torch.equal(classifier.answers(images.as_subclass(Elsewhere)), expected)
    assert found("WithState")[1] == found("WithState")[1] != found("other")[1]


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({}, "found neither"),
        ({"weights": "own.pt"}, "add trust: true"),
        ({"weights": "own.pt", "source": "a:b", "trust": True}, "found both"),
        ({"weights": "missing.pt", "trust": True}, "missing.pt"),
        ({"source": "no_such_module_here:make"}, "no_such_module_here"),
        ({"weights": "own.pt", "trust": True, "native_range": [1, -1]}, "ascending order"),
    ],
)
def test_what_the_spec_says_wrong(tmp_path: Path, own: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        context_of(tmp_path, **own)


def test_it_is_no_architecture_and_has_no_features(tmp_path: Path) -> None:
    saved(Nearest(), tmp_path / "own.pt")
    content = spec_of(weights="own.pt", trust=True)
    content["stages"]["annotator"]["architecture"] = "linear"
    with pytest.raises(SpecError, match="remove architecture"):
        load_spec(str(write_spec(tmp_path, content)))
    content = spec_of(weights="own.pt", trust=True)
    content["stages"]["distances"] = {
        "dataset": "digits",
        "split": "test",
        "spaces": ["annotator"],
        "images": 64,
    }
    with pytest.raises(SpecError, match="which layer's features"):
        load_spec(str(write_spec(tmp_path, content)))
