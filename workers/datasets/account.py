"""What was read of a place with images, and what was left out: a line for whoever planned it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class LeftOut:
    """So many files that were not read for one reason, and the first of them."""

    reason: str
    count: int
    example: str

    def __str__(self) -> str:
        return f"{self.reason} ({self.count:,}, such as {self.example})"


@dataclass(frozen=True)
class Account:
    """How many images a set has, which files of its place are none of it, and what else is told.

    ``unclassed`` is why the images have no classes; None where they have.
    """

    read: int
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()
    unclassed: str | None = None

    def naming(self, copy: str, original: str) -> "Account":
        """The same of the ``original`` that a ``copy`` was read of."""
        return replace(
            self,
            notes=tuple(note.replace(copy, original) for note in self.notes),
            unclassed=self.unclassed and self.unclassed.replace(copy, original),
        )

    def __str__(self) -> str:
        read = "1 image read" if self.read == 1 else f"{self.read:,} images read"
        parts = [read]
        if self.left_out:
            total = sum(each.count for each in self.left_out)
            reasons = ", ".join(str(each) for each in self.left_out)
            parts.append(f"{total:,} left out: {reasons}")
        return "; ".join([", ".join(parts), *self.notes])


def counted(found: Iterable[tuple[str, str]]) -> tuple[LeftOut, ...]:
    """Pairs of a reason and a file, as one `LeftOut` for each reason, in the order of the first."""
    by_reason: dict[str, list[str]] = {}
    for reason, file in found:
        by_reason.setdefault(reason, []).append(file)
    return tuple(LeftOut(reason, len(files), files[0]) for reason, files in by_reason.items())
