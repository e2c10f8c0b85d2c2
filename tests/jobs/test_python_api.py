"""Audits and runs from Python: objects that are generators, data frames, what a notebook shows."""

import subprocess
import sys
import threading
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import offmanifold as om
import pandas as pd
import pytest
import torch
import yaml
from offmanifold.cluster.locations import open_storage
from offmanifold.cluster.s3_settings import BY_ENVIRONMENT
from offmanifold.jobs.spec.loading import SpecError
from offmanifold.workers.generators import GeneratorError
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor, nn

from ..object_store import BUCKET, ObjectStore
from .conftest import SHORT_END

SHAPE = (1, 8, 8)


class Plain(nn.Module):
    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.layers = nn.Sequential(
                nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 64), nn.Sigmoid()
            )

    def forward(self, latent: Tensor) -> Tensor:
        images: Tensor = self.layers(latent.flatten(1))
        return images.view(-1, *SHAPE)


def spec() -> dict[str, Any]:
    return {
        "name": "own",
        "groups": [
            {"name": "test", "role": "test", "dataset": "digits", "split": "test", "count": 4},
            {"name": "generated", "role": "generated", "count": 4},
        ],
        "stages": {"inversion": {"iterations": 3, "restarts": 1, "bank": 8, **SHORT_END}},
    }


def generator(network: Any) -> Any:
    return om.generator(network, latent_shape=4, native_range=(0, 1))


def ids(run: om.Run) -> set[str]:
    return {path.name for path in (Path(run.location) / "inversion").glob("part-*")}


def test_a_network_is_audited_as_it_was_and_stays_as_it_is(tmp_path: Path) -> None:
    network, asked = Plain().train(), spec()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    given = {**asked, "groups": tuple(asked["groups"])}
    run = om.audit(given, generator=generator(network), out=tmp_path / "run")
    assert run.complete
    assert asked == spec()
    assert network.training
    assert all(each.requires_grad for each in network.parameters())
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
    rows = run.table("inversion")
    assert set(rows["generator"]) == {"generator"}
    pd.testing.assert_frame_equal(
        run.summary, pd.read_parquet(tmp_path / "run" / "summary.parquet")
    )
    assert isinstance(run.report, Path)
    assert run.report.exists()
    assert run.failed.empty
    # Nothing of it is left behind in this process.
    with pytest.raises(SpecError, match="no file: go on with the same call"):
        om.audit(tmp_path / "run" / "audit.yaml", out=tmp_path / "run")


def test_rows_of_a_generator_that_changed_are_never_mixed(tmp_path: Path) -> None:
    first = om.audit(spec(), generator=generator(Plain()), out=tmp_path)
    known = ids(first)
    again = om.audit(spec(), generator=generator(Plain()), out=tmp_path)
    assert ids(again) == known
    changed = Plain()
    with torch.no_grad():
        # A weight that none of a few images need show.
        list(changed.parameters())[-1][0] += 1e-6
    other = om.audit(spec(), generator=generator(changed), out=tmp_path)
    seen = ids(other)
    assert not seen & known

    class Darker(Plain):
        def forward(self, latent: Tensor) -> Tensor:
            return 0.9 * super().forward(latent)

    # The same weights, and other code.
    darker = om.audit(spec(), generator=generator(Darker()), out=tmp_path)
    assert not ids(darker) & (seen | known)


class Doubled(torch.autograd.Function):
    """Twice its input, in reverse mode only."""

    @staticmethod
    def forward(_ctx: Any, values: Tensor) -> Tensor:
        return 2 * values

    @staticmethod
    def backward(_ctx: Any, gradient: Tensor) -> Tensor:
        return 2 * gradient


class ReverseOnly(Plain):
    def forward(self, latent: Tensor) -> Tensor:
        doubled: Tensor = Doubled.apply(0.5 * latent.flatten(1))
        return super().forward(doubled)


def test_a_network_without_a_jacobian_is_refused_where_a_stage_takes_it(tmp_path: Path) -> None:
    asked, network = spec(), generator(ReverseOnly())
    with pytest.raises(SpecError, match=r"taken by inversion, .*RuntimeError: .* a jvp and gen"):
        om.audit(asked, generator=network, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    asked["stages"]["inversion"]["polish"] = 0
    run = om.audit(asked, generator=network, out=tmp_path / "run")
    assert run.complete
    assert run.failed.empty


def test_several_functions_are_compared_under_their_names(tmp_path: Path) -> None:
    weights = torch.randn(4, 64, generator=torch.Generator().manual_seed(0))

    def made(scale: float) -> Any:
        return lambda latent: (scale * latent @ weights).sigmoid().view(-1, *SHAPE)

    found = {"soft": generator(made(0.5)), "hard": generator(made(1.0))}
    run = om.audit(spec(), generator=found, out=tmp_path)
    assert set(run.table("inversion")["generator"]) == {"soft", "hard"}


def test_what_is_no_generator_is_refused_before_any_work(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(GeneratorError, match="ModuleGenerator adds it"):
        om.audit(spec(), generator=Plain(), out=out)
    with pytest.raises(GeneratorError, match=r"called with latents \[8, 5\]"):
        om.generator(Plain(), latent_shape=5, native_range=(0, 1))
    with pytest.raises(GeneratorError, match="ascending"):
        om.generator(Plain(), latent_shape=4, native_range=(1, 0))
    with pytest.raises(GeneratorError, match="uniform with two"):
        om.generator(Plain(), latent_shape=4, native_range=(0, 1), prior="uniform")
    with pytest.raises(GeneratorError, match="give image_shape"):
        om.generator(nn.Linear(4, 64), latent_shape=4, native_range=(0, 1))
    asked: dict[str, Any] = {"latent_shape": 4, "native_range": (0, 1)}
    for strange, message in (
        ({"native_range": None}, "native_range is missing"),
        ({"native_range": (0, 1, 2)}, r"expected \(black, white\)"),
        ({"native_range": 1}, r"expected \(black, white\)"),
        ({"latent_shape": "4"}, "expected positive sizes"),
        ({"latent_shape": 4.0}, "expected positive sizes"),
        ({"image_shape": (8, 8)}, r"expected \(channels, height, width\)"),
        ({"num_classes": None}, "expected a whole number"),
        ({"prior_bounds": None}, "expected numbers"),
        ({"prior": ["normal"]}, "uniform with two"),
    ):
        with pytest.raises(GeneratorError, match=message):
            om.generator(Plain(), **{**asked, **strange})
    with pytest.raises(GeneratorError, match="cannot be called"):
        om.generator(7, **asked)  # type: ignore[arg-type]
    with pytest.raises(GeneratorError, match=r"channels come first.*permute\(0, 3, 1, 2\)"):
        om.generator(nn.Sequential(nn.Linear(4, 192), nn.Unflatten(1, (8, 8, 3))), **asked)
    with pytest.raises(GeneratorError, match=r"float tensor, not torch\.uint8"):
        om.generator(lambda latent: latent.byte().view(-1, 1, 2, 2), **asked)
    numpys: dict[str, Any] = {"latent_shape": np.int64(4), "native_range": np.array([0, 1])}
    assert om.generator(Plain(), **numpys).latent_dim == 4
    with_history = Plain()
    with_history.history = next(with_history.parameters()).mean()
    with pytest.raises(GeneratorError, match="cannot be copied"):
        om.generator(with_history, latent_shape=4, native_range=(0, 1))
    with_ray = {**spec(), "cluster": {"executor": "ray"}}
    with pytest.raises(SpecError, match="worker processes do not have"):
        om.audit(with_ray, generator=generator(Plain()), out=out)
    with pytest.raises(SpecError, match="did you mean 'groups'"):
        om.audit({**spec(), "group": []}, generator=generator(Plain()), out=out)
    with pytest.raises(SpecError, match="expected a dictionary"):
        om.audit(3, out=out)  # type: ignore[arg-type]
    assert not out.exists()


def test_a_file_in_another_thread_and_what_a_notebook_shows(tmp_path: Path) -> None:
    out, file = tmp_path / "run", tmp_path / "audit.yaml"
    shipped = [{"name": "digits", "source": "shipped:digits"}]
    file.write_text(yaml.safe_dump({**spec(), "generators": shipped}))
    found: list[om.Run] = []

    def work() -> None:
        settings = {"stages.inversion.learning_rate": 1e-5, "cluster.executor": "serial"}
        found.append(om.audit(file, out=out, settings=settings))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    (run,) = found
    assert run.complete
    with pytest.raises(SpecError, match="no rows of a table 'likelyhood'; it has images"):
        run.table("likelyhood")
    shown, text = run._repr_html_(), repr(run)
    for verdict in run.verdicts.itertuples():
        assert str(verdict.answer) in text
        assert escape(str(verdict.question)) in shown
    # A run that lacks a part is read as far as it is there.
    parts = sorted((out / "inversion").glob("part-*"))
    parts[0].unlink()
    rest = om.open(out)
    assert not rest.complete
    assert "not complete" in repr(rest)
    assert "Not complete" in rest._repr_html_()
    assert "inversion" not in rest.tables or len(rest.table("inversion"))
    with pytest.raises(SpecError, match="not a run directory"):
        om.open(tmp_path)


def test_images_without_classes_are_reported_beside_the_models_own_under_theirs(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for index, pixels in enumerate(load_digits().images[:4]):
        Image.fromarray((pixels * 15).astype("uint8")).save(folder / f"{index}.png")
    lean = {"restarts": 1, "bank": 8, "iterations": 2, "final_iterations": 1, "polish": 1}
    chains = {"transitions": 2, "chains": 1, "leapfrog_steps": 1}
    content = {
        "name": "unlabelled",
        "generators": [{"name": "digits", "source": "shipped:digits"}],
        "groups": [
            # What `offmanifold init` writes of a folder of images and a generator with classes.
            {
                "name": "train",
                "role": "train",
                "dataset": "folder",
                "path": str(folder),
                "conditions": "all",
            },
            {"name": "generated", "role": "generated", "count": 4},
            {"name": "simulated", "role": "simulated", "count": 4},
            {"name": "single_colour", "role": "outlier", "dataset": "single_colour", "count": 4},
        ],
        "stages": {
            "inversion": lean,
            "variance": {"estimator": "profile"},
            "likelihood": {**lean, **chains},
        },
        "cluster": {"executor": "serial"},
    }
    run = om.audit(content, out=tmp_path / "run")
    assert run.complete
    assert isinstance(run.report, Path)
    assert "Reconstruction" in run.report.read_text()


def test_calls_in_threads_come_one_after_the_other_each_with_its_own_object(
    tmp_path: Path,
) -> None:
    together = threading.Barrier(2)
    given = {seed: generator(Plain(seed)) for seed in (1, 2)}
    runs: dict[int, om.Run] = {}

    def work(seed: int) -> None:
        together.wait(60)
        # Both are called by one name.
        runs[seed] = om.audit(spec(), generator=given[seed], out=tmp_path / str(seed))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in given]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    columns = ["group", "image_id", "mse"]
    for seed, run in runs.items():
        alone = om.audit(spec(), generator=given[seed], out=tmp_path / f"{seed} alone")
        found, expected = (each.table("inversion")[columns] for each in (run, alone))
        pd.testing.assert_frame_equal(found, expected)
    assert len(runs) == 2


def test_a_run_in_a_bucket_is_read_as_one_on_disk(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.use(monkeypatch)
    out = f"s3://{BUCKET}/python-api"
    run = om.audit(spec(), generator=generator(Plain()), out=out)
    assert run.report == f"{out}/report.html"
    assert open_storage(out, BY_ENVIRONMENT).exists("summary.parquet")
    there = om.open(out)
    pd.testing.assert_frame_equal(there.summary, run.summary)
    assert len(there.table("inversion")) == 8


def test_markup_of_a_run_is_escaped() -> None:
    from offmanifold.jobs.api.markup import run_markup

    rows = pd.DataFrame(
        [["<g>", "<q>", "<a>", "against", "<b>"]],
        columns=["generator", "question", "answer", "speaks", "because"],
    )
    shown = run_markup("<l>", "<r>", rows, 3)
    assert not any(f"<{name}>" in shown for name in ("g", "q", "a", "l", "r"))
    assert "&lt;b&gt;" in shown
    assert "3 items failed" in shown


def test_the_names_at_the_root_are_few_and_import_nothing_heavy() -> None:
    assert om.__all__ == ["Run", "__version__", "audit", "generator", "open"]
    for name in om.__all__:
        assert name == "__version__" or getattr(om, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'adit'"):
        _ = om.adit
    program = (
        "import sys; import offmanifold; print(sorted({'torch', 'ray', 'pandas', 'numpy', "
        "'pydantic', 'pyarrow'} & set(sys.modules)), 'audit' in dir(offmanifold))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[] True"
