"""The spec behind ``offmanifold init``: what was found of a generator and its images, as YAML.

Whatever a file does not say stands there as a comment, with the choices.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...workers.datasets import DatasetError, open_dataset
from ..audits.specs import gather_facts, parse_spec
from ..spec.loading import SpecError
from .init_data import FoundGroup, found_groups
from .init_generator import FoundGenerator, Shape, found_generator
from .init_request import Request, comment, in_yaml

_TRAIN, _TEST, _MADE, _SIMULATED = 128, 64, 64, 256


@dataclass(frozen=True)
class Started:
    """The text of a spec, and what keeps `plan` from it; None where nothing does.

    ``untrusted`` is whether the generator would say more if its program were run.
    """

    text: str
    missing: str | None
    untrusted: bool = False


def starting_spec(request: Request) -> Started:
    """A commented spec for what was asked.

    Raises:
        SpecError: the generator or the images cannot be read at all; with the remedy.
    """
    generator = found_generator(request)
    groups = found_groups(request, generator)
    text = "\n".join(_lines(request, generator, groups)) + "\n"
    try:
        spec = parse_spec(text, request.out.resolve().parent, (), str(request.out))
        gather_facts(spec)
    except SpecError as error:
        return Started(_with_missing(text, str(error)), str(error), generator.untrusted)
    return Started(text, None)


def _with_missing(text: str, missing: str) -> str:
    return f"# TO FILL IN before `offmanifold plan` accepts it:\n{comment(missing)}\n{text}"


def _lines(
    request: Request, generator: FoundGenerator, groups: Sequence[FoundGroup]
) -> Iterator[str]:
    name = _name(request)
    yield comment(f"What `offmanifold init` found for {request.weights or request.source}.")
    yield "# Check what it assumes, then `offmanifold plan` and `offmanifold run` this file."
    yield "# docs/spec.md has all keys."
    yield f"name: {in_yaml(name)}"
    yield "seed: 0"
    quick = in_yaml(request.quick)
    yield f"quick: {quick}  # true, or --quick: a first answer in minutes, with wide intervals"
    yield "generators:"
    for note in generator.notes:
        yield f"  {comment(note)}"
    yield f"  - name: {in_yaml(name)}"
    for line in generator.lines:
        yield f"    {line}"
    yield "groups:"
    yield from _group_lines(generator, groups)
    yield "stages:"
    yield from _stage_lines(groups)


def _group_lines(generator: FoundGenerator, groups: Sequence[FoundGroup]) -> Iterator[str]:
    if not groups:
        yield "  # Without images of the data nothing is asked about them. Add, if you have them:"
        yield "  # - {name: train, role: train, dataset: folder, path: IMAGES, count: 128}"
        yield "  # - {name: test, role: test, dataset: folder, path: HELD_OUT, count: 64}"
    train = 0
    for group in groups:
        most = _TRAIN if group.name == "train" else _TEST
        count = most if group.length is None else min(most, group.length)
        if group.name == "train":
            train = count
        for remark in group.remarks:
            yield f"  {comment(remark)}"
        keys = {"name": group.name, "role": group.name, **group.keys, "count": count}
        found = "" if group.length is None else f"  # of {group.length:,}"
        yield f"  - {in_yaml(keys)}{found}"
    if groups and len(groups) == 1:
        yield "  # Images that it was not trained on, if you have some:"
        yield "  # - {name: test, role: test, dataset: folder, path: HELD_OUT, count: 64}"
    yield f"  - {{name: generated, role: generated, count: {_MADE}}}"
    if train:
        yield "  # The model's own samples: with its noise, and in place of the training images."
        yield f"  - {{name: simulated, role: simulated, count: {_SIMULATED}}}"
        yield f"  - {{name: null, role: null, count: {train}}}"
    yield "  # Images that are none of the data: add sets of your own with role outlier."
    for dataset in _outliers(generator.image_shape):
        yield f"  - {{name: {dataset}, role: outlier, dataset: {dataset}, count: {_MADE}}}"


def _outliers(image_shape: Shape | None) -> Iterator[str]:
    for dataset in ("single_colour", "natural_patches"):
        try:
            if image_shape is not None:
                open_dataset(dataset, image_shape=image_shape)
        except DatasetError:
            continue
        yield dataset


def _stage_lines(groups: Sequence[FoundGroup]) -> Iterator[str]:
    yield "  inversion: {}"
    yield "  local_variation: {}"
    if not groups:
        yield "  # Densities need a variance, which is fitted to training images:"
        yield "  # variance: {}"
        yield "  # likelihood: {}"
        return
    yield "  variance: {}"
    yield "  likelihood: {}"
    keys = {name: value for name, value in groups[0].keys.items() if name != "conditions"}
    keys.setdefault("split", "")
    yield f"  neighbours: {in_yaml(keys)}"
    yield "  # More: copies, support, distances, class_shares, diversity, patch_gmm, sensing."


def _name(request: Request) -> str:
    """A name for audit and generator, out of the file's or the source's."""
    source = request.source or ""
    own = request.weights.stem if request.weights else Path(source.split(":")[0]).stem
    if source.startswith("shipped:"):
        own = source.removeprefix("shipped:")
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else "-" for c in own)
    return kept.strip("-_.")[:64] or "generator"
