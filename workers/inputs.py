"""Weights and image sets that lie in a bucket or on the hub, as files of this machine."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path

from ..cluster.locations import is_hub, split_address
from ..cluster.s3_settings import S3Settings
from .hub import hub_file, hub_folder


def copied_file(address: str, service: S3Settings, beside: Sequence[str] = ()) -> Path:
    """This machine's copy of the object at an ``s3://`` address, or the file at an ``hf://`` one.

    Where files ``beside`` it are named (or patterns of their names), its copy has its name, and
    those that there are beside it.

    Raises:
        LocationError: not the address of an object.
        StorageError: it cannot be read.
        FileNotFoundError: there is no such object.
    """
    if is_hub(address):
        return hub_file(address, beside)
    from ..cluster.s3_inputs import S3Folder

    bucket, key = split_address(address)
    prefix, _, name = key.rpartition("/")
    folder = S3Folder(bucket, prefix, service)
    if beside:
        names = folder.listing()
        wanted = [each for each in names if any(fnmatchcase(each, kind) for kind in beside)]
        copy = folder.copy((name, *wanted)) / name
        if copy.is_file():
            return copy
    elif (file := folder.listing().get(name)) is not None:
        return folder.fetch(name, file)
    raise FileNotFoundError(f"there is no object {address}")


def copied_folder(
    address: str, names: Sequence[str] | None, service: S3Settings, subfolder: str = ""
) -> Path:
    """A folder of this machine with copies of those of ``names`` that lie under the address.

    With a ``subfolder``, only what lies in it, and there; without ``names``, all files.

    Raises:
        LocationError: not the address of a bucket, nor of a repository of the hub.
        StorageError: it cannot be read.
        FileNotFoundError: of the hub, where there is no such folder.
    """
    if is_hub(address):
        return hub_folder(address, names, subfolder)
    from ..cluster.s3_inputs import S3Folder

    return S3Folder(*split_address(address), service).copy(names, subfolder)


@contextmanager
def naming_original(address: str, copy: Path, *kinds: type[Exception]) -> Iterator[None]:
    """Errors of these kinds name the address in place of the copy that was opened."""
    try:
        yield
    except kinds as error:
        text = str(error).replace(str(copy), address)
        raise type(error)(text) from error
