"""Files that list the classes of images: StyleGAN's dataset.json, and tables such as CelebA's."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..json_file import MOST_NESTED, MOST_VALUES, parse_json
from .image_set import DatasetError
from .listing import LABEL_FILE, PICTURES

# Some 40 bytes a picture are what such a file takes; a list in it takes far more memory.
_LABEL_BYTES_PER_PICTURE = 2**10
_ALWAYS_LABEL_BYTES = 2**26
# Two are usual: a pair, and one-hot classes in it.
_LISTS_PER_PICTURE = 4
# One-hot, of a thousand classes.
_VALUES_PER_PICTURE = 2**10
_DELIMITERS = (",", ";", "\t")
_SAMPLED = 5
_WHOLE = re.compile(r"(\d{1,4000})(?:\.0*)?")
# How CelebA and its relatives say that an attribute is absent or present.
_PRESENCE = {"-1": 0, "1": 1}


def require_modest(place: str, size: int, images: int) -> None:
    """Raises DatasetError for a list of more bytes than the classes of so many images can need."""
    most = max(_ALWAYS_LABEL_BYTES, _LABEL_BYTES_PER_PICTURE * images)
    if size > most:
        raise DatasetError(f"{place} is larger than {most:,} bytes")


def listed_in_json(content: bytes, place: str, images: int) -> list[tuple[str, Any]] | None:
    """What a dataset.json lists, file and class; None where it says that there are no classes.

    It may list some files more than the ``images`` that there are.

    Raises:
        DatasetError: it is no such file.
    """
    expected = (
        f'{place}: must be {{"labels": [[name, class], ...]}} with whole numbers from 0, or with '
        "names"
    )
    try:
        most_lists = max(MOST_NESTED, _LISTS_PER_PICTURE * images)
        most_values = max(MOST_VALUES, _VALUES_PER_PICTURE * images)
        labels = parse_json(content, most_lists, most_values)["labels"]
        if labels is None:
            return None
        # A mapping of names to classes is what people write by hand.
        pairs = list(labels.items()) if isinstance(labels, dict) else labels
        return [(str(name), label) for name, label in pairs]
    except (ValueError, KeyError, TypeError) as error:
        remedy = "; a file of another kind needs another name" if LABEL_FILE in place else ""
        raise DatasetError(f"{expected} ({error}){remedy}") from error


@dataclass(frozen=True)
class Table:
    """A list of files with values for each: ``rows`` has a file's name and the ``columns``."""

    columns: tuple[str, ...]
    rows: list[tuple[str, tuple[str, ...]]]

    def column(self, name: str | None, place: str) -> list[tuple[str, Any]]:
        """A column's classes by file; the only one where none is named; None for empty cells.

        Whole numbers are numbers; -1 and 1, as CelebA has them, are 0 and 1; the rest are names.

        Raises:
            DatasetError: there is no such column, or there are several to choose from.
        """
        index = self._index(name, place)
        values = [row[index].strip() for _, row in self.rows]
        given = {value for value in values if value}
        meaning: Callable[[str], Any]
        if "-1" in given and given <= _PRESENCE.keys():
            meaning = _PRESENCE.__getitem__
        elif all(_WHOLE.fullmatch(value) for value in given):
            meaning = _whole
        else:
            meaning = str
        return [
            (file, meaning(value) if value else None)
            for (file, _), value in zip(self.rows, values, strict=True)
        ]

    def joint(self, names: Sequence[str], place: str) -> list[tuple[str, Any]]:
        """The class of each file by several attributes: their bits, the first the highest.

        So two attributes make the classes 0 (neither), 1 (the second), 2 (the first), 3 (both).

        Raises:
            DatasetError: an attribute that there is not, or one with other values than 1 and -1,
                or 1 and 0; or a file that is listed twice with different classes.
        """
        classes = [0] * len(self.rows)
        for name in names:
            column = self.column(name, place)
            wrong = [value for _, value in column if value not in (0, 1)]
            if wrong:
                raise DatasetError(
                    f"{place}: {name} must have values of 1 or -1, or of 1 or 0, to be a class; "
                    f"found {wrong[0]!r}"
                )
            classes = [2 * of + value for of, (_, value) in zip(classes, column, strict=True)]
        joint: dict[str, int] = {}
        for (file, _), of in zip(self.rows, classes, strict=True):
            if joint.setdefault(file, of) != of:
                raise DatasetError(
                    f"{place} has {file!r:.80} twice, with classes {joint[file]} and {of} by "
                    f"{', '.join(names)}: remove one of them"
                )
        return list(joint.items())

    def _index(self, name: str | None, place: str) -> int:
        listed = ", ".join(self.columns) or "none"
        if name is None:
            if len(self.columns) == 1:
                return 0
            raise DatasetError(
                f"{place} has {len(self.columns)} columns of classes; name one of them with "
                f"attribute: {listed}"
            )
        if name not in self.columns:
            raise DatasetError(f"{place} has no attribute {name!r}; it has: {listed}")
        return self.columns.index(name)


def _whole(value: str) -> int:
    found = _WHOLE.fullmatch(value)
    assert found is not None, "only whole numbers are read by this"
    return int(found[1])


def read_table(content: bytes, place: str) -> Table:
    """A list of files with a header, or with one value each without; as CSV, or between spaces.

    CelebA's own lists, whose first line is the number of the others, and Kaggle's copies of them
    are of this kind.

    Raises:
        DatasetError: it is not such a table; with the line.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetError(f"{place} is not a list in UTF-8: {error}") from error
    lines = list(_cells(text))
    if lines and len(lines[0][1]) == 1 and lines[0][1][0].isdigit():
        lines = lines[1:]
    if not lines:
        raise DatasetError(f"{place} is empty: expected a file and its class in each line")
    first = lines[0][1]
    is_headed = not any(_is_file(cell) for cell in first)
    columns = tuple(first) if is_headed else ("file", *_numbered(len(first) - 1))
    body = lines[1:] if is_headed else lines
    # CelebA's header has no name for the files.
    if is_headed and body and len(body[0][1]) == len(columns) + 1:
        columns = ("file", *columns)
    for number, cells in body:
        if len(cells) != len(columns) or len(cells) < 2:
            raise DatasetError(
                f"{place}, line {number}: has {len(cells)} values, expected {len(columns)}: a file "
                "and its classes, as in the first line"
            )
    place_of_file = _file_column(columns, [cells for _, cells in body])
    kept = [i for i, name in enumerate(columns) if i != place_of_file and name]
    return Table(
        tuple(columns[i] for i in kept),
        [(cells[place_of_file], tuple(cells[i] for i in kept)) for _, cells in body],
    )


def _cells(text: str) -> Iterator[tuple[int, list[str]]]:
    """Every line that is not empty, with its number, in cells."""
    lines = text.splitlines()
    sample = "".join(lines[:_SAMPLED])
    delimiter = next((each for each in _DELIMITERS if each in sample), None)
    if delimiter is None:
        numbered = ((number, line.split()) for number, line in enumerate(lines, 1))
        yield from ((number, cells) for number, cells in numbered if cells)
        return
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise DatasetError(f"line {reader.line_num}: {error}") from error


def _is_file(cell: str) -> bool:
    return cell.lower().endswith(PICTURES)


def _file_column(columns: Sequence[str], body: Sequence[Sequence[str]]) -> int:
    """The column with files: the first that has their suffix, or else the first with a name."""
    first = body[0] if body else ()
    found = next((i for i, cell in enumerate(first) if _is_file(cell)), None)
    return next((i for i, name in enumerate(columns) if name), 0) if found is None else found


def _numbered(count: int) -> tuple[str, ...]:
    """Names for columns that have none."""
    return tuple(f"class{number}" for number in range(1, count + 1))
