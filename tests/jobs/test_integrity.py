"""Only planned and undamaged parts count: what else lies in a run is named, moved aside, mended."""

import io
import json
import pickle
import shutil
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from offmanifold.cluster.local_storage import LocalStorage
from offmanifold.jobs.commands.cli import app
from offmanifold.jobs.drive.driver import sizes_of
from offmanifold.jobs.drive.mending import Mending
from offmanifold.jobs.record.run_directory import RunDirectory
from offmanifold.jobs.results.finished_run import replan
from offmanifold.workers.datasets import DatasetError, open_dataset
from offmanifold.workers.part_file import Part, PartError, check_part
from offmanifold.workers.runner import ShardWorker
from offmanifold.workers.seal import sealed_table
from offmanifold.workers.shard import part_path, shard_id_of
from offmanifold.workers.soundness import columns_of
from typer.testing import CliRunner

from ..registered import COMPUTATIONS, TABLES
from .conftest import fill_audit_folder, forget_decoder, lean_spec, write_spec
from .tiny_run import tiny_runs

STAGES = [
    "images",
    "inversion",
    "variance_fit",
    "variance",
    "tuning",
    "likelihood",
    "local_variation",
]


def cli(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def spec_of_the_test() -> dict[str, Any]:
    """Few images under their own class, with a classical estimator, which tunes its steps."""
    spec = lean_spec()
    spec["stages"]["variance"] = {}
    for group in spec["groups"]:
        group["count"] = 4
        group["conditions"] = "own"
    for group in spec["groups"]:
        if group["role"] == "outlier":
            group.pop("conditions")
    spec["stages"]["images"] = {"shard_items": 4}
    spec["stages"]["likelihood"] = {
        "estimator": "classical",
        "transitions": 3,
        "leapfrog_steps": 1,
        "chains": 2,
        "pilots": 1,
        "shard_items": 8,
    }
    spec["stages"]["local_variation"] = {}
    return spec


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A finished run of seconds."""
    folder = tmp_path_factory.mktemp("integrity") / "audit"
    fill_audit_folder(folder)
    write_spec(folder, spec_of_the_test())
    result = cli("run", folder / "audit.yaml", "--out", folder / "run")
    assert result.exit_code == 0, result.output
    yield folder / "run"
    forget_decoder(folder)


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of that run."""
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


def resume(run: Path, *more: str) -> Any:
    return cli("run", run / "audit.yaml", "--out", run, *more)


def rows(run: Path) -> dict[str, pd.DataFrame]:
    """Every table's rows, as pandas reads the folder."""
    return {
        stage: pd.read_parquet(run / stage).sort_values(["image_id", "group"], ignore_index=True)
        for stage in STAGES
        if (run / stage).exists() and list((run / stage).iterdir())
    }


def assert_the_rows_of(run: Path, expected: dict[str, pd.DataFrame]) -> None:
    found = rows(run)
    assert found.keys() == expected.keys()
    for stage, table in expected.items():
        pd.testing.assert_frame_equal(found[stage], table)


def part_of(run: Path, stage: str) -> Path:
    return min((run / stage).glob("part-*.parquet"))


def status(run: Path) -> dict[str, Any]:
    stages = json.loads(cli("status", run, "--json").stdout)["stages"]
    return {stage["stage"]: stage for stage in stages}


def flip(content: bytes) -> bytes:
    return content[:90] + bytes([content[90] ^ 16]) + content[91:]


def flip_the_end(content: bytes) -> bytes:
    return content[:-40] + bytes([content[-40] ^ 1]) + content[-39:]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "images": flip,
    "inversion": lambda content: content[: len(content) // 2],
    "variance_fit": lambda content: bytes(len(content)),
    "variance": flip_the_end,
    "tuning": lambda _: b"",
    "likelihood": flip,
    "local_variation": lambda content: content[:200] + bytes(64) + content[264:],
}


def test_damaged_parts_heal_in_the_same_run(
    run: Path, finished: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damaged = {stage: part_of(run, stage) for stage in STAGES}
    for stage, part in damaged.items():
        part.write_bytes(DAMAGES[stage](part.read_bytes()))
    # The last two parts of some are exchanged.
    for stage in ("images", "inversion"):
        first, second = sorted((run / stage).glob("part-*"))[-2:]
        contents = first.read_bytes(), second.read_bytes()
        first.write_bytes(contents[1])
        second.write_bytes(contents[0])
    inodes = {path: path.stat().st_ino for path in run.glob("*/part-*.parquet")}
    looked = cli("report", run)
    assert looked.exit_code == 1
    assert "images/part-" in looked.output
    result = resume(run)
    assert result.exit_code == 0, result.output
    for stage, part in damaged.items():
        assert f"{stage}/{part.name} " in caplog.text
    assert "holds the rows of" in caplog.text
    assert_the_rows_of(run, rows(finished))
    changed = {path for path in inodes if path.stat().st_ino != inodes[path]}
    lines = [
        json.loads(line)
        for log in (run / "_log").glob("*.jsonl")
        for line in log.read_text().splitlines()
    ]
    told = {run / line["damaged"] for line in lines if "damaged" in line}
    assert changed == told >= set(damaged.values())
    assert f"damaged parts: {len(told)}" in result.output


def test_status_tells_of_damage_and_of_what_is_not_planned(run: Path) -> None:
    part = part_of(run, "images")
    shutil.copy(part, part.with_name("part-0123456789abcdef.parquet"))
    shutil.copy(part, part.with_name("copy.parquet"))
    part.write_bytes(bytes(part.stat().st_size))
    (run / "sweep").mkdir()
    (run / "sweep" / "part-0.parquet").touch()
    found = status(run)
    assert found["images"]["damaged"] == [f"images/{part.name}"]
    assert found["images"]["pending"] == 1
    assert found["images"]["unplanned"] == [
        "images/copy.parquet",
        "images/part-0123456789abcdef.parquet",
    ]
    assert found["sweep"]["unplanned"] == ["sweep/part-0.parquet"]
    # It rests on the images, of which one part is gone.
    assert found["inversion"]["pending"] is None
    assert f"damaged: images/{part.name}" in cli("status", run).stdout


def test_what_is_not_planned_is_refused_by_name_and_moved_aside(
    run: Path, finished: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A valid part of other items, in the place of none."""
    part = part_of(run, "inversion")
    table = pq.read_table(part)
    name = "inversion/part-0123456789abcdef.parquet"
    (run / name).write_bytes(sealed_table(table, name))
    summary = (run / "summary.parquet").read_bytes()
    for command in (("report", run), ("compare", run, finished)):
        result = cli(*command)
        assert result.exit_code == 2, result.output
        assert f"{name} is not planned by the run's spec" in result.output
    result = resume(run)
    assert result.exit_code == 0, result.output
    assert f"{name} is not planned by the spec: moved to _superseded" in caplog.text
    assert (run / "_superseded" / name).exists()
    assert_the_rows_of(run, rows(finished))
    assert (run / "summary.parquet").read_bytes() == summary


def test_another_audit_takes_no_image_that_is_not_planned(run: Path) -> None:
    part = part_of(run, "images")
    assert open_dataset("run", path=run, split="train").length
    shutil.copy(part, part.with_name("part-0123456789abcdef.parquet"))
    with pytest.raises(DatasetError, match=r"part-0123456789abcdef.parquet is not listed"):
        open_dataset("run", path=run, split="train")


def test_an_error_of_a_part_keeps_its_name_on_its_way() -> None:
    error = Part("images/part-0.parquet", "run").error("is damaged", sealed=True)
    sent = pickle.loads(pickle.dumps(error))
    assert (str(sent), vars(sent)) == (str(error), vars(error))


def test_a_stage_that_left_the_spec_leaves_nothing_and_comes_back(run: Path) -> None:
    spec = yaml.safe_load((run / "audit.yaml").read_text())
    whole = run.parent / "whole.yaml"
    whole.write_text(yaml.safe_dump(spec))
    computed = {each.name: each.stat().st_mtime_ns for each in (run / "local_variation").iterdir()}
    del spec["stages"]["local_variation"]
    changed = run.parent / "changed.yaml"
    changed.write_text(yaml.safe_dump(spec))
    result = cli("run", changed, "--out", run, "--changed")
    assert result.exit_code == 0, result.output
    assert not list((run / "local_variation").iterdir())
    assert list((run / "_superseded" / "local_variation").iterdir())
    summary = pd.read_parquet(run / "summary.parquet")
    assert not summary.metric.str.startswith("local_variation").any()
    tables = json.loads((run / "parts.json").read_text())["tables"]
    assert "local_variation" not in tables
    # What it was computed from is what it is called by: nothing is computed again.
    assert cli("run", whole, "--out", run, "--changed").exit_code == 0
    back = {each.name: each.stat().st_mtime_ns for each in (run / "local_variation").iterdir()}
    assert back == computed
    found = {path.name for path in (run / "images").iterdir()}
    assert set(tables["images"]) == found


def test_a_summary_of_another_spec_or_of_other_parts_is_refused(run: Path, finished: Path) -> None:
    def compared() -> str:
        result = cli("compare", run, finished)
        assert result.exit_code == 2, result.output
        return str(result.output)

    assert cli("compare", run, finished).exit_code == 0
    summary = (run / "summary.parquet").read_bytes()
    damaged = bytearray(summary)
    damaged[200] ^= 1
    (run / "summary.parquet").write_bytes(damaged)
    assert "summary.parquet: is damaged" in compared()
    (run / "summary.parquet").write_bytes(summary)
    spec = (run / "audit.yaml").read_text()
    (run / "audit.yaml").write_text(spec.replace("resamples: 2000", "resamples: 2001"))
    assert spec != (run / "audit.yaml").read_text()
    assert "was not made from the run's spec and its parts" in compared()
    assert cli("report", run).exit_code == 0
    assert cli("compare", run, finished).exit_code == 0


def test_damage_that_comes_while_a_run_is_at_work_heals_too(
    run: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The images are damaged after the check of their stage, before the inversion reads them."""
    shutil.rmtree(run / "inversion")
    image_parts = sorted((run / "images").glob("part-*.parquet"))
    remaining = [image_parts[0].read_bytes()]
    compute = ShardWorker.compute

    def after_damage(worker: ShardWorker, payload: Any, start: int, stop: int) -> Any:
        if payload.stage == "inversion" and remaining:
            content = bytearray(remaining.pop())
            content[len(content) // 2] ^= 1
            image_parts[0].write_bytes(content)
        return compute(worker, payload, start, stop)

    monkeypatch.setattr(ShardWorker, "compute", after_damage)
    result = resume(run)
    assert result.exit_code == 0, result.output
    assert "damaged parts: 1" in result.output
    assert_the_rows_of(run, rows(finished))


def test_a_part_that_is_always_damaged_ends_the_run(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = part_of(run, "variance")
    part.write_bytes(b"")
    publish = LocalStorage.publish

    def on_a_bad_disk(storage: LocalStorage, name: str, data: bytes) -> bool:
        return publish(storage, name, data[:-1] if name.startswith("variance/") else data)

    monkeypatch.setattr(LocalStorage, "publish", on_a_bad_disk)
    result = resume(run)
    assert result.exit_code == 1
    assert part.name in result.output
    assert "is not a complete Parquet file" in result.output


def test_what_was_computed_from_a_part_without_a_seal_is_computed_again(
    run: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = replan(RunDirectory.at(finished))

    def computed_from(inversion: Path) -> set[str]:
        return {
            f"{stage}/part-{shard_id}.parquet"
            for stage in ("variance_fit", "likelihood")
            for shard_id, shard in context.plans[stage].with_ids()
            if shard.names(shard_id_of(inversion.name))
        }

    # Not each part has an image that the variance is fitted to.
    part = max((run / "inversion").iterdir(), key=lambda part: len(computed_from(part)))
    named = computed_from(part)
    assert named
    part.write_bytes(bytes(part.stat().st_size))
    # A driver that is killed in between leaves them to the next one.
    with monkeypatch.context() as patched:
        patched.setattr(Mending, "_move_tainted", killed)
        assert isinstance(resume(run).exception, MemoryError)
    assert resume(run).exit_code == 0
    moved = {str(path.relative_to(run / "_damaged")) for path in run.glob("_damaged/*/part-*")}
    assert moved >= {*named, f"inversion/{part.name}"}
    # The variance names all parts of its fit.
    assert moved - named - {f"inversion/{part.name}"} == {
        f"variance/{path.name}" for path in (run / "variance").iterdir()
    }
    assert not (run / "_damaged" / "tainted.json").exists()
    assert_the_rows_of(run, rows(finished))


def killed(*_: object) -> None:
    raise MemoryError("killed")


def test_a_worker_computes_nothing_from_another_image(run: Path) -> None:
    """Parts without a seal, as old versions wrote them, that are exchanged after the planning."""
    context = replan(RunDirectory.at(run))
    first, second, *_ = sorted((run / "images").glob("part-*.parquet"))
    (shard, *_) = [
        each for each in context.plans["inversion"] if each.names(shard_id_of(first.name))
    ]
    tables = [pq.read_table(part).replace_schema_metadata({}) for part in (first, second)]
    pq.write_table(tables[1], first)
    pq.write_table(tables[0], second)
    worker = ShardWorker(context.run.storage, torch.device("cpu"))
    with pytest.raises(PartError, match=r"in row \d+, where .* was planned") as caught:
        worker.compute(shard, 0, len(shard.items))
    assert caught.value.part in {f"images/{first.name}", f"images/{second.name}"}


@pytest.mark.slow
def test_every_third_byte_of_a_part_of_each_table_counts(tmp_path: Path) -> None:
    seen: dict[str, int] = {}
    for context in tiny_runs(tmp_path):
        storage = context.run.storage
        for name in context.plans:
            ids = [] if name in seen else context.shard_ids(name)
            for shard_id in ids[:1]:
                path = Path(storage.locate(f"{name}/part-{shard_id}.parquet"))
                content = path.read_bytes()
                for position in range(0, len(content), 3):
                    damaged = bytearray(content)
                    damaged[position] ^= 1 << position % 8
                    path.write_bytes(damaged)
                    with pytest.raises(PartError):
                        check_part(storage, TABLES[name], shard_id)
                    seen[name] = seen.get(name, 0) + 1
                path.write_bytes(content)
                assert check_part(storage, TABLES[name], shard_id)
    assert seen.keys() == TABLES.keys()
    print(seen)


def spoilt(kind: str, values: list[Any]) -> list[Any] | None:
    """A list of a row as it must not be."""
    if kind == "short":
        return values[:-1]
    if kind == "long":
        return [*values, values[0]]
    if kind == "null":
        return [None, *values[1:]]
    return [*values[:-1], float("nan")]


def test_of_every_column_of_lists_it_is_said_what_it_holds() -> None:
    for table in TABLES.values():
        declared = [each.name for each in table.lists]
        assert declared == [each.name for each in table.arrow if pa.types.is_list(each.type)]
        assert set(columns_of(table)) <= {each.name for each in table.arrow}


@pytest.mark.slow
def test_a_list_that_is_short_or_holds_no_number_is_refused_in_every_table(tmp_path: Path) -> None:
    seen: dict[str, set[str]] = {}
    for context in tiny_runs(tmp_path):
        run, sizes = context.run, sizes_of(context.facts)
        for name, shards in context.plans.items():
            assert not run.verify(TABLES[name], shards.ids, shards, sizes).failed
            for (shard_id, shard), column in product(shards.with_ids(), TABLES[name].lists):
                part = part_path(name, shard_id)
                content = run.storage.read(part)
                rows = pq.read_table(io.BytesIO(content))
                lists: list[Any] = rows[column.name].to_pylist()
                there = [row for row, values in enumerate(lists) if values]
                if not there or column.name in seen.setdefault(name, set()):
                    continue
                seen[name].add(column.name)
                kinds = ["null"]
                if column.length != () and (column.length or len(there) > 1):
                    kinds += ["short", "long"]
                if pa.types.is_floating(rows[column.name].type.value_type):
                    kinds += ["nan"] * (column.numbers != "any")
                for kind in kinds:
                    bad = list(lists)
                    bad[there[-1]] = spoilt(kind, bad[there[-1]])
                    index = rows.schema.get_field_index(column.name)
                    field = rows.schema.field(index)
                    forged = rows.set_column(index, field, pa.array(bad, field.type))
                    path = Path(run.storage.locate(part))
                    path.write_bytes(sealed_table(forged, part))
                    with pytest.raises(PartError, match="says ok of a row whose "):
                        run.verify(TABLES[name], [shard_id], [shard], sizes)
                path.write_bytes(content)
    declared = {(table.name, each.name) for table in TABLES.values() for each in table.lists}
    found = {(name, column) for name, columns in seen.items() for column in columns}
    # The classical estimator's chains start from no component.
    assert declared - found == {("comparison", "chain_component")}


def raise_revision(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """As a later version has it."""
    monkeypatch.setitem(vars(COMPUTATIONS[name]), "revision", COMPUTATIONS[name].revision + 1)


def test_a_finished_run_of_an_older_version_is_read(
    run: Path, finished: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    summary = (run / "summary.parquet").read_bytes()
    raise_revision(monkeypatch, "inversion")
    raise_revision(monkeypatch, "likelihood.guided")
    stages = status(run)
    assert all(stage["pending"] == 0 and not stage["unplanned"] for stage in stages.values())
    result = cli("report", run)
    assert result.exit_code == 0, result.output
    assert (run / "summary.parquet").read_bytes() == summary
    before = COMPUTATIONS["inversion"].revision - 1
    assert (
        f"the revision of inversion (stage inversion) is {before} there and {before + 1} here"
        in caplog.text
    )
    # No shard of the run is of that estimator.
    assert "likelihood.guided" not in caplog.text
    provenance = json.loads((run / "provenance.json").read_text())
    provenance["revisions"]["inversion"] += 1
    (run / "provenance.json").write_text(json.dumps(provenance))
    assert "stage inversion is not complete" in cli("compare", run, finished).output


def test_a_driver_says_what_another_version_makes_it_compute_again(
    run: Path, finished: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    raise_revision(monkeypatch, "likelihood.classical")
    result = resume(run)
    assert result.exit_code == 0, result.output
    parts = len(list((run / "likelihood").glob("part-*")))
    before = COMPUTATIONS["likelihood.classical"].revision - 1
    assert "was written by offmanifold " in caplog.text
    assert f"(stage likelihood) is {before} there and {before + 1} here" in caplog.text
    assert f"{parts} finished parts are computed again" in caplog.text
    assert_the_rows_of(run, rows(finished))
    caplog.clear()
    assert resume(run).exit_code == 0
    assert "finished parts are computed again" not in caplog.text
    result = cli("compare", run, finished)
    assert result.exit_code == 0, result.output
    assert "other revisions" in result.output


def test_what_this_version_cannot_read_names_the_version_that_can(
    run: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    table = TABLES["local_variation"]
    monkeypatch.setitem(vars(table), "version", table.version + 1)
    monkeypatch.delitem(vars(table), "arrow", raising=False)
    for command in ("report", "status", "errors"):
        result = cli(command, run)
        assert result.exit_code == 2, result.output
        assert "Read it with offmanifold " in result.output
        assert f"is {table.version - 1} there and {table.version} here" in result.output
    result = resume(run)
    assert result.exit_code == 0, result.output
    assert "the schema of table local_variation is" in caplog.text
    assert cli("report", run).exit_code == 0
