"""A run is not written into the folders of the images that it reads."""

from collections.abc import Iterator
from pathlib import Path

from ...cluster.locations import is_remote
from ..spec.audit import AuditSpec
from ..spec.loading import SpecError

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


def _image_folders(spec: AuditSpec) -> Iterator[tuple[str, str]]:
    """The folders of which every file is read, by the key that names them."""
    for group in spec.groups:
        if group.dataset == _EVERY_FILE and group.path is not None:
            yield f"groups.{group.name}.path", _split(group.path, group.split)
    for stage, reference in spec.stages.references.items():
        if reference.dataset == _EVERY_FILE and reference.path is not None:
            yield f"stages.{stage}.path", _split(reference.path, reference.split)
    for generator in spec.each_generator:
        samples = generator.samples
        if samples is not None and samples.dataset == _EVERY_FILE and samples.path is not None:
            yield f"{generator.key}.path", _split(samples.path, samples.split)


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
