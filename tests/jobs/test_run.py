"""A whole audit from its spec, in-process: tables, resume, changed specs, bad input."""

import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from offmanifold.jobs.commands.cli import app
from offmanifold.workers.schema import KEY_COLUMNS
from typer.testing import CliRunner

from ..registered import TABLES
from .conftest import (
    STAGES,
    fill_audit_folder,
    forget_decoder,
    lean_spec,
    small_spec,
    write_spec,
)


class Cli:
    """Runs the command in this process."""

    def __call__(self, *arguments: str | Path) -> Any:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    def run(self, folder: Path, *arguments: str, out: Path | None = None) -> Any:
        return self("run", folder / "audit.yaml", "--out", out or folder / "run", *arguments)


@pytest.fixture
def cli() -> Cli:
    return Cli()


@dataclass(frozen=True)
class Finished:
    """A whole audit that was run once, for tests that leave its rows as they are."""

    folder: Path
    result: Any

    @property
    def run(self) -> Path:
        return self.folder / "run"

    def copy(self, place: Path) -> Path:
        """A copy of the run, for tests that change it; its spec stays where it was."""
        return Path(shutil.copytree(self.run, place / "copy"))


def finish(folder: Path, spec: dict[str, Any]) -> Finished:
    fill_audit_folder(folder)
    write_spec(folder, spec)
    run = Finished(folder, Cli().run(folder))
    # Other tests' folders have a module of the same name.
    forget_decoder(folder)
    return run


@pytest.fixture(scope="module")
def finished_once(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return finish(tmp_path_factory.mktemp("finished") / "audit", small_spec())


@pytest.fixture
def finished(finished_once: Finished) -> Iterator[Finished]:
    yield finished_once
    forget_decoder(finished_once.folder)


@pytest.fixture(scope="module")
def lean_once(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return finish(tmp_path_factory.mktemp("lean") / "audit", lean_spec())


@pytest.fixture
def lean(lean_once: Finished) -> Iterator[Finished]:
    """The same of an audit of few stages, for what does not depend on them."""
    yield lean_once
    forget_decoder(lean_once.folder)


@pytest.fixture
def lean_folder(audit_folder: Path) -> Path:
    """An audit of few stages, for what does not depend on them."""
    write_spec(audit_folder, lean_spec())
    return audit_folder


def tables(run: Path) -> dict[str, pd.DataFrame]:
    return {stage: pd.read_parquet(run / stage) for stage in STAGES if (run / stage).exists()}


def parts(run: Path) -> dict[str, int]:
    return {str(path.relative_to(run)): path.stat().st_ino for path in run.glob("*/part-*.parquet")}


def test_a_run_leaves_a_row_for_every_item_and_a_report(finished: Finished) -> None:
    result, run = finished.result, finished.run
    assert result.exit_code == 0, result.output
    found = tables(run)
    assert found.keys() == set(STAGES)
    for stage, table in found.items():
        assert tuple(table.columns[: len(KEY_COLUMNS)]) == KEY_COLUMNS
        assert list(table.columns) == TABLES[stage].arrow.names
        assert (table.status == "ok").all(), table.error.dropna().tolist()
        keys = ["generator", "condition", "image_id"]
        keys += ["estimator", "varied"] if stage == "convergence" else []
        keys += ["measurements"] if stage == "sensing" else []
        assert not table.duplicated(keys).any()
    # 12 train, 12 test, 6 generated and 4 plain images, each under both classes.
    assert len(found["images"]) == len(found["neighbours"]) == 34
    assert len(found["inversion"]) == 68
    assert len(found["likelihood"]) == 68 + 12
    assert len(found["comparison"]) == len(found["likelihood"])
    # 2 images of 5 groups; 3 settings of the guided estimator and 2 of the classical are doubled,
    # and each has a replicate.
    again = found["convergence"]
    assert len(again) == 2 * 5 * (3 + 2 + 2)
    assert again.probe_gain.notna().equals(again.varied == "restarts")
    reported = pd.concat([found["likelihood"], found["comparison"]])
    both = again[again.varied == "replicate"].merge(
        reported, on=["estimator", "condition", "image_id"]
    )
    assert len(both) == 2 * 5 * 2
    assert (both.transitions_x == both.transitions_y).all()
    assert (both.log_likelihood_x != both.log_likelihood_y).all()
    assert set(found["likelihood"].estimator) == {"guided"}
    assert set(found["comparison"].estimator) == {"classical"}
    bounded = found["likelihood"].dropna(subset="upper_bound")
    assert (bounded.group == "simulated").all()
    assert (bounded.condition == bounded.label).all()
    assert len(bounded) == 6
    own = found["inversion"].query("group == 'train' and condition == label")
    variance = found["variance"].iloc[0]
    # The marginal fit, to one half of the training images, is above the mean error that profiles.
    assert variance.n == len(found["variance_fit"]) == len(own) / 2
    fitted = own[own.image_id.isin(variance.fitted)]
    assert variance.low < variance.variance < variance.high
    assert fitted.mse.mean() < variance.variance < 3 * fitted.mse.mean()
    assert {"metric", "value", "low", "high", "n"} <= set(
        pd.read_parquet(run / "summary.parquet").columns
    )
    assert "<html" in (run / "report.html").read_text()
    assert json.loads((run / "provenance.json").read_text())["seed"] == 0
    assert str(run / "report.html") in result.stdout


def test_the_reported_likelihood_is_the_mean_of_its_chain_weights(finished: Finished) -> None:
    table = pd.read_parquet(finished.run / "likelihood")
    weights = np.stack(table.chain_log_weights.to_list())
    assert weights.shape == (80, 4)
    expected = np.logaddexp.reduce(weights, axis=1) - np.log(4)
    np.testing.assert_allclose(table.log_likelihood, expected, rtol=1e-12)
    np.testing.assert_allclose(
        table.bits_per_dim, table.log_likelihood / (64 * np.log(2)) - 8, rtol=1e-12
    )


def test_a_tolerance_is_held_image_by_image(lean_folder: Path, cli: Cli) -> None:
    compared = lean_spec()
    compared["stages"]["comparison"] = small_spec()["stages"]["comparison"]
    write_spec(lean_folder, compared)
    assert cli.run(lean_folder, "--set", "stages.likelihood.tolerance=2").exit_code == 0
    table = pd.read_parquet(lean_folder / "run" / "likelihood")
    assert table.settled.isin([True, False]).all()
    assert table.settled.any()
    assert set(table.transitions) <= {6, 12, 24}
    assert (table.restarts / 2 == table.transitions / 3).all()
    assert table.settled[table.transitions < 24].all()
    assert pd.read_parquet(lean_folder / "run" / "comparison").settled.isna().all()


def test_a_finished_run_is_not_computed_again(finished: Finished, cli: Cli) -> None:
    before = parts(finished.run)
    assert cli.run(finished.folder).exit_code == 0
    assert parts(finished.run) == before


def test_missing_parts_alone_are_computed_again_with_the_same_rows(
    lean: Finished, cli: Cli, tmp_path: Path
) -> None:
    run = lean.copy(tmp_path)
    before, inodes = tables(run), parts(run)
    assert before.keys() >= {"images", "inversion", "likelihood"}
    lost = sorted((run / "likelihood").glob("part-*"))[1]
    lost.unlink()
    assert cli.run(lean.folder, out=run).exit_code == 0
    after = parts(run)
    assert {name for name in after if after[name] != inodes[name]} <= {str(lost.relative_to(run))}
    for stage, table in tables(run).items():
        pd.testing.assert_frame_equal(table, before[stage])


def test_another_spec_is_refused_and_with_changed_takes_over(
    finished: Finished, cli: Cli, tmp_path: Path
) -> None:
    run = finished.copy(tmp_path)
    before = parts(run)
    # And without what would take longest to compute again.
    changes = ("likelihood.transitions=12", "convergence=null", "sensing=null", "patch_gmm=null")
    longer = [part for change in changes for part in ("--set", f"stages.{change}")]
    refused = cli.run(finished.folder, *longer, out=run)
    assert refused.exit_code == 2
    assert "stages" in refused.stderr
    assert "--changed" in refused.stderr
    assert parts(run) == before
    taken = cli.run(finished.folder, *longer, "--changed", out=run)
    assert taken.exit_code == 0, taken.output
    assert set(pd.read_parquet(run / "likelihood").transitions) == {12}
    assert set(pd.read_parquet(run / "comparison").transitions) == {10}
    kept = {name for name in before if name.startswith(("images", "inversion", "neighbours"))}
    assert kept
    assert kept <= set(parts(run))


def test_a_users_own_spec_is_never_written_over(audit_folder: Path, cli: Cli) -> None:
    (audit_folder / "mine").mkdir()
    shutil.copy(audit_folder / "audit.yaml", audit_folder / "mine")
    before = (audit_folder / "audit.yaml").read_text()
    result = cli("run", audit_folder / "audit.yaml", "--out", audit_folder / "mine")
    assert result.exit_code == 2
    assert "no run wrote" in result.stderr
    assert (audit_folder / "mine" / "audit.yaml").read_text() == before


def test_where_it_runs_is_not_part_of_the_spec(lean: Finished, cli: Cli) -> None:
    before = parts(lean.run)
    assert before
    assert cli.run(lean.folder, "--set", "cluster.cpus_per_worker=0.5").exit_code == 0
    assert parts(lean.run) == before


def corrupt(images: Path) -> str:
    path = images / "one" / "2.png"
    path.write_bytes(path.read_bytes()[:40])
    return "2.png"


def poison(images: Path) -> str:
    pixels = np.full((1, 8, 8), 0.5, dtype=np.float32)
    pixels[0, 2, 2] = np.nan
    np.save(images / "one" / "7.npy", pixels)
    return "7.npy"


@pytest.mark.parametrize("damage", [corrupt, poison])
def test_a_bad_image_is_quarantined_and_nothing_else_is_lost(
    lean_folder: Path, cli: Cli, damage: Callable[[Path], str]
) -> None:
    name = damage(lean_folder / "images")
    result = cli.run(lean_folder)
    assert result.exit_code == 3, result.output
    assert "2 in images" in result.stderr
    table = pd.read_parquet(lean_folder / "run" / "images")
    failed = table[table.status != "ok"]
    assert sorted(failed.group) == ["test", "train"]
    assert failed.error.str.contains(name, regex=False).all(), failed.error.tolist()
    good = table[(table.status == "ok") & (table.group == "train")]
    inverted = pd.read_parquet(lean_folder / "run" / "inversion").query("group == 'train'")
    assert set(inverted.image_id) == set(good.image_id)
    assert (inverted.status == "ok").all()


def test_a_mended_image_is_taken_up_by_retry_failed(lean_folder: Path, cli: Cli) -> None:
    path = lean_folder / "images" / "one" / "2.png"
    good = path.read_bytes()
    path.write_bytes(good[:40])
    assert cli.run(lean_folder).exit_code == 3
    path.write_bytes(good)
    assert cli.run(lean_folder, "--retry-failed").exit_code == 0
    assert len(pd.read_parquet(lean_folder / "run" / "images")) == 34


def test_a_generator_that_fails_under_one_class_loses_that_class_alone(
    audit_folder: Path, cli: Cli
) -> None:
    module = audit_folder / "decoder.py"
    check = (
        "if len(latent) > 8 and (condition == 1).any():\n"
        "            raise RuntimeError('class 1 is broken')\n        values ="
    )
    module.write_text(module.read_text().replace("values =", check, 1))
    spec = small_spec()
    spec["groups"] = [group for group in spec["groups"] if group["role"] in ("train", "outlier")]
    spec["stages"] = {"inversion": spec["stages"]["inversion"]}
    write_spec(audit_folder, spec)
    result = cli.run(audit_folder)
    assert result.exit_code == 3, result.output
    table = pd.read_parquet(audit_folder / "run" / "inversion")
    assert len(table) == 32
    assert (table[table.condition == 0].status == "ok").all()
    failed = table[table.condition == 1]
    assert (failed.status == "failed").all()
    assert failed.error.str.contains("class 1 is broken").all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"source": "decoder:absent"}, ["generators.decoder.source", "absent"]),
        ({"source": "nowhere:make"}, ["generators.decoder.source", "nowhere"]),
        ({"source": "./no-such-folder"}, ["generators.decoder.source", "no-such-folder"]),
        ({"source": "shipped:digit"}, ["generators.decoder.source", "digits"]),
    ],
)
def test_a_generator_that_cannot_be_opened_stops_before_any_work(
    audit_folder: Path, cli: Cli, change: dict[str, str], words: list[str]
) -> None:
    spec = small_spec()
    spec["generators"][0].update(change)
    write_spec(audit_folder, spec)
    result = cli.run(audit_folder)
    assert result.exit_code == 2
    assert all(word in result.stderr for word in words), result.stderr
    assert not (audit_folder / "run").exists()


@pytest.mark.parametrize(
    ("group", "words"),
    [
        ({"path": "nowhere"}, ["groups.train", "nowhere"]),
        ({"dataset": "digitz"}, ["groups.train", "did you mean 'digits'"]),
        ({"count": 1000}, ["groups.train.count", "1000", "12"]),
        ({"dataset": "digits", "split": "train", "path": None}, ["groups.train", "10 classes"]),
    ],
)
def test_a_group_that_cannot_be_had_stops_before_any_work(
    audit_folder: Path, cli: Cli, group: dict[str, Any], words: list[str]
) -> None:
    spec = small_spec()
    spec["groups"][0].update(group)
    write_spec(audit_folder, spec)
    result = cli.run(audit_folder)
    assert result.exit_code == 2
    assert all(word in result.stderr for word in words), result.stderr
    assert not (audit_folder / "run").exists()


def test_plan_computes_nothing_and_counts_what_run_does(
    audit_folder: Path, finished: Finished, cli: Cli
) -> None:
    before = sorted(audit_folder.rglob("*.parquet"))
    result = cli("plan", audit_folder / "audit.yaml")
    assert result.exit_code == 0, result.output
    assert sorted(audit_folder.rglob("*.parquet")) == before
    cells = {line.split()[0]: line.split() for line in result.stdout.splitlines() if line.strip()}
    assert cells["inversion"][2] == "68"
    assert cells["likelihood"][2] == "80"
    # 4 chains x (2 leapfrogs x 9 transitions + 1), forwards; the 6 simulated ones backwards too.
    assert cells["comparison"][3] == f"{(80 + 6) * 4 * (2 * 9 + 1):,}"
    # Of the same audit in another folder.
    counted = pd.read_parquet(finished.run / "likelihood").evaluations.sum()
    # And a bank of 16 latents for each of two classes, which no row counts.
    assert cells["likelihood"][3] == f"{counted + 6 * 4 * (2 * 2 + 1) + 2 * 16:,}"


def test_status_follows_a_run_as_text_and_as_json(lean: Finished, cli: Cli, tmp_path: Path) -> None:
    mistaken = cli("status", lean.folder)
    assert mistaken.exit_code == 2
    assert "not a run directory" in mistaken.stderr
    run = lean.copy(tmp_path)
    assert "likelihood" in cli("status", run).stdout
    found = json.loads(cli("status", run, "--json").stdout)
    by_stage = {stage["stage"]: stage for stage in found["stages"]}
    assert by_stage["likelihood"]["rows"] == 80
    assert all(stage["pending"] == 0 and stage["quarantined"] == 0 for stage in found["stages"])
    for part in (run / "inversion").iterdir():
        part.unlink()
    found = json.loads(cli("status", run, "--json").stdout)
    by_stage = {stage["stage"]: stage for stage in found["stages"]}
    assert by_stage["inversion"]["pending"] == 7
    assert by_stage["likelihood"]["pending"] is None


def test_report_is_rebuilt_from_the_parts(finished: Finished, cli: Cli, tmp_path: Path) -> None:
    run = finished.copy(tmp_path)
    summary = pd.read_parquet(run / "summary.parquet")
    (run / "summary.parquet").unlink()
    (run / "report.html").unlink()
    folders = [tmp_path / "out" / name for name in ("figures", "tables")]
    rebuilt = cli("report", run, "--figures", folders[0], "--tables", folders[1])
    assert rebuilt.exit_code == 0
    for folder, suffixes in zip(folders, ({".svg", ".png"}, {".csv", ".parquet"}), strict=True):
        written = list(folder.iterdir())
        assert {path.suffix for path in written} == suffixes
        assert f"{len(written)} files in {folder}" in rebuilt.stdout
    pd.testing.assert_frame_equal(pd.read_parquet(run / "summary.parquet"), summary)
    assert (run / "report.html").exists()
    next((run / "likelihood").glob("part-*")).unlink()
    assert cli("report", run, "--png").exit_code == 2
    taken = cli("report", run, "--tables", finished.folder / "audit.yaml")
    assert taken.exit_code == 2
    assert "expected a folder" in taken.stderr
    before = (run / "report.html").read_bytes()
    incomplete = cli("report", run)
    assert incomplete.exit_code == 9
    assert f"partial report: {run / 'report-partial.html'}" in incomplete.stdout
    assert "resume it with" in incomplete.stderr
    assert (run / "report.html").read_bytes() == before


def test_inversion_alone_is_a_whole_audit(audit_folder: Path, cli: Cli) -> None:
    spec = small_spec()
    spec["stages"] = {"inversion": spec["stages"]["inversion"]}
    spec["groups"] = [group for group in spec["groups"] if group["role"] != "simulated"]
    write_spec(audit_folder, spec)
    result = cli.run(audit_folder)
    assert result.exit_code == 0, result.output
    assert not (audit_folder / "run" / "likelihood").exists()


@pytest.mark.parametrize("what", ["generators", "datasets", "stages", "presets"])
def test_list_names_what_there_is(cli: Cli, what: str) -> None:
    result = cli("list", what)
    assert result.exit_code == 0
    expected = {
        "generators": "digits",
        "datasets": "fashion_mnist",
        "stages": "likelihood",
        "presets": "fashion",
    }
    assert expected[what] in result.stdout


def test_a_preset_is_printed_ready_to_be_copied(cli: Cli, tmp_path: Path) -> None:
    copy = tmp_path / "audit.yaml"
    copy.write_text(cli("list", "presets", "--show", "digits").stdout)
    assert cli("plan", copy).exit_code == 0


def test_a_full_disk_stops_the_run_with_a_clear_message_and_it_resumes(
    lean_folder: Path, cli: Cli
) -> None:
    """In a process of its own, whose files may not grow beyond a size, as on a full disk."""
    full = subprocess.run(
        [Path(sys.executable).with_name("offmanifold"), "run", "audit.yaml", "--out", "run"],
        cwd=lean_folder,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, 8_000)),
    )
    assert full.returncode == 4
    assert "full" in full.stderr
    assert "Traceback" not in full.stderr
    assert (lean_folder / "run" / "audit.yaml").exists()
    roomy = cli.run(lean_folder)
    assert roomy.exit_code == 0, roomy.output


def test_an_output_folder_that_cannot_be_made_is_explained(audit_folder: Path, cli: Cli) -> None:
    result = cli("run", audit_folder / "audit.yaml", "--out", "/proc/offmanifold")
    # The kernel's own folder says that there is no such file, not that it is forbidden.
    assert result.exit_code == 1
    assert "/proc/offmanifold" in result.stderr
