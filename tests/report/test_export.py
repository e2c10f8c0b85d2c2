"""Figures and tables as files: what the page shows, under names that any system takes."""

import io
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from offmanifold.jobs.reduce.context import GeneratorInfo
from offmanifold.jobs.report.section import Section
from offmanifold.jobs.report.table_columns import arrow_table
from offmanifold.jobs.report.tables import Table
from offmanifold.jobs.results.export import export_figures, export_tables, file_stem
from offmanifold.jobs.results.page import AuditReport, GeneratorReport
from PIL import Image


def test_figures_are_those_of_the_page(standard_report: AuditReport, tmp_path: Path) -> None:
    files = export_figures(standard_report, tmp_path / "new" / "figures")
    shown = [figure for part in standard_report.reports[0].sections for figure in part.figures]
    assert [path.read_bytes() for path in files] == [figure.content for figure in shown]
    assert len({path.name for path in files}) == len(shown)
    assert "small.density.ranking.svg" in {path.name for path in files}
    assert "small.pictures.train.png" in {path.name for path in files}
    for path, figure in zip(files, shown, strict=True):
        if path.suffix == ".svg":
            title = ET.parse(path).getroot().find("{http://www.w3.org/2000/svg}title")
            assert title is not None
            assert title.text == figure.alt


def test_figures_as_png(standard_report: AuditReport, tmp_path: Path) -> None:
    report = standard_report.reports[0]
    few = [part for part in report.sections if part.key in ("pictures", "classification")]
    asked = replace(standard_report, reports=[replace(report, sections=few)])
    files = export_figures(asked, tmp_path, as_png=True)
    assert {path.suffix for path in files} == {".png"}
    shown = [figure for part in few for figure in part.figures]
    for path, figure in zip(files, shown, strict=True):
        with Image.open(io.BytesIO(path.read_bytes())) as picture:
            assert picture.text["Title"] == figure.alt  # type: ignore[attr-defined]
            assert picture.width > (1000 if not figure.pixelated else 50)


def test_tables_are_those_of_the_page(standard_report: AuditReport, tmp_path: Path) -> None:
    files = export_tables(standard_report, tmp_path)
    shown = [table for part in standard_report.reports[0].sections for table in part.tables]
    shown += [standard_report.groups, standard_report.failures]
    assert len(files) == 2 * len(shown)
    for table, text, columns in zip(shown, files[::2], files[1::2], strict=True):
        from_text, from_columns = pd.read_csv(text), pd.read_parquet(columns)
        assert len(from_text) == len(table.rows)
        assert list(from_text) == list(from_columns)
        metadata = pq.read_schema(columns).metadata
        assert metadata[b"offmanifold.caption"].decode() == table.caption
    auc = pd.read_csv(tmp_path / "small.outliers.auc.csv")
    page = next(table for table in shown if table.key == "auc")
    low = auc["likelihood, low"][0]
    column = page.headers.index("likelihood")
    assert page.rows[0][column] == f"{auc['likelihood'][0]:.3f} [{low:.3f},\xa0" + (
        f"{auc['likelihood, high'][0]:.3f}]"
    )


def test_cells_become_numbers() -> None:
    table = Table(
        "c",
        ["group", "value", "bounded", "band", "so", "so", "N"],
        [
            ["1", "−1,234.5", "2.9e−5 [−1.0,\xa0∞]", "±4.2", "yes", "1", "64"],
            ["2", "–", "7", "±1", "no", "2", "–"],
        ],
        key="k",
    )
    columns = arrow_table(table)
    assert columns.column_names == [
        "group",
        "value",
        "bounded",
        "bounded, low",
        "bounded, high",
        "band",
        "so",
        "so (2)",
        "N",
    ]
    assert columns.to_pydict() == {
        "group": ["1", "2"],
        "value": [-1234.5, None],
        "bounded": [2.9e-5, 7.0],
        "bounded, low": [-1.0, None],
        "bounded, high": [np.inf, None],
        "band": [4.2, 1.0],
        "so": ["yes", "no"],
        "so (2)": [1.0, 2.0],
        "N": [64, None],
    }
    assert columns.schema.field("N").type == pa.int64()


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a/b\\c:d", "x" * 400, "", ".", "nul\0", "ä ö", "<b>$x$</b>"]
)
def test_unsafe_names_are_escaped(name: str) -> None:
    stem = file_stem("g", name)
    first, second = stem.split(".")
    assert first == "g"
    assert second
    assert second.isascii()
    assert all(character.isalnum() or character in "_-" for character in second)
    assert len(second) < 80
    assert stem != file_stem("g", name + "/")


def test_names_that_would_meet_are_told_apart(tmp_path: Path) -> None:
    table = Table("c", ["group"], [["a"]], key="t")
    part = Section("s", "S", [], [], [table])
    report = AuditReport("n", [], table, replace(table, key="rows"), None, [], "", 2000)

    def of(*names: str) -> AuditReport:
        reports = [
            GeneratorReport(GeneratorInfo(name, 0, (1, 8, 8)), [], [part], None) for name in names
        ]
        return replace(report, reports=reports)

    files = export_tables(of("Gan", "gan", "g/n", "g?n"), tmp_path)
    assert len({path.name.casefold() for path in files}) == 2 * (4 + 2)
    with pytest.raises(ValueError, match="gan / s / t"):
        export_tables(of("gan", "gan"), tmp_path)
