"""The audits of copies and of the support: honest samples, copies among them, repeated ones."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from offmanifold.cluster.local_storage import LocalStorage
from offmanifold.core.culprits.copies import REPLAYS
from offmanifold.core.statistics.copies import NEAREST
from offmanifold.core.statistics.interval import Interval
from offmanifold.core.statistics.support import Pairs, collides_less, collides_more
from offmanifold.core.statistics.views import pixel_views
from offmanifold.jobs.audits import METRICS
from offmanifold.jobs.audits.copies.plan import plan
from offmanifold.jobs.audits.copies.questions import copies_training_images, nearer_to_training
from offmanifold.jobs.audits.copies.reduce import Asked, _seen_by_view, _shared
from offmanifold.jobs.audits.specs import gather_facts, load_spec
from offmanifold.jobs.audits.support.question import repeats_itself
from offmanifold.jobs.commands.cli import app
from offmanifold.jobs.plan.stage import PlanContext
from offmanifold.jobs.record.run_directory import RunDirectory
from offmanifold.jobs.reduce.context import GeneratorInfo
from offmanifold.jobs.reduce.emitter import Emitter
from offmanifold.jobs.reduce.schema import SummaryRow, summary_row, summary_table
from offmanifold.jobs.report.summary import Summary
from offmanifold.jobs.report.verdict import Verdict
from offmanifold.jobs.report.view import View
from offmanifold.jobs.spec.loading import SpecError
from offmanifold.workers.copies import compute
from offmanifold.workers.generated_images import shard_generated_images
from offmanifold.workers.resources import Resources
from scipy.spatial.distance import cdist
from sklearn.datasets import load_digits
from typer.testing import CliRunner

from tests.run_contexts import context_of

from .conftest import write_spec

COPIES, IMAGES, RARE = 24, 200, 0.1
# The columns of single images that depend on the training images, on neither shards nor blocks.
COMPARED = ["nearness", "nearest_index", "placebo_nearness", "own_distance", "pool_nearness"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits in files: training, held-out, and samples of generators that are known."""
    place = tmp_path_factory.mktemp("copies")
    images = (load_digits().images * 15).astype(np.uint8)
    images = images[np.random.default_rng(1).permutation(len(images))]
    training, held_out, honest = np.split(images[:1200], [700, 1000])
    copier = honest.copy()
    copier[::8][:COPIES] = training[:COPIES, :, ::-1]
    repeating = honest.copy()
    repeating[60:] = honest[np.arange(140) % 60]
    sets = {
        "training": training,
        "held_out": held_out,
        "honest": honest,
        "copier": copier,
        "repeating": repeating,
        "few": honest[:40],
    }
    for name, pixels in sets.items():
        np.savez(place / f"{name}.npz", pixels[..., None])
    return place


def npz(name: str) -> dict[str, Any]:
    return {"dataset": "npz", "path": f"{name}.npz", "split": None}


def spec_of(folder: Path, *names: str, copies: dict[str, Any], **stages: Any) -> Path:
    spec = {
        "name": "copies",
        "generators": [
            {"name": name, "samples": {"dataset": "npz", "path": f"{name}.npz"}} for name in names
        ],
        "groups": [{"name": "generated", "role": "generated", "count": 2}],
        "stages": {
            "copies": {**npz("training"), "held_out": npz("held_out"), "images": IMAGES, **copies},
            **stages,
        },
        "cluster": {"executor": "serial"},
    }
    return write_spec(folder, spec)


def run(spec: Path, out: Path) -> Path:
    done = CliRunner().invoke(app, ["run", str(spec), "--out", str(out)])
    assert done.exit_code == 0, done.output
    return out


@pytest.fixture(scope="module")
def whole(folder: Path) -> Path:
    names = ("honest", "copier", "repeating")
    support = {**npz("held_out"), "images": IMAGES}
    return run(spec_of(folder, *names, copies={}, support=support), folder / "whole")


def rows_of(place: Path, generator: str | None = None) -> pd.DataFrame:
    rows = pd.read_parquet(place / "copies")
    mine = rows.generator.isna() if generator is None else rows.generator == generator
    return rows[mine].sort_values(["group", "image_id"]).reset_index(drop=True)


def vectors(folder: Path, name: str) -> np.ndarray:
    images: np.ndarray = np.load(folder / f"{name}.npz")["arr_0"]
    return images.reshape(len(images), -1) / 255


def pick(place: Path, metric: str, generator: str, against: str) -> dict[str, Any]:
    """The one row of the summary for a generator's images."""
    summary = pd.read_parquet(place / "summary.parquet")
    keys = {
        "metric": metric,
        "generator": generator,
        "group": "generated",
        "against": against,
    }
    found = summary[(summary[list(keys)] == pd.Series(keys)).all(axis=1)]
    assert len(found) == 1
    return dict(found.iloc[0])


def test_distances_are_those_of_all_pairs(folder: Path, whole: Path) -> None:
    training, held = vectors(folder, "training"), vectors(folder, "held_out")
    rows = rows_of(whole)
    halves = rows[rows.group == "held-out"].set_index("index").half
    assert (halves == 0).sum() == (halves == 1).sum() == IMAGES // 2
    first, second = (held[halves[halves == half].index.to_numpy()] for half in (0, 1))
    made = rows_of(whole, "copier")
    queries = np.stack(made.pixels.dropna().to_list())
    shown = made[made.pixels.notna()]
    assert len(shown) == 10

    def nearness(references: np.ndarray) -> np.ndarray:
        ordered = np.sort(cdist(queries, references), axis=1)[:, :NEAREST]
        return np.asarray(ordered[:, 0] / ordered.mean(axis=1))

    pixels = np.stack(shown.nearness.to_list())[:, 0]
    np.testing.assert_allclose(pixels, nearness(training), rtol=1e-5)
    placebo = np.stack(shown.placebo_nearness.to_list())[:, 0]
    np.testing.assert_allclose(placebo, nearness(first), rtol=1e-5)
    pool = np.concatenate([training, first, second])
    np.testing.assert_allclose(shown.pool_nearness, nearness(pool), rtol=1e-5)
    among = cdist(training, training)
    np.fill_diagonal(among, np.inf)
    nearest = [each[0] for each in shown.nearest_index]
    np.testing.assert_allclose(shown.own_distance, among.min(axis=1)[nearest], rtol=1e-5)
    np.testing.assert_array_equal(
        shown.pool_place < len(training), cdist(queries, pool).argmin(axis=1) < len(training)
    )


def test_copies_are_found_and_honest_samples_are_not_convicted(whole: Path) -> None:
    share = pick(whole, "copies_share", "copier", "training")
    assert 0 < share["low"] <= COPIES / IMAGES <= share["high"]
    assert pick(whole, "copies_p", "copier", "training")["value"] < 1e-6
    for name, against in (("copier", "placebo"), ("honest", "placebo"), ("honest", "training")):
        assert pick(whole, "copies_p", name, against)["value"] > 0.05
    for kind in REPLAYS:
        assert pick(whole, "copies_seen", "honest", kind)["value"] >= 0.9
    # The copies themselves, in the view that shows them.
    made = rows_of(whole, "copier")
    views = [view.name for view in pixel_views()]
    values = np.stack(made.nearness.to_list())
    exact = values.min(axis=1) == 0
    assert exact.sum() == COPIES
    assert {views[view] for view in values[exact].argmin(axis=1)} == {"flip"}
    nearest = np.stack(made.nearest_index.to_list())[exact, views.index("flip")]
    assert sorted(nearest.tolist()) == list(range(COPIES))
    report = (whole / "report.html").read_text()
    assert "Does it copy training images?" in report


def test_planted_copies_are_seen_in_their_views(whole: Path) -> None:
    rows = rows_of(whole)
    held_out = np.stack(rows[rows.group == "held-out"].nearness.to_list())
    names = [view.name.split()[0] for view in pixel_views()]
    summary = pd.read_parquet(whole / "summary.parquet")
    summary = summary[summary.metric == "copies_seen_by_view"]
    keys = list(zip(summary.generator, summary.against, summary.condition, strict=True))
    of = dict(zip(keys, summary.value, strict=True))
    counted = dict(zip(keys, summary.n, strict=True))
    found = {(kind, view): of[name, kind, view] for name, kind, view in keys if name == "honest"}
    assert len(found) == (len(REPLAYS) + 1) * 6
    own = {"noisy": "pixels", "flipped": "flip", "shifted": "shift", "zoomed": "zoom"}
    for name, home in {**own, "darker": "brightness"}.items():
        kind = f"replay-{name}"
        planted = np.stack(rows[rows.image_id.str.startswith(kind)].nearness.to_list())
        for view in ("pixels", "brightness", "flip", "shift", "zoom", "all"):
            chosen = [view in (each, "all") for each in names]
            mine, others = (each[:, chosen].min(axis=1) for each in (planted, held_out))
            p_values = [(1 + np.sum(others <= value)) / (1 + len(others)) for value in mine]
            assert found[kind, view] == pytest.approx(np.mean(np.array(p_values) <= 0.01))
            assert counted["honest", kind, view] == len(planted)
        assert found[kind, home] >= 0.9
        assert found[kind, "all"] >= 0.8
    assert found["replay-flipped", "pixels"] < 0.5
    assert found["generated", "all"] <= 0.05
    assert of["copier", "generated", "flip"] >= COPIES / IMAGES
    assert "In which views planted copies are seen" in (whole / "report.html").read_text()


def test_too_few_held_out_images_say_nothing_of_single_views(whole: Path) -> None:
    rows = rows_of(whole)
    held_out = rows[rows.group == "held-out"]
    emit = Emitter(context_of([], []), {"generator": "copier", "group": "generated"})
    for count, expected in ((98, 0), (99, 6)):
        asked = Asked(rows_of(whole, "copier"), held_out[:count], rows[:0])
        assert len(list(_seen_by_view(emit, asked))) == expected


def test_repeated_images_are_found(whole: Path) -> None:
    assert pick(whole, "support_p_more", "repeating", "judged")["value"] < 1e-3
    for name in ("honest", "copier"):
        assert pick(whole, "support_p_more", name, "judged")["value"] > 0.05
    rows = pd.read_parquet(whole / "support")
    rows = rows[rows.group == "generated"].set_index("generator")
    repeated = vectors(whole.parent, "repeating")
    near = cdist(repeated, repeated)[np.triu_indices(IMAGES, 1)]
    row = rows.loc["repeating"]
    assert len(row["first"]) == np.sum(near <= row.threshold)
    assert np.sum(np.asarray(row.distance) == 0) == np.sum(near == 0)


def test_shards_and_blocks_change_nothing(folder: Path, whole: Path) -> None:
    spec = load_spec(str(spec_of(folder, "copier", copies={})))
    storage = LocalStorage.create(folder / "other")
    *_, shard = plan(PlanContext(spec, gather_facts(spec), RunDirectory(storage)))
    # Blocks of other sizes, and only some of the shard's images.
    found = compute(
        shard.items[5:25],
        {**shard.settings, "block_images": 300},
        Resources(storage, torch.device("cpu")),
    )
    theirs = rows_of(whole, "copier").iloc[5:25].reset_index(drop=True)
    for column in COMPARED:
        mine = pd.DataFrame(found)[column]
        pd.testing.assert_series_equal(mine, theirs[column], rtol=1e-12)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no held-out images": ({"held_out": None}, "held_out is missing: .* Add held_out"),
    "the same images": ({"held_out": npz("training")}, "the same images as stages.copies"),
    "few held-out images": ({"held_out": npz("few")}, "held_out.dataset: npz has 40 images"),
    "few training images": ({**npz("few")}, "stages.copies.dataset: npz has 40 images"),
    "few asked for": ({"images": 99}, "ask for at least 100"),
}


@pytest.mark.parametrize(("copies", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_judged_is_refused(
    folder: Path, copies: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        gather_facts(load_spec(str(spec_of(folder, "honest", copies=copies))))


def test_few_samples_are_asked_about_and_little_is_said(folder: Path) -> None:
    images = np.load(folder / "copier.npz")["arr_0"]
    np.savez(folder / "single.npz", images[:1])
    np.savez(folder / "three.npz", images[1:4])
    spec = spec_of(folder, "single", "three", copies={"images": 100})
    # A group of a single image, which a generator of one sample can give.
    spec.write_text(spec.read_text().replace("count: 2", "count: 1"))
    out = run(spec, folder / "few")
    for name, count in (("single", 1), ("three", 3)):
        found = pick(out, "copies_share", name, "training")
        assert (found["n"], found["high"] > 0.5) == (count, True)
    assert "cannot see fewer than" in (out / "report.html").read_text(encoding="utf-8")


def test_held_out_images_that_are_all_one_decide_nothing(folder: Path) -> None:
    """Their nearest is one image, so that the control could not speak up."""
    image = np.load(folder / "held_out.npz")["arr_0"][:1]
    np.savez(folder / "one.npz", np.repeat(image, 150, axis=0))
    spec = spec_of(folder, "honest", copies={"images": 100, "held_out": npz("one")})
    text = (run(spec, folder / "alike") / "report.html").read_text(encoding="utf-8")
    assert "none tells a copy from them: nothing is decided" in text
    assert "none speaks against it, none speaks for it and 2 are open" in text


@pytest.mark.parametrize(("labels", "share"), [((0, 1), RARE), ((0, 7), 0.0), (None, 0.5)])
def test_classes_are_asked_for_as_often_as_held_out_images_have_them(
    tmp_path: Path, labels: tuple[int, int] | None, share: float
) -> None:
    """In turn only where these have none; of classes that it is not asked for it makes none."""
    images = (load_digits().images * 15).astype(np.uint8)[..., None]
    np.savez(tmp_path / "training.npz", images[:700])
    rare = np.random.default_rng(0).random(400) < RARE
    of_each = () if labels is None else (np.array(labels)[rare.astype(int)],)
    np.savez(tmp_path / "held_out.npz", images[700:1100], *of_each)
    spec = spec_of(tmp_path, copies={"images": 1000})
    digits = {"name": "digits", "source": "shipped:digits", "conditions": [0, 1]}
    loaded = load_spec(
        str(write_spec(tmp_path, {**yaml.safe_load(spec.read_text()), "generators": [digits]}))
    )
    run_directory = RunDirectory(LocalStorage.create(tmp_path / "run"))
    *_, shard = plan(PlanContext(loaded, gather_facts(loaded), run_directory))
    resources = Resources(LocalStorage.create(tmp_path / "store"), torch.device("cpu"))
    made = shard_generated_images(shard.settings["generated"], resources)
    asked = made.labels([(item.condition, item.index or 0) for item in shard.items])
    # Four standard errors of as many draws.
    error = 4 * np.sqrt(RARE * (1 - RARE) / len(asked)) + abs(rare.mean() - RARE)
    assert abs(np.mean(np.array(asked) == 1) - share) < error


def test_few_real_images_have_no_support(folder: Path) -> None:
    spec = spec_of(folder, "honest", copies={}, support={**npz("few"), "images": 64})
    with pytest.raises(SpecError, match=r"stages.support.dataset: npz has 40 images"):
        gather_facts(load_spec(str(spec)))


def view_of(rows: list[SummaryRow]) -> View:
    generator = GeneratorInfo("small", 0, (1, 8, 8))
    summary = Summary(summary_table(rows, METRICS))
    return View(context_of([], [generator]), summary, generator)


def row(metric: str, value: float, high: float = np.nan, **keys: Any) -> SummaryRow:
    low = np.nan if np.isnan(high) else 0.0
    given = {"generator": "small", "group": "generated", **keys}
    return summary_row(metric, Interval(float(value), low, float(high), 1000), **given)


def verdicts(
    p_value: float,
    *,
    high: float = 0.05,
    placebo: float | None = 0.5,
    alike: float | None = 0.5,
    seen: float = 1.0,
    shared: float = 1.0,
) -> tuple[Verdict | None, Verdict | None]:
    rows = [row("nearer_p", p_value), row("copies_shared", 7), row("copies_shared_p", shared)]
    if alike is not None:
        rows.append(row("copies_p_alike", alike))
    rows += [row(f"nearer_{name}", 0.5) for name in ("share", "expected", "fewest")]
    for against, p in (("training", p_value), ("placebo", placebo)):
        if p is None:
            continue
        rows += [
            row("copies_share", 0.001, high, against=against),
            row("copies_p", p, against=against),
            *(
                row(f"copies_{name}", 0.01, against=against)
                for name in ("detectable", "found", "held_out")
            ),
        ]
    rows += [row("copies_seen", seen, 1, against=kind) for kind in REPLAYS]
    view = view_of(rows)
    return copies_training_images(view), nearer_to_training(view)


@pytest.mark.parametrize(
    ("given", "answers"),
    [
        ({"p_value": 0.001}, ("yes", "yes")),
        ({"p_value": 0.001, "placebo": 0.01}, ("undecided", "yes")),
        ({"p_value": 0.001, "alike": 0.01}, ("undecided", "undecided")),
        ({"p_value": 0.001, "alike": None}, ("undecided", "undecided")),
        ({"p_value": 0.001, "placebo": None}, ("undecided", "yes")),
        ({"p_value": 0.001, "shared": 0.01}, ("undecided", "undecided")),
        ({"p_value": 0.3, "high": 0.008, "shared": 0.01}, ("undecided", "undecided")),
        ({"p_value": 0.3}, ("undecided", "undecided")),
        ({"p_value": 0.3, "high": 0.008}, ("no", "undecided")),
        ({"p_value": 0.3, "high": 0.008, "seen": 0.5}, ("undecided", "undecided")),
    ],
)
def test_a_verdict_needs_silent_controls(given: dict[str, Any], answers: tuple[str, str]) -> None:
    found = verdicts(**given)
    assert tuple(None if each is None else each.answer for each in found) == answers
    if "shared" in given:
        for each in found:
            assert each is not None
            assert "7 of 1000 held-out images equal a training image" in each.findings[0].sentence
            assert "Name images that it was not trained on" in each.findings[0].sentence


@pytest.mark.parametrize(
    ("shared", "repeated", "decides"),
    [(0, 0, True), (3, 0, True), (100, 0, False), (150, 70, True)],
)
def test_held_out_images_that_are_training_images_are_counted(
    shared: int, repeated: int, decides: bool
) -> None:
    """Half of 200, unless the training images are equal to each other as often."""
    far = np.ones(200)
    held_out = pd.DataFrame(
        {"distance": [[x, 1.0] for x in np.where(np.arange(200) < shared, 0, far)]}
    )
    own = np.where(np.arange(100) < repeated, 0.0, 1.0)
    planted = pd.DataFrame(
        {"image_id": [f"replay-noisy-{i}" for i in range(100)], "own_distance": own}
    )
    emit = Emitter(context_of([], []), {"generator": "copier", "group": "generated"})
    found = {each.metric: each for each in _shared(emit, Asked(held_out, held_out, planted))}
    assert (found["copies_shared"].value, found["copies_shared"].n) == (shared, 200)
    assert (found["copies_shared_p"].value > 0.05) == decides


@pytest.mark.parametrize(
    ("more", "twice", "control", "answer"),
    [
        (0.01, 0.5, 0.5, "yes"),
        (0.01, 0.5, 0.01, "undecided"),
        (0.6, 0.01, 0.5, "no"),
        (0.6, 0.3, 0.5, "undecided"),
    ],
)
def test_repetition_needs_a_silent_control(
    more: float, twice: float, control: float, answer: str
) -> None:
    rows = [row("support_p_more", more), row("support_p_twice", twice)]
    rows.append(row("support_p_more", control, group="judged"))
    for group in ("generated", "judged"):
        rows += [row(f"support_{name}", 5, 9, group=group) for name in ("pairs", "size")]
    found = repeats_itself(view_of(rows))
    assert found is not None
    assert found.answer == answer


def test_samples_of_one_law_collide_as_often() -> None:
    """Of few common images: their collisions come in groups, and are not Poisson."""
    rng = np.random.default_rng(4)
    share = np.r_[np.full(10, 0.01), np.full(9000, 0.9 / 9000)]
    more, less = [], []
    for _ in range(200):
        first, second = (collisions(rng.choice(9010, 300, p=share)) for _ in range(2))
        more.append(collides_more(first, 300, second, 300))
        less.append(collides_less(first, 300, second, 300, 1.0))
    # Three standard errors above 5%, of 200 repeats.
    assert max(np.mean(np.array(each) <= 0.05) for each in (more, less)) < 0.097


def collisions(images: np.ndarray) -> Pairs:
    first, second = np.nonzero(np.triu(images[:, None] == images, 1))
    return Pairs(first, second, np.zeros(len(first)))
