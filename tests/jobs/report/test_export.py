"""Figures and tables as files: what the page shows, under names that any system takes."""

import io
import math
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
from offmanifold.jobs.report.summary import Estimate
from offmanifold.jobs.report.table import (
    Cell,
    Column,
    Format,
    N,
    Shown,
    Table,
    counts,
    estimates,
    filled_table,
    numbers,
)
from offmanifold.jobs.report.table_files import arrow_table, write_table_files
from offmanifold.jobs.results.export import export_figures, export_tables, file_stem
from offmanifold.jobs.results.page import AuditReport, GeneratorReport
from PIL import Image

from .conftest import WholeRun, headers, texts


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
    for table, columns in zip(shown, files[1::2], strict=True):
        schema = pq.read_schema(columns)
        for column in table.columns:
            expected = {"text": pa.string(), "count": pa.int64()}.get(column.kind, pa.float64())
            assert schema.field(column.title).type == expected
            assert (f"{column.title}, low" in schema.names) == (column.kind == "estimate")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_exported_numbers_are_those_of_the_summary(
    standard_report: AuditReport, whole: WholeRun, tmp_path: Path, kind: str
) -> None:
    export_tables(standard_report, tmp_path)

    def read(name: str) -> pd.DataFrame:
        path = tmp_path / f"small.{name}.{kind}"
        return pd.read_csv(path) if kind == "csv" else pd.read_parquet(path)

    def expected(metric: str, **keys: str) -> list[float]:
        rows = whole.summary[whole.summary["metric"] == metric]
        for key, value in keys.items():
            rows = rows[rows[key] == value]
        (row,) = rows[["value", "low", "high"]].to_numpy().tolist()
        return list(row)

    def found(rows: pd.DataFrame, header: str) -> list[float]:
        names = [header, f"{header}, low", f"{header}, high"]
        (row,) = rows[names].to_numpy().tolist()
        return list(row)

    auc = read("outliers.auc")
    one = auc[(auc["outliers"] == "single_colour") & (auc["against"] == "test")]
    one = one[one["scores"] == "marginal / nearest class"]
    keys = {"group": "single_colour", "against": "test", "estimator": "guided"}
    likelihood = expected("outlier_auc_likelihood", **keys, condition="marginal")
    assert found(one, "likelihood") == likelihood
    assert likelihood[1] != round(likelihood[1], 4)
    density = read("density.density")
    one = density[(density["group"] == "test") & (density["density"] == "own")]
    keys = {"group": "test", "condition": "own", "estimator": "classical"}
    assert found(one, "mean ln p at least, nats, classical") == expected(
        "log_likelihood_mean", **keys
    )
    assert one["N"].dtype == np.int64
    # What a header calls per cent is in per cent.
    accuracy = read("classification.accuracy")
    one = accuracy[accuracy["group"] == "test"]
    keys = {"group": "test", "estimator": "guided"}
    shares = expected("accuracy_likelihood", **keys)
    assert found(one, "likelihood") == [100 * share for share in shares]
    # The findings have other units in every row.
    findings = read("estimators.findings").set_index("finding")
    mine = found(findings.loc[["accuracy on test, %"]], "by guided")
    assert mine == [100 * share for share in shares]


def _table(rows: list[list[Cell]], *columns: Column) -> Table:
    return Table("c", columns, rows, key="k")


def test_columns_are_of_the_type_and_unit_that_they_say() -> None:
    third = Estimate(1 / 3, 0.1, math.inf, 64, None)
    alone = Estimate(0.25, math.nan, math.nan, 64, None)
    table = _table(
        [
            ["1", 12345, third, third, -1234.56789, "yes", 7, 1 / 7, Shown(third, Format(1)), 64],
            ["2", None, alone, None, math.nan, None, None, 0, Shown(alone, Format(2, 0, 100)), 9],
        ],
        Column("group"),
        counts("class"),
        estimates("bounded", 2),
        estimates("share, %", decimals=1, scale=100),
        numbers("value"),
        Column("so"),
        counts("so"),
        numbers("margin", 1, sign="±"),
        estimates("mixed"),
        N,
    )
    columns = arrow_table(table)
    assert columns.to_pydict() == {
        "group": ["1", "2"],
        "class": [12345, None],
        "bounded": [1 / 3, 0.25],
        "bounded, low": [0.1, None],
        "bounded, high": [math.inf, None],
        "share, %": [100 * (1 / 3), None],
        "share, %, low": [10.0, None],
        "share, %, high": [math.inf, None],
        "value": [-1234.56789, None],
        "so": ["yes", None],
        "so (2)": [7, None],
        "margin": [1 / 7, 0.0],
        "mixed": [1 / 3, 25.0],
        "mixed, low": [0.1, None],
        "mixed, high": [math.inf, None],
        "N": [64, 9],
    }
    of_type = {name: str(columns.schema.field(name).type) for name in columns.column_names}
    assert {name for name, kind in of_type.items() if kind == "int64"} == {"class", "so (2)", "N"}
    assert {name for name, kind in of_type.items() if kind == "string"} == {"group", "so"}
    assert texts(table) == [
        [
            "1",
            "12345",
            "0.33 [0.10,\xa0∞]",
            "33.3 [10.0,\xa0∞]",
            "−1,235",
            "yes",
            "7",
            "±0.1",
            "0.3 [0.1,\xa0∞]",
            "64",
        ],
        ["2", "–", "0.25", "–", "–", "–", "–", "±0", "25", "9"],
    ]


def test_text_that_is_no_number_is_refused_in_a_column_of_numbers() -> None:
    with pytest.raises(TypeError, match="'7' is not a number"):
        arrow_table(_table([["7"]], numbers("value")))


def test_columns_that_nothing_fills_are_left_out() -> None:
    columns = [Column("group"), numbers("empty"), replace(numbers("side"), stays=True), N]
    table = filled_table("c", columns, [["a", None, None, 1], ["b", None, None, None]], key="k")
    assert table is not None
    assert headers(table) == ["group", "side", "N"]
    assert texts(table) == [["a", "–", "1"], ["b", "–", "–"]]
    assert filled_table("c", columns, [], key="k") is None


def test_what_a_spreadsheet_would_run_is_made_harmless(tmp_path: Path) -> None:
    table = _table([["=1+1", -0.5], ["−1", None], [None, 2.0]], Column("text"), numbers("value"))
    text, columns = write_table_files(arrow_table(table), tmp_path / "t")
    assert text.read_text().splitlines() == [
        '"text","value"',
        '"\'=1+1",-0.5',
        '"−1",',
        ",2",
    ]
    assert pq.read_table(columns).to_pydict() == {
        "text": ["=1+1", "−1", None],
        "value": [-0.5, None, 2.0],
    }


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
    table = Table("c", [Column("group")], [["a"]], key="t")
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
