"""Published figures of other models, read from ``published.yaml``."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class PublishedLikelihood:
    """Mean log likelihood of unseen images, bits per dimension, higher is better; and the FID."""

    model: str
    dataset: str
    bits_per_dim: float
    source: str
    fid: float | None = None


@dataclass(frozen=True)
class PublishedVariance:
    """Observation variance sigma^2 on images in [0, 1], and its PSNR in dB."""

    model: str
    dataset: str
    variance: float
    psnr: float
    source: str


def published_likelihoods() -> list[PublishedLikelihood]:
    """Friedman & Weiss, Table 1, and what other papers print; by data set, densest first."""
    rows = [PublishedLikelihood(**row) for row in _content()["likelihood"]]
    return sorted(rows, key=lambda row: (row.dataset, -row.bits_per_dim))


def published_variances() -> list[PublishedVariance]:
    """Friedman & Weiss, Table 2, in its order."""
    return [PublishedVariance(**row) for row in _content()["variance"]]


@cache
def _content() -> dict[str, list[dict[str, Any]]]:
    text = Path(__file__).with_name("published.yaml").read_text(encoding="utf-8")
    content: dict[str, list[dict[str, Any]]] = yaml.safe_load(text)
    return content
