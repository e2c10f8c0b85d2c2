"""A hostile spec, hostile names, and a run directory in which someone else left files."""

import io
import json
import os
import shutil
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from offmanifold.jobs.audits.specs import parse_spec
from offmanifold.jobs.commands.cli import app
from offmanifold.jobs.commands.exit_status import EXIT_UNFINISHED
from offmanifold.jobs.record.run_directory import RunDirectory
from offmanifold.jobs.results.finished_run import replan
from offmanifold.jobs.results.renderer import Renderer
from offmanifold.jobs.spec.loading import SpecError
from offmanifold.workers.seal import NAME_KEY, _seal, sealed_table
from offmanifold.workers.stored_images import IMAGES_TABLE
from typer.testing import CliRunner

from .conftest import SHORT_END, fill_audit_folder, forget_decoder, write_spec

HTML = "<img src=x onerror=alert(1)>"
FORMULA = "=HYPERLINK(1)"


def cli(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def _painted_alone() -> None:
    """Figures are drawn whole, as in the page that the module makes once: they are compared."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A finished run whose classes and files have hostile names, one file broken."""
    folder = tmp_path_factory.mktemp("hostile") / "audit"
    fill_audit_folder(folder)
    (folder / "images" / "zero").rename(folder / "images" / FORMULA)
    (folder / "images" / "one").rename(folder / "images" / HTML)
    (folder / "images" / HTML / "0.png").write_bytes(b"broken")
    images = {"dataset": "folder", "path": "images"}
    write_spec(
        folder,
        {
            "name": "hostile",
            "generators": [{"name": "decoder", "source": "decoder:make"}],
            "groups": [
                {"name": "train", "role": "train", **images},
                {"name": "generated", "role": "generated", "count": 2},
            ],
            "stages": {"inversion": {"iterations": 3, "restarts": 2, "bank": 16, **SHORT_END}},
            "cluster": {"executor": "serial"},
        },
    )
    result = cli("run", folder / "audit.yaml", "--out", folder / "run")
    assert result.exit_code == 3, result.output
    yield folder
    forget_decoder(folder)


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of that run."""
    shutil.copytree(finished / "run", tmp_path / "run")
    return tmp_path / "run"


def test_names_are_text_in_the_report_and_no_formulas_in_its_tables(
    run: Path, tmp_path: Path
) -> None:
    assert cli("report", run, "--tables", tmp_path / "tables").exit_code == 3
    page = (run / "report.html").read_text()
    assert HTML not in page
    assert "&lt;img src=x onerror=alert(1)&gt;/0.png is not an image" in page
    errors = pd.read_csv(tmp_path / "tables" / "audit.failed.csv")["error"]
    assert HTML in errors[0]
    cells = pd.concat(
        [pd.read_csv(path).astype(str).stack() for path in tmp_path.glob("tables/*.csv")]
    )
    assert not cells.str.match(r"[=+@]").any()


def rewritten(table: pa.Table) -> bytes:
    """As if no seal had ever been."""
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({}), sink)
    return sink.getvalue()


def other_table(content: bytes) -> bytes:
    table = pq.read_table(io.BytesIO(content))
    return rewritten(table.drop_columns(["source"]))


def labels_of_text(content: bytes) -> bytes:
    table = pq.read_table(io.BytesIO(content))
    index = table.schema.get_field_index("label")
    return rewritten(table.set_column(index, "label", pa.array([HTML] * len(table))))


def other_items(content: bytes) -> bytes:
    table = pq.read_table(io.BytesIO(content))
    index = table.schema.get_field_index("image_id")
    names = pa.array([HTML] * len(table))
    return rewritten(table.set_column(index, "image_id", names))


def resealed(column: str, value: Any) -> Callable[[bytes], bytes]:
    """The same value in every row, as somebody who can seal parts would leave it."""

    def spoil(content: bytes) -> bytes:
        table = pq.read_table(io.BytesIO(content))
        index = table.schema.get_field_index(column)
        field = table.schema.field(index)
        changed = table.set_column(index, field, pa.array([value] * len(table), field.type))
        return sealed_table(changed, table.schema.metadata[NAME_KEY.encode()].decode())

    return spoil


def reshaped(column: str, change: Callable[[list[Any]], list[Any]]) -> Callable[[bytes], bytes]:
    """The list of the last row that has one, changed, and sealed again."""

    def spoil(content: bytes) -> bytes:
        table = pq.read_table(io.BytesIO(content))
        index = table.schema.get_field_index(column)
        values: list[Any] = table[column].to_pylist()
        row = max(place for place, each in enumerate(values) if each)
        values[row] = change(values[row])
        field = table.schema.field(index)
        changed = table.set_column(index, field, pa.array(values, field.type))
        return sealed_table(changed, table.schema.metadata[NAME_KEY.encode()].decode())

    return spoil


def repeated(_content: bytes) -> bytes:
    """Half a billion values, all null, in a few kilobytes."""
    rows = 2**22
    nulls = pa.table(
        [pa.nulls(rows, f.type) for f in IMAGES_TABLE.arrow], schema=IMAGES_TABLE.arrow
    )
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, IMAGES_TABLE.arrow) as writer:
        for _ in range(10):
            writer.write_table(nulls, row_group_size=rows)
    return sink.getvalue()


def written_out(column: str, *, sealed: bool) -> Callable[[bytes], bytes]:
    """A text of a megabyte that is there once, and stands in each of a hundred thousand rows."""

    def spoil(content: bytes) -> bytes:
        whole = pq.read_table(io.BytesIO(content))
        rows, texts = 100_000, {"status": "ok", column: "x" * 2**20}
        arrays = [
            pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), pa.array([texts[field.name]]))
            if field.name in texts
            else pa.nulls(rows, field.type)
            for field in whole.schema
        ]
        table = pa.table(arrays, whole.schema.names)
        sink = io.BytesIO()
        with pq.ParquetWriter(
            sink,
            table.schema,
            store_schema=False,
            compression="zstd",
            dictionary_pagesize_limit=2**30,
        ) as writer:
            writer.write_table(table)
            if sealed:
                found = whole.schema.metadata
                writer.add_key_value_metadata({key.decode(): found[key].decode() for key in found})
        return _seal(sink.getvalue()) if sealed else sink.getvalue()

    return spoil


def rows_of_nothing(content: bytes) -> bytes:
    """More rows than any shard has."""
    schema = pq.read_table(io.BytesIO(content)).schema.remove_metadata()
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, schema) as writer:
        writer.write_table(pa.table([pa.nulls(200_000, f.type) for f in schema], schema=schema))
    return sink.getvalue()


DAMAGES: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "truncated": ("images", lambda content: content[:-100], "is not a complete Parquet file"),
    "scribbled": ("images", lambda c: c[:50] + b"?" * 50 + c[100:], "is damaged"),
    "empty": ("images", lambda _: b"", "is not a complete Parquet file"),
    "other table": ("images", other_table, "is not a table of stage images: it has no column sour"),
    "labels": (
        "images",
        labels_of_text,
        "is not a table of stage images: its label is string, expected int32",
    ),
    "giant": ("images", repeated, "claims to hold 545,259,520 values"),
    "text for all": ("images", written_out("image_id", sealed=True), "holds 104,85"),
    "text without seal": ("inversion", written_out("image_id", sealed=False), "holds 104,85"),
    "rows": ("images", rows_of_nothing, "claims to hold 200,000 rows; a part has at most 131,072"),
    "null": ("inversion", resealed("mse", None), "says ok of a row whose mse is None"),
    "not finite": ("inversion", resealed("mse", float("inf")), "says ok of a row whose mse is inf"),
    "no number": (
        "inversion",
        resealed("distance", float("nan")),
        "says ok of a row whose distance is nan",
    ),
    "no size": ("images", resealed("height", None), "says ok of a row whose height is None"),
    "short pixels": (
        "images",
        reshaped("pixels", lambda values: values[:-1]),
        "says ok of a row whose pixels has 63 values, expected 64",
    ),
    "pixels of nothing": (
        "images",
        reshaped("pixels", lambda values: [*values[:-1], float("nan")]),
        "says ok of a row whose pixels holds nan",
    ),
    "short latent": (
        "inversion",
        reshaped("latent", lambda values: values[:-1]),
        "says ok of a row whose latent has 2 values, expected 3",
    ),
    "latent of nothing": (
        "inversion",
        reshaped("latent", lambda values: [float("nan"), *values[1:]]),
        "says ok of a row whose latent holds nan",
    ),
    "one restart more": (
        "inversion",
        reshaped("restart_distance", lambda values: [*values, 1.0]),
        "says ok of a row whose restart_distance has 3 values, expected 2",
    ),
    "a null in a list": (
        "inversion",
        reshaped("restart_latent", lambda values: [None, *values[1:]]),
        "says ok of a row whose restart_latent holds None",
    ),
    "other items": ("inversion", other_items, "does not have the rows of the planned items"),
}


# Of bytes without sense, of another table, of rows that make no sense: what a run replaces.
REPLACED = ("truncated", "labels", "null", "short latent")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_hostile_part_is_refused_by_name_and_a_run_replaces_it(run: Path, damage: str) -> None:
    stage, spoil, message = DAMAGES[damage]
    rows = {name: pd.read_parquet(run / name) for name in ("images", "inversion")}
    part = next((run / stage).glob("part-*.parquet"))
    spoiled = spoil(part.read_bytes())
    part.write_bytes(spoiled)
    before = (run / "report.html").read_bytes()
    again = ("run", run / "audit.yaml", "--out", run)
    looked = cli("report", run)
    assert looked.exit_code == 1, looked.output
    assert f"{part.name} {message}" in looked.output
    assert f"`offmanifold {' '.join(map(str, again))}` moves it aside" in looked.output
    assert (run / "report.html").read_bytes() == before
    if damage not in REPLACED:
        return
    result = cli(*again)
    assert result.exit_code == 3, result.output
    assert "damaged parts: " in result.output
    assert (run / "_damaged" / stage / part.name).read_bytes() == spoiled
    for name, table in rows.items():
        pd.testing.assert_frame_equal(pd.read_parquet(run / name), table)


def link_out(part: Path, outside: Path) -> None:
    shutil.move(part, outside / part.name)
    part.symlink_to(outside / part.name)


STRANGE: dict[str, Callable[[Path, Path], None]] = {
    "link": link_out,
    "link to nothing": lambda part, _: part.symlink_to(part.with_name("nothing")),
    "device": lambda part, _: part.symlink_to("/dev/zero"),
    "pipe": lambda part, _: os.mkfifo(part),
    "folder": lambda part, _: part.mkdir(),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_what_is_no_file_of_the_run_is_refused_by_name_and_a_run_replaces_it(
    run: Path, tmp_path: Path, kind: str
) -> None:
    rows = pd.read_parquet(run / "images")
    part = next((run / "images").glob("part-*.parquet"))
    (tmp_path / "outside").mkdir()
    if kind != "link":
        part.unlink()
    STRANGE[kind](part, tmp_path / "outside")
    looked = cli("report", run)
    # A folder is no part: the run is not finished without it, and has a partial report.
    assert looked.exit_code == (EXIT_UNFINISHED if kind == "folder" else 1), looked.output
    if kind == "folder":
        result = cli("run", run / "audit.yaml", "--out", run)
        assert result.exit_code == 1
        assert f"{part.name}: it is a folder" in result.output
        return
    assert f"{part.name} is a link, a pipe or a device" in looked.output
    if kind not in ("link", "pipe"):
        return
    result = cli("run", run / "audit.yaml", "--out", run)
    assert result.exit_code == 3, result.output
    assert part.is_file()
    assert not part.is_symlink()
    pd.testing.assert_frame_equal(pd.read_parquet(run / "images"), rows)


@pytest.mark.parametrize("name", ["audit.yaml", "facts.json", "provenance.json", "summary.parquet"])
def test_a_file_of_a_run_that_has_no_end_is_refused(run: Path, name: str) -> None:
    (run / name).unlink()
    (run / name).symlink_to("/dev/zero")
    for command in (("status", run), ("report", run), ("compare", run, run)):
        result = cli(*command)
        assert "Traceback" not in result.output
        assert result.exit_code in (0, 1, 2, 3)
        if result.exit_code in (1, 2):
            assert name in result.output
    assert (run / name).is_symlink() or name == "summary.parquet"


def test_a_folder_of_a_run_that_lies_elsewhere_is_left_alone(run: Path, tmp_path: Path) -> None:
    shutil.move(run / "images", tmp_path / "elsewhere")
    (run / "images").symlink_to(tmp_path / "elsewhere")
    before = sorted((tmp_path / "elsewhere").iterdir())
    for command in (("report", run), ("run", run / "audit.yaml", "--out", run)):
        result = cli(*command)
        assert result.exit_code == 1
        assert "leads out of" in result.output
    assert sorted((tmp_path / "elsewhere").iterdir()) == before


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        '{"a": ' * 100_000,
        '{"generators": ' + "9" * 5000 + "}",
        '{"a": 1, "a": 2}',
        '{"a": [' + "[]," * 70_000 + "1]}",
        '{"a": [' + "1.5," * 1_000_000 + "1]}",
        "[]",
    ],
)
@pytest.mark.parametrize("name", ["facts.json", "provenance.json"])
def test_json_without_sense_is_refused_by_name(run: Path, name: str, content: str) -> None:
    (run / name).write_text(content)
    result = cli("status", run)
    assert result.exit_code in (1, 2), result.output
    assert name in result.output
    assert len(result.output) < 1000


def test_a_summary_of_endless_text_is_refused(run: Path) -> None:
    summary = run / "summary.parquet"
    summary.write_bytes(written_out("metric", sealed=True)(summary.read_bytes()))
    result = cli("compare", run, run)
    assert result.exit_code == 2, result.output
    assert "summary.parquet: holds 104,85" in result.output
    with summary.open("wb") as file:
        file.truncate(2**40)
    result = cli("compare", run, run)
    assert result.exit_code == 1, result.output
    assert "summary.parquet: it has 1,099,511,627,776 bytes, more than" in result.output


@pytest.mark.parametrize("name", ["facts.json", "provenance.json"])
def test_json_without_end_is_refused_by_its_size(run: Path, name: str) -> None:
    with (run / name).open("wb") as file:
        file.truncate(2**40)
    tracemalloc.start()
    result = cli("status", run)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert result.exit_code == 1
    assert f"{name}: it has 1,099,511,627,776 bytes, more than" in result.output
    assert "remove it" in result.output
    assert peak < 2**27


@pytest.mark.parametrize("line", [b"\n", b"{}\n", b'{"time": "2026-01-01", "published": 1}\n'])
def test_a_log_without_end_is_read_in_part(run: Path, line: bytes) -> None:
    (log,) = (run / "_log").glob("*.jsonl")
    for size in (2**22, 2**26):
        log.write_bytes(line * (size // len(line)))
        tracemalloc.start()
        result = cli("status", run)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert result.exit_code == 0, result.output
        assert peak < 2**27


def test_no_name_steers_the_terminal(tmp_path: Path) -> None:
    steering = "\x1b[2J\x1b]0;owned\x07"
    (tmp_path / "audit.yaml").write_text(
        f'"{"a" + steering.encode("unicode_escape").decode()}": 1\n'
    )
    result = cli("plan", tmp_path / "audit.yaml")
    assert result.exit_code == 2
    assert "\x1b" not in result.output
    assert "\\x1b[2J" in result.output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: a\nseed: 1\nname: b\n", "the key 'name' is there twice, in line 1 and in line 3"),
        ("a: &a {x: 1}\nb: &b {<<: [*a, *a]}\n" + "c: 1\n" * 2, "is there twice"),
        ("name: a\nseed: 2001-99-99\n", "month must be in 1..12"),
        ("name: a\nseed: " + "1" * 5000 + "\n", "the number in line 2 has 5,000 characters"),
        ("name: &a [*a]\n", "holds itself"),
    ],
)
def test_yaml_that_is_more_or_less_than_it_seems_is_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "audit.yaml").write_text(text)
    result = cli("plan", tmp_path / "audit.yaml")
    assert result.exit_code == 2
    assert message in result.output.replace("\n", " ")


def test_an_infinite_number_is_none_that_a_spec_means(run: Path) -> None:
    for value in (".inf", ".nan", "1.0e+999"):
        result = cli("plan", run / "audit.yaml", "--set", f"stages.likelihood.inflation={value}")
        assert result.exit_code == 2, value
        assert "finite number" in result.output


def test_a_run_directory_runs_no_code_of_its_own(run: Path, tmp_path: Path) -> None:
    (run / "evil.py").write_text(f"import os\nos.mkdir({str(tmp_path / 'ran')!r})\n")
    spec = (run / "audit.yaml").read_text().replace("decoder:make", "evil:make")
    (run / "audit.yaml").write_text(
        "\n".join(
            "  import_path: ." if "import_path" in line else line for line in spec.splitlines()
        )
    )
    for command in (("status", run), ("report", run), ("run", run / "audit.yaml", "--out", run)):
        result = cli(*command)
        assert result.exit_code == 2
        assert "would import code from the run directory itself" in result.output
    assert not (tmp_path / "ran").exists()


def test_who_looks_at_a_run_imports_no_module_that_it_names(run: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    marker = tmp_path / "ran"
    (tmp_path / "elsewhere" / "evil.py").write_text(f"import os\nos.mkdir({str(marker)!r})\n")
    named = {"source": "evil:make", "import_path": str(tmp_path / "elsewhere")}
    spec = yaml.safe_load((run / "audit.yaml").read_text())
    spec["generators"][0] |= named
    (run / "audit.yaml").write_text(yaml.safe_dump(spec))
    facts = json.loads((run / "facts.json").read_text())
    facts["generators"]["decoder"] |= named
    (run / "facts.json").write_text(json.dumps(facts))
    for command in (("status", run), ("errors", run), ("report", run), ("compare", run, run)):
        result = cli(*command)
        assert "Traceback" not in result.output
        assert not marker.exists(), command
    # Only what computes imports what the spec names.
    assert cli("run", run / "audit.yaml", "--out", run).exit_code == 2
    assert marker.exists()


def test_a_report_keeps_its_pictures_and_draws_none_by_a_program(run: Path) -> None:
    before = (run / "report.html").read_bytes()
    assert cli("report", run).exit_code == 3
    assert (run / "report.html").read_bytes() == before
    for picture in (run / "_drawn").iterdir():
        picture.unlink()
    result = cli("report", run)
    assert result.exit_code == 2
    assert "has not drawn yet, and the generator is a program (decoder:make)" in result.output
    assert cli("run", run / "audit.yaml", "--out", run).exit_code == 3
    assert cli("report", run).exit_code == 3


def test_a_picture_is_kept_for_one_generator_in_one_form(run: Path) -> None:
    context = replan(RunDirectory.at(run))
    (name,) = context.facts.generators
    facts = context.facts.generators[name]
    latents = np.full((2, facts.latent_dim), 0.5, dtype=np.float32)
    classes = np.zeros(2, dtype=np.int64) if facts.num_classes else None
    pictures = set((run / "_drawn").iterdir())
    drawn = Renderer(context, runs_code=True)(name, latents, classes)
    looking = Renderer(context, runs_code=False)
    np.testing.assert_array_equal(looking(name, latents, classes), drawn)
    (picture,) = set((run / "_drawn").iterdir()) - pictures

    context.facts.generators[name] = replace(facts, truncation=0.5)
    with pytest.raises(SpecError, match="has not drawn yet"):
        Renderer(context, runs_code=False)(name, latents, classes)
    context.facts.generators[name] = facts
    picture.write_bytes(picture.read_bytes()[:-1])
    with pytest.raises(SpecError, match="has not drawn yet"):
        looking(name, latents, classes)


@pytest.mark.parametrize("damage", ["gone", "text", "other spec"])
def test_hostile_facts_are_refused_by_name(run: Path, damage: str) -> None:
    facts = run / "facts.json"
    if damage == "gone":
        facts.unlink()
    elif damage == "text":
        facts.write_text(facts.read_text().replace('"length":', '"length":"<b>",'))
    else:
        facts.write_text(facts.read_text().replace('"train"', '"other"'))
    result = cli("status", run)
    assert result.exit_code == 2
    assert f"{facts}: " in result.output
    assert "writes it again" in result.output
    assert cli("run", run / "audit.yaml", "--out", run).exit_code == 3
    assert cli("status", run).exit_code == 0


def test_a_run_directory_runs_no_network_of_its_own(run: Path) -> None:
    (run / "evil.pt").write_bytes(b"a program")
    spec = yaml.safe_load((run / "audit.yaml").read_text())
    spec["generators"][0] = {
        "name": spec["generators"][0]["name"],
        "weights": "evil.pt",
        "network": {
            "format": "torchscript",
            "latent_shape": [2],
            "image_shape": [1, 8, 8],
            "native_range": [0, 1],
            "trust": True,
        },
    }
    (run / "audit.yaml").write_text(yaml.safe_dump(spec))
    result = cli("status", run)
    assert result.exit_code == 2
    assert "would import code from the run directory itself" in result.output


@pytest.mark.parametrize("content", [b"name: \xff", b"#" * (2**20 + 1)])
def test_a_spec_that_is_no_text_or_far_too_large_is_refused(run: Path, content: bytes) -> None:
    (run / "audit.yaml").write_bytes(content)
    result = CliRunner().invoke(app, ["status", str(run)])
    assert result.exit_code == 2
    assert "audit.yaml: " in result.stderr


def test_tags_of_a_spec_are_refused(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    for tag in (f"!!python/object/apply:os.mkdir ['{marker}']", "!!python/name:os.system", "!x 1"):
        (tmp_path / "audit.yaml").write_text(f"name: {tag}\n")
        result = cli("plan", tmp_path / "audit.yaml")
        assert result.exit_code == 2
        assert "audit.yaml: a spec holds plain values, and tags" in result.output
        assert "remove the tag" in result.output
    assert not marker.exists()


def test_a_spec_of_aliases_or_depth_is_refused_in_a_line() -> None:
    laughs = "a0: &a0 [ha, ha]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
    )
    for text in (laughs + "name: *a11\n", "name: " + "[" * 5000, "a" * 2_000_000):
        with pytest.raises(SpecError) as caught:
            parse_spec(text, Path("/"), (), "audit.yaml")
        assert len(str(caught.value)) < 2000
