"""Which files of a place are its images, and what their folders say: one rule for every place.

A folder, an archive and a bucket list their files by the same relative names, and this module
decides. It opens nothing.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .account import LeftOut, counted

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif")
ARRAYS = ".npy"
SUFFIXES = (*PICTURES, ARRAYS)
LABEL_FILE = "dataset.json"

# What file managers, archivers and storage servers add beside the user's files.
_OF_THE_SYSTEM = frozenset(
    {"__macosx", "thumbs.db", "desktop.ini", "icon\r", "@eadir", "$recycle.bin"}
)
# StyleGAN's dataset_tool puts image 12345 into 00012/img00012345.png; FFHQ into 12000/12345.png.
_NUMBERED_FILE = re.compile(r"(?:img)?(\d{5,})")
_NUMBERED_FOLDER = re.compile(r"\d{5,}")
_A_FOLDER = 1000
_PARTS_OF_SETS = frozenset(
    {"train", "training", "val", "valid", "validation", "dev", "eval", "test", "testing"}
)


@dataclass(frozen=True)
class FolderClasses:
    """The class of each picture by its folder: ``names`` in order, and ``of_picture``'s places.

    ``names`` may have some that no picture is in. Where folders say nothing of classes, both are
    empty and ``unclassed`` says why.
    """

    names: tuple[str, ...] = ()
    of_picture: tuple[int, ...] = ()
    unclassed: str | None = None


@dataclass(frozen=True)
class Listing:
    """The images of a place by name, in order, and what else is there."""

    pictures: tuple[str, ...]
    label_files: tuple[str, ...]
    folders: FolderClasses
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]


def list_images(names: Iterable[str]) -> Listing:
    """The images among the files of a place.

    Args:
        names: of all files, relative to the place, with slashes; folders end in one, and need
            not be named unless they hold nothing.
    """
    ordered = sorted(set(names), key=_order)
    reasons = {name: _reason(name) for name in ordered}
    pictures = [name for name in ordered if reasons[name] is None and not _is_labels(name)]
    pictures = [name for name in pictures if not name.endswith("/")]
    visible = [name for name, reason in reasons.items() if reason in (None, _NO_IMAGE)]
    return Listing(
        tuple(pictures),
        tuple(name for name in ordered if reasons[name] is None and _is_labels(name)),
        _folder_classes(pictures, visible),
        counted((reason, name) for name, reason in reasons.items() if reason is not None),
        tuple(_collisions(pictures)),
    )


def folded(name: str) -> str:
    """A name as file systems that ignore case and the form of accents compare it."""
    return unicodedata.normalize("NFC", name).casefold()


_NO_IMAGE = "no image by its suffix"
_HIDDEN = "hidden, or of the system"
_UNSAFE = "a name that leads out of the set"


def _order(name: str) -> list[str]:
    return name.split("/")


def _is_labels(name: str) -> bool:
    return name.rpartition("/")[2] == LABEL_FILE


def _reason(name: str) -> str | None:
    """Why a file is left out; None for images, label files and folders."""
    parts = name.removesuffix("/").split("/")
    if "" in parts or ".." in parts:
        return _UNSAFE
    if any(part.startswith(".") or part.lower() in _OF_THE_SYSTEM for part in parts):
        return _HIDDEN
    if name.endswith("/") or _is_labels(name) or _suffix(parts[-1]) in SUFFIXES:
        return None
    return _NO_IMAGE


def _suffix(file: str) -> str:
    stem, dot, suffix = file.rpartition(".")
    return f".{suffix.lower()}" if stem and dot else ""


def _folder_classes(pictures: Sequence[str], visible: Sequence[str]) -> FolderClasses:
    """What the folders say; ``visible`` are all files and folders that are not hidden."""
    parents = [name.split("/")[:-1] for name in pictures]
    if not any(parents):
        return FolderClasses(unclassed="the images are in no folders")
    if not all(parents):
        return FolderClasses(unclassed="there are images beside the folders as well as inside")
    if _is_numbering(pictures):
        return FolderClasses(unclassed="the folders only number the images, as dataset_tool does")
    above = _wrapper(parents)
    inner = [parent[len(above) :] for parent in parents]
    found = {parent[0] for parent in inner}
    problem = _undecided(inner, found)
    if problem is not None:
        return FolderClasses(unclassed=problem)
    names = sorted(found | _beside(above, visible))
    place = {name: index for index, name in enumerate(names)}
    return FolderClasses(tuple(names), tuple(place[parent[0]] for parent in inner))


def _is_numbering(pictures: Sequence[str]) -> bool:
    """Whether each folder holds the thousand images whose numbers begin with its own."""
    for name in pictures:
        *_, folder, file = name.split("/")
        number = _NUMBERED_FILE.fullmatch(file.rpartition(".")[0])
        if number is None or _NUMBERED_FOLDER.fullmatch(folder) is None:
            return False
        thousand = int(number[1]) // _A_FOLDER
        if int(folder) not in (thousand, thousand * _A_FOLDER):
            return False
    return True


def _wrapper(parents: Sequence[Sequence[str]]) -> list[str]:
    """The folders, one in the other, that hold nothing but the folder with all the images."""
    above: list[str] = []
    while all(len(parent) > len(above) + 1 for parent in parents):
        names = {parent[len(above)] for parent in parents}
        if len(names) > 1:
            break
        above.append(names.pop())
    return above


def _undecided(inner: Sequence[Sequence[str]], found: set[str]) -> str | None:
    """Why the first level of folders cannot be taken for the classes; None if it can."""
    depths = {len(parent) for parent in inner}
    if len(found) == 1 and len(depths) > 1:
        return "there are images beside the folders as well as inside"
    listed = " and ".join(sorted(found)[:2])
    if {name.lower() for name in found} <= _PARTS_OF_SETS:
        return f"the folders are parts of a set ({listed}): name one with split"
    if max(depths) == 1:
        return None
    below: dict[str, set[str]] = {}
    for parent in inner:
        below.setdefault(parent[0], set()).add("/".join(parent[1:]))
    kinds = list(below.values())
    if len(kinds) > 1 and len(kinds[0]) > 1 and all(kind == kinds[0] for kind in kinds):
        inside = ", ".join(sorted(kinds[0])[:2])
        return (
            f"each folder ({listed}) has the same folders inside ({inside}), so either may be the "
            "classes: name one of the outer with split, or list the classes in a file: labels: FILE"
        )
    return None


def _beside(above: Sequence[str], visible: Sequence[str]) -> set[str]:
    """The folders on the level of the classes, with images or without."""
    level = len(above)
    found = set()
    for name in visible:
        parts = name.split("/")
        if len(parts) > level + 1 and parts[:level] == list(above):
            found.add(parts[level])
    return found


def _collisions(pictures: Sequence[str]) -> Iterable[str]:
    seen: dict[str, str] = {}
    pairs = []
    for name in pictures:
        other = seen.setdefault(folded(name), name)
        if other != name:
            pairs.append((other, name))
    if pairs:
        one, other = pairs[0]
        yield (
            f"{len(pairs):,} with the name of another but for upper and lower case ({one}, "
            f"{other}): disks that ignore it hold only one"
        )
