"""A generated training set of any size takes the memory of a batch and its labels."""

import os
import subprocess
import sys

import pytest

# What a classifier is trained on in the stages: generated, spooled, read in batches. The system
# refuses private memory beyond the limit; a file that is mapped is not of it, as its pages go where
# they came from.
SCRIPT = """
import resource, sys
import numpy as np, torch
from offmanifold.core.classifiers.architectures import build_classifier
from offmanifold.core.classifiers.labelled_images import StoredImages
from offmanifold.core.classifiers.training import ClassifierTraining
from offmanifold.core.settings.classifiers import TRAINING
from offmanifold.workers.generated_images import DrawnImages
from offmanifold.workers.spooled_images import SpooledImages, generated_images

class Flat(torch.nn.Module):
    latent_dim, num_classes, image_shape = 2, 2, (3, 64, 64)
    def forward(self, latent, condition):
        return (latent[:, :1, None, None] + condition.view(-1, 1, 1, 1)).sigmoid().expand(
            -1, 3, 64, 64
        )

device, shape = torch.device("cpu"), (3, 64, 64)
source = DrawnImages(Flat(), 0, 256, device, (0, 1))

def train(count, held):
    labels = [number % 2 for number in range(count)]
    spool = SpooledImages(shape, 256, count, device)
    images = generated_images(source, list(zip(labels, range(count))), labels, None, spool)
    if held:
        pixels = images.batch(np.arange(0, count)).mul(255).to(torch.uint8)
        images = StoredImages(pixels, images.labels)
    training = ClassifierTraining(
        build_classifier("linear", shape, 2, 0), images, TRAINING["linear"], seed=0
    )
    training.advance(count // 128)

train(2_000, False)
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
limit = 1024 * int(status["VmData"].split()[0]) + 2**20 * int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
train(20_000, sys.argv[2] == "held")
print("trained")
"""


@pytest.mark.slow
def test_ten_times_the_images_are_trained_on_within_a_hundred_more_mebibytes() -> None:
    """20,000 images of 64x64x3 are 246 MB as bytes: who holds them is refused the memory."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    spooled, held = (
        subprocess.run(
            [sys.executable, "-c", SCRIPT, "100", how],
            check=False,
            capture_output=True,
            text=True,
            env=environment,
        )
        for how in ("spooled", "held")
    )
    assert spooled.stdout == "trained\n", spooled.stderr
    assert held.returncode != 0
    assert "memory" in held.stderr.lower()
