"""What ``offmanifold nearest`` does: given images, the training images that are nearest to them."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.text import Text

from ...cluster.local_storage import LocalStorage
from ...cluster.locations import absolute, is_remote
from ...core.statistics.copies import NEAREST
from ...core.statistics.interval import CONFIDENCE
from ...core.statistics.views import View, pixel_views, same
from ...workers.datasets import DatasetError, ImageSet, open_dataset
from ...workers.datasets.copied import CopiedImages
from ...workers.datasets.listing import SUFFIXES
from ...workers.extractors import shard_extractor
from ...workers.feature_views import annotator_view, extractor_view
from ...workers.resources import Resources
from ..audits.class_shares.settings import ANNOTATOR, CLASS_SHARES
from ..audits.class_shares.trained_annotator import trained_annotator
from ..audits.copies.query import NO_P_VALUES, SHOWN, Answer, Nearest, Query
from ..audits.feature_space import ANNOTATOR as FEATURES
from ..audits.feature_space import extractor_settings
from ..audits.specs import gather_facts
from ..drive.devices import device_here
from ..plan.stage import AuditContext
from ..report.figure import Figure, mosaic
from ..report.plain_text import printable
from ..report.summary import number
from ..report.table import Cell, Column, Table, filled_table, numbers
from ..report.table_files import arrow_table, write_table_files
from ..report.templates import page_template
from ..report.terminal import rich_table
from ..report.verdict import ERROR_RATE
from ..report.words import terms_in
from ..spec.audit import AuditSpec
from ..spec.loading import SpecError
from ..spec.written_files import writing

VIEWS, PIXELS = "views", "pixels"
"""A search of changed pixels, which is asked by default, and pixels as they are."""
# So many images, the nearest ones, are on the terminal; and so many as pictures on the page.
_LISTED, _PICTURED = 20, 20


@dataclass(frozen=True)
class Found:
    """The answer for some images, the nearest first, with what the page shows of them.

    ``pictures`` has a row for the images and one for each rank of their nearest training images.
    """

    spec: str
    space: str
    answer: Answer
    pictures: tuple[np.ndarray, ...]

    @property
    def notes(self) -> list[str]:
        """How to read the numbers, and what limits them."""
        training = self.answer.training
        said = [
            f"Nearness: the distance to the nearest of {training.length:,} training images over "
            f"the mean distance to the {NEAREST} nearest, {_words(self.space)}."
        ]
        ranking, count = self.answer.ranking, len(self.answer.images)
        if ranking is None:
            return [*said, NO_P_VALUES]
        least = 1 / (1 + ranking.held_out)
        said.append(
            f"p: how often one of {ranking.held_out:,} held-out images is as near, at least "
            f"{least:.2g}; placebo: the same among held-out images in the place of training "
            f"images ({ranking.placebo:,} others are ranked), from which nothing was copied. An "
            "image whose placebo is as small is near to any images, and proves nothing. A large p "
            "does not prove that an image is no copy: it may be changed in a way not looked for."
        )
        images = self.answer.images
        discoveries = sum(bool(each.found) for each in images)
        copies = sum(bool(each.is_copy) for each in images)
        said.append(
            f"{discoveries:,} of {count:,} are nearer than held-out images are, at a false "
            f"discovery rate of 5% (Benjamini and Hochberg); {copies:,} of them are taken for "
            "copies, since the placebo is silent."
        )
        if ranking.placebo_p <= ERROR_RATE:
            said.append(
                "All together these images are nearer to held-out images, too, than other held-out "
                f"images are (p = {number(ranking.placebo_p, 2)}): none is taken for a copy."
            )
        fewest = int(np.ceil(least * count / (1 - CONFIDENCE) * (1 - 1e-12)))
        if fewest > 1:
            said.append(
                f"Among {count:,} images fewer than {fewest:,} copies cannot be such discoveries: "
                "ask about fewer images, or name more held-out ones."
            )
        return said


def _words(space: str) -> str:
    known = {
        VIEWS: "in the view in which it is least (training images are compared as they are, with "
        "the brightness divided out, flipped, shifted by 1 or 2 pixels, and enlarged)",
        PIXELS: "in pixels",
        FEATURES: "in what the last layer of the spec's annotator sees",
    }
    return known.get(space, f"in features of {space}")


def find_nearest(spec: AuditSpec, images: str, space: str, resize: str | None = None) -> Found:
    """The training images nearest to all ``images``: a folder, an archive, or one picture.

    Raises:
        SpecError: the spec does not name training images or the space, or the images do not fit.
    """
    _check_space(spec, space)
    context = AuditContext(spec, gather_facts(spec))
    device = device_here(spec.cluster)
    with tempfile.TemporaryDirectory() as folder, _opened(context, images, resize) as asked:
        resources = Resources(
            LocalStorage.create(Path(folder)), device, spec.cluster.storage.settings
        )
        # Asked before the annotator is trained: it refuses a spec without training images.
        query = Query(context, resources)
        try:
            answer = query.answer(asked, _views(context, resources, space))
        except SpecError as error:
            raise SpecError(_with_options(str(error))) from error
        order = sorted(answer.images, key=lambda each: each.nearness)
        shown = order[:_PICTURED]
        rows = [np.stack([asked.image(each.index)[0] for each in shown])]
        for rank in range(SHOWN):
            near = [each.neighbours[rank].index for each in shown]
            rows.append(np.stack([answer.training.image(index)[0] for index in near]))
    unusable = tuple(_with_options(each) for each in answer.unusable)
    answer = replace(answer, images=tuple(order), unusable=unusable)
    return Found(spec.name, space, answer, tuple(rows))


def _check_space(spec: AuditSpec, space: str) -> None:
    known = (VIEWS, PIXELS, FEATURES, *spec.extractors)
    if space not in known:
        raise SpecError(f"--space {space}: expected one of {', '.join(known)}")
    if space != FEATURES:
        return
    if not all(key.of(spec.stages) for key in (ANNOTATOR, CLASS_SHARES)):
        raise SpecError(
            "--space annotator: the spec has no annotator; add `annotator: {dataset: ..., split: "
            "train}` and `class_shares: {dataset: ..., split: test}` to its stages, or choose "
            "another space"
        )
    if ANNOTATOR.required(spec.stages).own is not None:
        raise SpecError(
            "--space annotator: of the spec's own classifier nothing says which layer's features "
            "to take; choose another space, or leave out stages.annotator.own"
        )


def nearest_table(found: Found) -> Table:
    """A row for each image, the nearest first, with its `SHOWN` nearest training images."""
    columns = [*_COLUMNS, *(Column(f"training image {rank}") for rank in range(2, SHOWN + 1))]
    rows = [
        [*_cells(each), *(other.source for other in each.neighbours[1:])]
        for each in found.answer.images
    ]
    return _table(columns, rows, "Images and the training images that they are nearest to")


def listed_table(found: Found) -> Table:
    """The nearest images alone, and of files only the name with its folder, for terminals."""
    images = found.answer.images
    rows = [
        [_short(cell) if isinstance(cell, str) else cell for cell in _cells(each)]
        for each in images[:_LISTED]
    ]
    more = len(images) - len(rows)
    rest = f" ({more:,} more are farther)" if more else ""
    return _table(_COLUMNS, rows, f"Images and the training images that they are nearest to{rest}")


_COLUMNS = (
    Column("image"),
    numbers("nearness", decimals=3),
    numbers("p", 2),
    numbers("placebo's p", 2),
    Column("verdict"),
    Column("view"),
    numbers("distance"),
    Column("nearest training image"),
)


def _cells(image: Nearest) -> list[Cell]:
    first = image.neighbours[0]
    numbered = [image.nearness, image.p_value, image.placebo]
    return [image.source, *numbered, _verdict(image), image.view, first.distance, first.source]


def _verdict(image: Nearest) -> str | None:
    if image.found is None:
        return None
    if image.is_copy:
        return "copy"
    return "undecided" if image.found else "not found"


def _table(columns: Sequence[Column], rows: list[list[Cell]], caption: str) -> Table:
    filled = filled_table(caption, columns, rows, key="nearest")
    assert filled is not None, "an answer has images"
    return filled


def nearest_text(found: Found) -> RenderableType:
    """The nearest images, how to read their numbers, and what could not be used, for terminals."""
    parts: list[RenderableType] = [rich_table(listed_table(found))]
    parts += [Text(note) for note in found.notes]
    unusable = found.answer.unusable
    if unusable:
        first = printable(unusable[0])
        parts.append(Text(f"! {len(unusable):,} left out, such as: {first}", style="bold yellow"))
    return Group(*parts)


def nearest_json(found: Found) -> dict[str, Any]:
    """All of the answer, as values that JSON has."""
    answer = found.answer
    return {
        "spec": found.spec,
        "space": found.space,
        "training": {"dataset": answer.training.name, "images": answer.training.length},
        "held_out": None if answer.ranking is None else asdict(answer.ranking),
        "notes": found.notes,
        "images": [asdict(each) for each in answer.images],
        "unusable": list(answer.unusable),
    }


def write_nearest(found: Found, path: Path) -> list[Path]:
    """Writes the page, and beside it the table of all images as CSV and Parquet.

    Raises:
        SpecError: they cannot be written there.
    """
    table = nearest_table(found)
    page = page_template("nearest.html").render(
        spec=found.spec,
        notes=found.notes,
        pictures=_picture(found),
        images=table,
        unusable=found.answer.unusable,
        words=terms_in([table]),
    )
    with writing("--out", path):
        path.write_text(page, encoding="utf-8")
        return [path, *write_table_files(arrow_table(table), path.with_suffix(""))]


def _picture(found: Found) -> Figure:
    shown = found.pictures[0].shape[0]
    return mosaic(
        list(found.pictures),
        f"The {shown} nearest images above their {SHOWN} nearest training images.",
        f"The {shown} images that are nearest to training images, the nearest at the left; "
        f"below each its {SHOWN} nearest training images, as they are, in the view in which it is "
        "nearest.",
        key="nearest",
    )


def _short(source: str) -> str:
    """The end of what an image is: of a path its file with its folder."""
    return printable("/".join(PurePosixPath(source).parts[-2:]))


def _views(context: AuditContext, resources: Resources, space: str) -> list[View]:
    if space == VIEWS:
        return pixel_views()
    if space == PIXELS:
        return [View(space, same)]
    if space == FEATURES:
        annotator = trained_annotator(context, resources)
        return [annotator_view(space, annotator, resources.device)]
    extractor = shard_extractor(extractor_settings(context, space), resources)
    return [extractor_view(space, extractor, resources.device)]


@contextmanager
def _opened(context: AuditContext, images: str, resize: str | None) -> Iterator[ImageSet]:
    """The images that the user names; a single picture is put into a folder of its own."""
    place = absolute(images)
    name = {".zip": "zip", ".npz": "npz"}.get(PurePosixPath(place).suffix.lower(), "folder")
    is_picture = name == "folder" and not is_remote(place) and Path(place).is_file()
    if is_picture and not place.lower().endswith(SUFFIXES):
        raise SpecError(
            f"{images}: no image by its suffix; expected {', '.join(SUFFIXES)}, a .zip or .npz "
            "archive, or a folder"
        )
    with tempfile.TemporaryDirectory() as folder:
        if is_picture:
            shutil.copy(place, folder)
        try:
            found = open_dataset(
                name,
                path=folder if is_picture else place,
                image_shape=context.facts.image_shape,
                service=context.spec.cluster.storage.settings,
                resize=resize,
            )
        except DatasetError as error:
            raise SpecError(f"{images}: {_with_options(str(error))}") from error
        yield CopiedImages(found, Path(folder), str(Path(place).parent)) if is_picture else found


def _with_options(message: str) -> str:
    """A remedy for an image set of a spec as one for these images."""
    return message.replace("resize: lanczos beside the dataset", "--resize lanczos")
