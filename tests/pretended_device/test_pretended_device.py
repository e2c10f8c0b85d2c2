"""Every kind of work on a GPU, as far as that can be told without one: no tensor is left behind.

The pretended device lasts as long as its process, so that tests use it in processes of their own.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ..registered import COMPUTATIONS

ROOT = Path(__file__).parents[2]
# Of a short script, most of the time is its process's start: the scripts share one.
SCRIPTS = """
import re, sys, json, traceback
import pytest, torch
from tests.pretended_device.device import crossings_in, leave, pretended_device, register_device

register_device()
for name, script in json.load(sys.stdin).items():
    problem = ""
    with pretended_device() as device:
        there, here = torch.ones(3, device=device), torch.ones(3)
        try:
            exec(script)
        except BaseException:
            problem = traceback.format_exc()
    print(json.dumps([name, problem]))
leave()
"""


def refused() -> list[str]:
    lines = []
    for line, error in (
        ("there + here", "Expected all tensors to be on the same device"),
        ("torch.bmm(there[None, None], here[None, :, None])", "on the same device"),
        ("there.numpy()", "call cpu() first"),
    ):
        lines.append(f"with pytest.raises(Exception, match=re.escape({error!r})):")
        lines.append(f"    {line}")
    return lines


TAKEN = [
    "assert (there + here.to(device)).device == there.device",
    "assert (there + torch.tensor(1.0)).device == there.device",
    "assert there.cpu().numpy().shape == (3,)",
    "assert there.tolist() == [0.5] * 3 and there.sum().item() == 0.5",
    "assert bool(there.isfinite().all()) and not bool((there < 0).any())",
    "assert there[there > 0].shape == there[torch.arange(3)].shape == (3,)",
    "layer = torch.nn.Linear(3, 2).to(device)",
    "layer(there[None]).sum().backward()",
    "assert layer.weight.grad.device == there.device",
]
OWN_TENSORS = [
    "from offmanifold.core.classifiers.own import OwnClassifier",
    "from offmanifold.workers.on_cpu import on_cpu",
    "weights = torch.rand(16, 3)",
    "function = on_cpu(lambda images: images.flatten(1) @ weights)",
    "images = torch.rand(2, 1, 4, 4).to(device)",
    "assert function(images).device == images.device",
    "classifier = OwnClassifier(function, 3, (-1.0, 1.0), 'logits').to(device)",
    "assert classifier.answers(images).shape == (2, 3)",
]


def counted() -> list[str]:
    lines = []
    for work, crossing in (
        ("there + torch.ones(3).to(device)", "copied there"),
        ("there.new_tensor([1.0])", "copied there"),
        ("there[torch.arange(2)]", "copied there"),
        ("there.cpu()", "read back"),
        ("there.sum().item()", "read back"),
        ("there.tolist()", "read back"),
        ("there[there > 0]", "read back"),
        ("there.square().sum()", None),
    ):
        lines.append(f"found = crossings_in(lambda: {work})")
        expected = [crossing] if crossing else []
        lines.append(f"assert [key.split(',')[0] for key in found] == {expected}, found")
    return lines


def python(*arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=ROOT, input=given, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def problems() -> dict[str, str]:
    """What went wrong in each script, run where the device is."""
    scripts = {"refused": refused(), "taken": TAKEN, "own": OWN_TENSORS, "counted": counted()}
    sent = json.dumps({name: "\n".join(lines) for name, lines in scripts.items()})
    result = python("-c", SCRIPTS, given=sent)
    assert result.returncode == 0, result.stderr
    return dict(json.loads(line) for line in result.stdout.splitlines())


def test_the_device_tells_what_a_gpu_would_refuse(problems: dict[str, str]) -> None:
    assert problems["refused"] == ""


def test_the_device_takes_what_a_gpu_takes(problems: dict[str, str]) -> None:
    assert problems["taken"] == ""


def test_a_plain_function_meets_images_where_its_own_tensors_are(problems: dict[str, str]) -> None:
    """As a classifier or a segmenter: nobody can move what it computes with."""
    assert problems["own"] == ""


def test_what_crosses_to_the_device_or_back_is_counted(problems: dict[str, str]) -> None:
    assert problems["counted"] == ""


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.xdist_group("tiny")
@pytest.mark.usefixtures("tiny")
def test_no_row_fails_on_a_device(tiny_folder: Path) -> None:
    result = python("-m", "tests.pretended_device.work", "--runs", str(tiny_folder))
    assert result.returncode == 0, result.stderr
    work: list[dict[str, Any]] = [json.loads(line) for line in result.stdout.splitlines()]
    assert {each["computation"] for each in work} == set(COMPUTATIONS)
    kinds = {(each["computation"], each["simulated"], each["space"]) for each in work}
    for computation in ("likelihood.guided", "likelihood.classical", "local_variation"):
        assert {(computation, False, None), (computation, True, None)} <= kinds
    assert {("neighbours", False, space) for space in ("pixels", "lpips")} <= kinds
    # Where no numbers are held a classifier answers all alike, and is told so after its answers.
    told = "no more than answers would that have nothing to do with"
    failed = [each for each in work if each["failed"] and told not in each["traceback"]]
    assert not failed, "\n".join(f"{each['computation']}: {each['traceback']}" for each in failed)


@pytest.mark.slow
@pytest.mark.ci
def test_nothing_waits_for_the_device_in_a_call_of_a_generator_or_in_an_inner_loop() -> None:
    result = python("-m", "tests.pretended_device.loops")
    assert result.returncode == 0, result.stderr
    found: list[dict[str, Any]] = [json.loads(line) for line in result.stdout.splitlines()]
    assert {each["kind"] for each in found} == {"call", "loop"}
    waited = [each for each in found if each["crossings"]]
    assert not waited, waited
