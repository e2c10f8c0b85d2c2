"""A finished run for other tools: JSON lines, a model card, and three trackers' own libraries."""

import json
import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import yaml
from offmanifold.jobs.audits.specs import parse_spec
from offmanifold.jobs.commands.cli import app
from offmanifold.jobs.record.run_directory import RunDirectory
from offmanifold.jobs.report.verdict import Finding, Verdict
from offmanifold.jobs.results.exported import ExportedRun, exported_run, named_values, steps_of
from offmanifold.jobs.results.finished_run import replan
from offmanifold.jobs.results.metric_lines import metric_lines
from offmanifold.jobs.results.model_card import model_card
from offmanifold.jobs.results.trackers import to_mlflow, to_tensorboard, to_wandb
from offmanifold.jobs.spec.loading import SpecError
from typer.testing import CliRunner

from ..conftest import fill_audit_folder, forget_decoder, lean_spec, write_spec


def cli(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("exported") / "audit"
    fill_audit_folder(folder)
    write_spec(folder, lean_spec())
    done = cli("run", folder / "audit.yaml", "--out", folder / "run")
    assert done.exit_code == 0, done.output
    yield folder
    forget_decoder(folder)


@pytest.fixture(scope="module")
def run(folder: Path) -> ExportedRun:
    return exported_run(replan(RunDirectory.at(str(folder / "run"))))


@pytest.fixture
def training(run: ExportedRun) -> ExportedRun:
    """The same generator as two checkpoints of a training."""
    [one] = run.generators
    both = [replace(one, name=f"gan@{step}", training="gan", step=step) for step in (100, 250)]
    return replace(run, generators=both)


def test_a_line_for_each_metric(folder: Path, tmp_path: Path) -> None:
    printed = cli("export", folder / "run", "--to", "jsonl")
    assert printed.exit_code == 0, printed.output
    lines = [json.loads(line) for line in printed.stdout.splitlines()]
    summary = pd.read_parquet(folder / "run" / "summary.parquet")
    assert len(lines) == len(summary)
    for line in lines:
        assert line["results"] == {line["metric"]: line["value"]}
        assert {"snapshot_pkl", "timestamp", "unit"} <= set(line)
    auc = next(line for line in lines if line["metric"] == "log_likelihood_mean")
    assert auc["snapshot_pkl"] == "decoder:make"
    keys = ("metric", "generator", "condition", "group", "against", "estimator")
    same = summary
    for key in keys:
        same = same[same[key].isna() if auc[key] is None else same[key] == auc[key]]
    assert same["value"].to_list() == [auc["value"]]
    written = cli("export", folder / "run", "--to", "jsonl", "--out", tmp_path / "a" / "m.jsonl")
    assert written.exit_code == 0, written.output
    assert (tmp_path / "a" / "m.jsonl").read_text() == printed.stdout


def test_lines_are_strict_json(run: ExportedRun) -> None:
    row = {**run.generators[0].rows[0], "value": math.inf, "low": -math.inf, "high": None}
    [line] = metric_lines(replace(run, generators=[], shared=[row]))
    found = json.loads(line, parse_constant=pytest.fail)
    assert (found["value"], found["low"], found["high"]) == ("Infinity", "-Infinity", None)


def test_names_tell_all_rows_apart(run: ExportedRun) -> None:
    [generator] = run.generators
    finite = sum(
        row[key] is not None and math.isfinite(row[key])
        for row in generator.rows
        for key in ("value", "low", "high")
    )
    assert len(generator.values) == finite > 0


def test_a_model_card_has_every_verdict_and_no_markup_of_others(
    folder: Path, run: ExportedRun
) -> None:
    printed = cli("export", folder / "run", "--to", "model-card")
    assert printed.exit_code == 0, printed.output
    assert run.generators[0].verdicts
    rows = [line for line in printed.stdout.splitlines() if line.startswith("|")][2:]
    assert len(rows) == len(run.generators[0].verdicts)
    finding = Finding("test", "no", "a|b\n<script>")
    hostile = Verdict("key", "Is *it*?", "yes", (finding,))
    card = model_card(replace(run, generators=[replace(run.generators[0], verdicts=[hostile])]))
    assert "Each estimate of ln p is a lower bound in the mean" in card
    assert r"| Is \*it\*? | ✗ No | a\|b \<script\> |" in card


def test_what_cannot_be_exported(folder: Path, tmp_path: Path) -> None:
    for wrong, status, said in (
        (("export", tmp_path, "--to", "jsonl"), 2, "not a run directory"),
        (("export", folder / "run", "--to", "csv"), 2, "jsonl"),
        (("export", folder / "run", "--to", "wandb", "--out", "x"), 2, "WANDB_DIR"),
        (("export", folder / "run", "--to", "jsonl", "--out", tmp_path), 2, "cannot be written"),
    ):
        found = cli(*wrong)
        assert found.exit_code == status
        assert said in " ".join(found.output.split())


@pytest.mark.parametrize(
    ("target", "module", "package"),
    [
        ("tensorboard", "torch.utils.tensorboard", "tensorboard"),
        ("wandb", "wandb", "wandb"),
        ("mlflow", "mlflow", "mlflow-skinny"),
    ],
)
def test_a_missing_package_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, target: str, module: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    found = cli("export", folder / "run", "--to", target)
    assert found.exit_code == 2
    assert f"pip install {package}" in found.stderr


@pytest.fixture
def odd(training: ExportedRun) -> ExportedRun:
    """Rows of objects whose names are those of nobody's files."""
    names = ("a=b", "a?b", "..", "Straße, 図", "m = 4", "x" * 300, "x" * 301)
    keys = dict.fromkeys(training.generators[0].rows[0]) | {
        "metric": "object_presence",
        "group": "generated",
    }
    rows = [{**keys, "condition": name, "value": float(at)} for at, name in enumerate(names)]
    both = [replace(each, rows=[*each.rows, *rows]) for each in training.generators]
    return replace(training, generators=both)


def values_with_shared(run: ExportedRun) -> dict[str, float]:
    """What each generator's export has to hold, by its name in the table."""
    shared = {f"shared/{name}": value for name, value in named_values(run.shared).items()}
    return run.generators[0].values | shared


def test_tensorboard_reads_the_scalars_back(odd: ExportedRun, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    [folder] = to_tensorboard(odd, tmp_path)
    read = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    values = values_with_shared(odd)
    assert set(read.Tags()["scalars"]) == set(values)
    [_, text] = read.Tensors("verdicts/text_summary")
    assert b"| question | answer | numbers |" in text.tensor_proto.string_val[0]
    for name, value in values.items():
        points = read.Scalars(name)
        assert [point.step for point in points] == [100, 250]
        assert points[0].value == pytest.approx(value, rel=1e-6)
    with pytest.raises(Exception, match="already there"):
        to_tensorboard(odd, tmp_path)


def wandb_records(path: Path) -> Iterator[Any]:
    """The records of an offline run: a log of blocks, as LevelDB writes them."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, at, parts = path.read_bytes(), 7, b""
    while at + 7 <= len(content):
        left = 2**15 - at % 2**15
        if left < 7:
            at += left
            continue
        length = int.from_bytes(content[at + 4 : at + 6], "little")
        kind, at = content[at + 6], at + 7
        parts += content[at : at + length]
        at += length
        # A whole record, or the last part of one.
        if kind in (1, 4):
            yield Record.FromString(parts)
            parts = b""


def test_wandb_offline(odd: ExportedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    assert to_wandb(odd) == [f"{odd.name}.gan"]
    # Its own process may still be writing, as it may not once a user's command has ended.
    wandb.teardown()
    [stored] = tmp_path.rglob("run-*.wandb")
    records = list(wandb_records(stored))
    steps = [each.history for each in records if each.WhichOneof("record_type") == "history"]
    assert [step.step.num for step in steps] == [100, 250]
    for step in steps:
        found = {item.nested_key[0]: json.loads(item.value_json) for item in step.item}
        values = {name: value for name, value in found.items() if not name.startswith("_")}
        assert values == values_with_shared(odd)
    summary = [item for each in records for item in each.summary.update]
    assert any("verdicts" in (item.key, *item.nested_key) for item in summary)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"WANDB_MODE": "disabled"}, "has disabled it: nothing is logged"),
        ({"WANDB_MODE": "of course"}, "wandb: its settings.*mode: Input should be"),
        ({"WANDB_PROJECT": "a/b"}, "wandb: Invalid project name"),
    ],
)
def test_what_wandb_refuses_is_said(
    training: ExportedRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    said: str,
) -> None:
    wandb = pytest.importorskip("wandb")
    # It reads the environment once a process.
    wandb.teardown()
    for name, value in ({"WANDB_MODE": "offline", "WANDB_DIR": str(tmp_path)} | variables).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SpecError, match=said):
        to_wandb(training)
    wandb.teardown()
    assert not list(tmp_path.rglob("run-*.wandb"))


def test_mlflow_in_a_local_store(
    odd: ExportedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(tmp_path.as_uri())
    try:
        assert to_mlflow(odd) == [f"{odd.name}.gan"]
        [found] = mlflow.search_runs(experiment_names=["offmanifold"], output_format="list")
        client = mlflow.MlflowClient()
        values = values_with_shared(odd)
        assert sorted(found.data.metrics.values()) == sorted(values.values())
        objects = {f"object_presence/generated/-/{name}" for name in ("a_b", "a_b 2", "_", "m _ 4")}
        assert objects <= set(found.data.metrics)
        same = [name for name in values if name in found.data.metrics]
        assert len(same) > len(values) / 2
        for name in same:
            points = client.get_metric_history(found.info.run_id, name)
            assert [(each.step, each.value) for each in points] == [
                (step, values[name]) for step in (100, 250)
            ]
        assert [each.path for each in client.list_artifacts(found.info.run_id)] == [
            "metrics.jsonl",
            "model-card.md",
        ]
        (tmp_path / "file").write_text("")
        mlflow.set_tracking_uri((tmp_path / "file" / "inside").as_uri())
        with pytest.raises(SpecError, match=r"mlflow: .*Not a directory"):
            to_mlflow(odd)
    finally:
        mlflow.set_tracking_uri(before)


@pytest.mark.parametrize(
    ("iterations", "steps"),
    [
        ((1000, 2000), [1000, 2000]),
        ((1000, 2000, "final"), [0, 1, 2]),
        (("early", "late"), [0, 1]),
        ((2000, 1000), [0, 1]),
    ],
)
def test_steps_of_a_training_ascend(iterations: tuple[int | str, ...], steps: list[int]) -> None:
    spec = {
        **lean_spec(),
        "generators": [
            {"name": "one", "source": "a:f"},
            {
                "name": "gan",
                "checkpoints": [{"iteration": each, "source": "a:f"} for each in iterations],
            },
        ],
    }
    found = parse_spec(yaml.safe_dump(spec), Path("/"), (), "audit.yaml")
    assert steps_of(found.each_generator) == [0, *steps]


def test_an_out_that_cannot_be_written_is_said(
    run: ExportedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def writer(folder: str) -> None:
        """The first thing that tensorboard's does."""
        Path(folder).mkdir(parents=True)

    board = SimpleNamespace(SummaryWriter=writer)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", board)
    (tmp_path / "file").write_text("")
    with pytest.raises(SpecError, match=r"file/inside: cannot be written: Not a directory"):
        to_tensorboard(run, tmp_path / "file" / "inside")
