"""Weights and image sets in repositories of the Hugging Face Hub, as files of this machine.

By ``huggingface_hub``, an optional package, with its own cache, login and variables (``HF_HOME``,
``HF_TOKEN``, ``HF_HUB_OFFLINE``).
"""

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..cluster.locations import HubAddress, LocationError
from ..cluster.storage import StorageError

# The library then takes what its cache has for all that there is, and does not say so.
_NOT_REACHED = "; or the hub was not reached, and its cache has not got it"


def hub_file(address: str, beside: Sequence[str] = ()) -> Path:
    """The cached copy of a file of a repository, and of those ``beside`` it, which may be patterns.

    Raises:
        LocationError: no address of a file, no such repository or revision, or one that is closed
            to whoever is logged in; or the package is missing.
        StorageError: the hub cannot be reached, and the cache has not got it.
        FileNotFoundError: the repository has no such file.
    """
    where = HubAddress.of(address)
    if not where.path:
        raise LocationError(f"{address}: is a whole repository; add the path of a file in it")
    folder, _, name = where.path.rpartition("/")
    found = _snapshot(where, [_under(folder, each) for each in (name, *beside)]) / where.path
    if not found.is_file():
        raise FileNotFoundError(f"there is no file {address}{_NOT_REACHED}")
    return found


def hub_folder(address: str, names: Sequence[str] | None, subfolder: str = "") -> Path:
    """A folder of this machine with the files of these names in a repository's folder.

    Without ``names``, all files under it; with a ``subfolder`` those that lie in that. They are
    hard links, or copies, of the hub's cache, which has links out of its folders.

    Raises:
        LocationError, StorageError: as :func:`hub_file`.
        FileNotFoundError: the repository has none of them.
    """
    where = HubAddress.of(address)
    inside = _under(where.path, subfolder) if subfolder else where.path
    wanted = [_under(inside, each) for each in (["*"] if names is None else names)]
    snapshot = _snapshot(where, wanted)
    files = [file for file in (snapshot / inside).rglob("*") if file.is_file()]
    if not files:
        raise FileNotFoundError(f"there is no folder {address}, or nothing in it{_NOT_REACHED}")
    from ..cluster.s3_inputs import cache_folder

    # The snapshot's name is its commit, so that what lies in it never changes.
    made = cache_folder() / "hub" / hashlib.sha256(str(snapshot).encode()).hexdigest()
    try:
        for file in files:
            _place(file, made, file.relative_to(snapshot))
    except OSError as error:
        raise StorageError(
            f"{address}: cannot be put into {made}: {error.strerror}; OFFMANIFOLD_CACHE names "
            "another place for copies"
        ) from error
    return made / where.path


def _place(file: Path, made: Path, inside: Path) -> None:
    target = made / inside
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    blob = file.resolve()
    try:
        os.link(blob, target)
    except FileExistsError:
        # Another process was faster.
        return
    except OSError:
        # On another disk, or one without hard links. Beside the folders until it is whole.
        name = hashlib.sha256(str(inside).encode()).hexdigest()
        unfinished = made.with_name(f"{made.name}.{name}.{os.getpid()}")
        shutil.copyfile(blob, unfinished)
        unfinished.replace(target)


def _under(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _snapshot(where: HubAddress, patterns: list[str]) -> Path:
    hub, errors = _library(where.text)
    try:
        return Path(
            hub.snapshot_download(
                where.repository,
                repo_type=where.kind,
                revision=where.revision,
                allow_patterns=patterns,
            )
        )
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise LocationError(
            f"{where.text}: the hub has no such repository or revision, or it is closed to you "
            "(`hf auth login`, or set HF_TOKEN)"
        ) from error
    except errors.HFValidationError as error:
        raise LocationError(f"{where.text}: {error}") from error
    except (errors.LocalEntryNotFoundError, errors.HfHubHTTPError, OSError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise StorageError(f"{where.text}: cannot be read from the hub: {reason}") from error


def _library(address: str) -> tuple[Any, Any]:
    try:
        import huggingface_hub
        from huggingface_hub import errors
    except ImportError as error:
        raise LocationError(
            f"{address}: needs the package huggingface_hub ({error}): pip install huggingface_hub"
        ) from error
    return huggingface_hub, errors
