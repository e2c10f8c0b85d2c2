"""The report's figures and tables as files: SVG or PNG, CSV and Parquet."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from ..report.figure import PNG, Figure
from ..report.table import Table
from ..report.table_files import arrow_table, write_table_files
from .page import AuditReport

Item = TypeVar("Item", Figure, Table)


_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST_PART = 60
_HASH_LENGTH = 8


def export_figures(report: AuditReport, folder: Path, *, as_png: bool = False) -> list[Path]:
    """Writes every figure as ``<generator>.<section>.<figure>.svg``, mosaics as .png.

    With ``as_png`` drawings are .png too. The folder is made; files of these names are replaced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for stem, figure in _unique(_figures(report)):
        png = as_png or figure.media_type == PNG
        path = folder / f"{stem}.{'png' if png else 'svg'}"
        path.write_bytes(figure.rasterise() if png else figure.content)
        files.append(path)
    return files


def export_tables(report: AuditReport, folder: Path) -> list[Path]:
    """Writes every table as ``<generator>.<section>.<table>.csv`` and ``.parquet``.

    Numbers are those of ``summary.parquet`` at full precision, in the units that the headers name.
    The folder is made; files of these names are replaced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for stem, table in _unique(_tables(report)):
        files += write_table_files(arrow_table(table), folder / stem)
    return files


def file_stem(*parts: str) -> str:
    """The parts joined by dots, each safe in a file name of any system.

    Other characters than letters, digits, ``_`` and ``-`` become ``-`` and long parts are cut; a
    part that this changes, or an empty one, gets a hash of what it was, so that two never meet.
    """
    return ".".join(_safe(part) for part in parts)


def _safe(part: str) -> str:
    kept = _UNSAFE.sub("-", part)[:_LONGEST_PART]
    return kept if kept and kept == part else f"{kept.strip('-')}-{_digest(part)}".lstrip("-")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_LENGTH]


def _figures(report: AuditReport) -> Iterator[tuple[tuple[str, ...], Figure]]:
    for each in report.reports:
        for section in each.sections:
            for figure in section.figures:
                yield (each.generator.name, section.key, figure.key), figure


def _tables(report: AuditReport) -> Iterator[tuple[tuple[str, ...], Table]]:
    for each in report.reports:
        for section in each.sections:
            for table in section.tables:
                yield (each.generator.name, section.key, table.key), table
    for shared in (report.groups, report.failures, report.failed, report.unfinished):
        if shared is not None:
            yield ("audit", shared.key), shared


def _unique(
    named: Iterator[tuple[tuple[str, ...], Item]],
) -> Iterator[tuple[str, Item]]:
    """Stems in place of names; one that differs from an earlier one in case alone gets a hash.

    Raises:
        ValueError: two items of one name.
    """
    seen: set[tuple[str, ...]] = set()
    taken: set[str] = set()
    for name, item in named:
        if name in seen:
            raise ValueError(f"two figures or tables of the report are called {' / '.join(name)}")
        seen.add(name)
        stem = file_stem(*name)
        if stem.casefold() in taken:
            stem = f"{stem}-{_digest(stem)}"
        taken.add(stem.casefold())
        yield stem, item
