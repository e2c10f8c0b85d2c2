"""A run is not written into the folders of the images that it reads, nor the other way round."""

import os
from collections.abc import Iterator
from pathlib import Path

from ...cluster.locations import is_remote
from ..audits import TABLES
from ..spec.audit import AuditSpec, GroupSpec
from ..spec.loading import SpecError
from ..spec.model import ReferenceSpec, SamplesSpec
from ..spec.paths import paths_in

# The other image sets read files of names of their own, beside which anything may lie.
_EVERY_FILE = "folder"


def refuse_among_images(spec: AuditSpec, out: str) -> None:
    """Checks that a run directory is not an image folder of its spec, and is in none.

    Args:
        spec: the spec.
        out: the run directory: an absolute path or an ``s3://`` address.

    Raises:
        SpecError: it is; the run's files would be taken for images, and the images' for the run's.
    """
    for key, folder in _image_folders(spec):
        where = _relation(folder, out)
        if where is not None:
            raise SpecError(
                f"{key}: the run directory {out} is {where} {folder}, whose files are all images "
                "of the audit; choose another --out, outside of it"
            )


def refuse_inputs_among_parts(spec: AuditSpec, out: str) -> None:
    """Checks that nothing that a spec names lies where its run keeps its own files.

    Of those folders it moves aside whatever is not its own: images in ``images``, beside a run in
    their parent, would be gone.

    Args:
        spec: the spec.
        out: the run directory: an absolute path or an ``s3://`` address.

    Raises:
        SpecError: something does.
    """
    tables = {table.name for table in TABLES}
    for path, _ in paths_in(spec):
        first = _first_folder(path, out)
        if first is not None and (first in tables or first.startswith("_")):
            raise SpecError(
                f"{path}: lies in {out.rstrip('/')}/{first}, where the run would keep its own "
                "files and move all others aside; choose another --out"
            )


def _first_folder(path: str, out: str) -> str | None:
    """Of a path inside a run directory, the folder of it that it is, or is in."""
    if is_remote(path) != is_remote(out):
        return None
    here, place = (path, out) if is_remote(out) else (os.path.realpath(path), os.path.realpath(out))
    beyond = here.removeprefix(f"{place.rstrip('/')}/")
    return None if beyond == here else beyond.partition("/")[0]


def _image_folders(spec: AuditSpec) -> Iterator[tuple[str, str]]:
    """The folders of which every file is read, by the key that names them."""
    named: dict[str, GroupSpec | ReferenceSpec | SamplesSpec | None] = {
        f"groups.{each.name}": each for each in spec.groups
    }
    named |= {f"stages.{stage}": each for stage, each in spec.stages.references.items()}
    named |= {each.key: each.samples for each in spec.each_generator}
    for key, images in named.items():
        if images is None:
            continue
        sources = {f"{key}.sources.{name}": each for name, each in (images.sources or {}).items()}
        for place, one in ((key, images), *sources.items()):
            if one.dataset == _EVERY_FILE and one.path is not None:
                yield f"{place}.path", _split(one.path, one.split)


def _split(path: str, split: str | None) -> str:
    return f"{path.rstrip('/')}/{split}" if split else path


def _relation(folder: str, out: str) -> str | None:
    """What a run directory is to a folder; None where they have nothing to do with each other."""
    if is_remote(folder) != is_remote(out):
        return None
    if is_remote(folder):
        inside = f"{out.rstrip('/')}/".startswith(f"{folder.rstrip('/')}/")
        return None if not inside else "the same as" if _same_address(folder, out) else "inside"
    here = Path(out)
    for above in (here, *here.parents):
        # The same by whatever links or mounts it is reached.
        if above.exists() and Path(folder).exists() and above.samefile(folder):
            return "the same as" if above == here else "inside"
    return None


def _same_address(first: str, second: str) -> bool:
    return first.rstrip("/") == second.rstrip("/")
