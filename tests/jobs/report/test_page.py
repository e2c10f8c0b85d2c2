"""The page, parsed: self-contained, complete, escaped, the same every time."""

import base64
import hashlib
import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from offmanifold.jobs.audits.inversion.pictures import picture_numbers, reconstruction_pictures
from offmanifold.jobs.reduce.context import GeneratorInfo, GroupInfo, ReduceContext
from offmanifold.jobs.reduce.groups import GroupValues
from offmanifold.jobs.report.pictures import quantile_positions
from offmanifold.jobs.report.summary import Summary
from offmanifold.jobs.report.table import Column, N, Table, numbers, twins_side_by_side
from offmanifold.jobs.report.verdict import SIDES, in_a_sentence
from offmanifold.jobs.report.words import BOUND
from offmanifold.jobs.results.export import export_tables
from offmanifold.jobs.results.page import AuditReport, render_page
from offmanifold.jobs.results.reduction import reduce_run
from offmanifold.jobs.results.terminal import terminal_summary
from PIL import Image
from rich.console import Console

from .conftest import CLASSES, WholeRun, headers, page_view, render, report_of, texts


class Page(HTMLParser):
    """What a browser would load, and the text it would show."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.images: list[dict[str, str]] = []
        self.identifiers: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        found = {key: value or "" for key, value in attrs}
        self.links += [
            found[key] for key in ("src", "href", "srcset", "action", "data") if key in found
        ]
        assert not [key for key in found if key.startswith("on")]
        if "id" in found:
            self.identifiers.append(found["id"])
        if tag == "img":
            self.images.append(found)

    def handle_data(self, data: str) -> None:
        self.text += data


def page_of(context: ReduceContext, **changes: Any) -> str:
    return render_page(report_of(context, **changes))


@pytest.fixture(scope="module")
def standard_page(standard_report: AuditReport) -> str:
    return render_page(standard_report)


def test_page_is_self_contained_and_complete(standard_page: str) -> None:
    html = standard_page
    page = Page(html)
    assert all(link.startswith(("data:", "#")) for link in page.links)
    assert "url(" not in html
    assert "@import" not in html
    # Two histograms, five mosaics, the ranking, AUCs, accuracies, a typical band of each reference,
    # the curve and two mosaics of restored images, the gap between the estimators, the changes on
    # doubling of each, the tuned step sizes; the patch model's dots, histograms and top images, two
    # mosaics of extremes, the local variation, the classes' matrix and dots.
    assert len(page.images) == 29
    assert all(len(image["alt"]) > 20 for image in page.images)
    targets = {link[1:] for link in page.links if link.startswith("#")}
    assert targets <= set(page.identifiers)
    assert len(page.identifiers) == len(set(page.identifiers))
    for question in (
        "manifold?",
        "most likely?",
        "outliers denser",
        "training set typical of",
        "classify as well",
    ):
        assert question in page.text
    assert "name: small-audit" in page.text
    assert "torch: " in page.text
    assert "Not settled." in page.text
    assert len(html) < 10_000_000


def test_the_top_of_the_page_answers_with_numbers_and_counts(
    standard_report: AuditReport, standard_page: str
) -> None:
    top = standard_page[: standard_page.index('<details class="part"')]
    answers = top.split('class="verdict short')[1:]
    assert len(answers) == len(standard_report.reports[0].verdicts) >= 6
    for answer in answers:
        content = Page(answer)
        assert content.links[0].startswith("#g1-")
        assert f'id="{content.links[0][1:]}"' in standard_page
        assert re.search(r"\d \[−?[\d.,]+,\xa0−?[\d.,]+\]", content.text)
        assert re.search(r"N = \d+", content.text)


def test_the_top_of_the_page_is_short_and_says_how_verdicts_are_decided(
    standard_page: str,
) -> None:
    top = standard_page[: standard_page.index('<details class="part"')]
    assert "two bounds on ln p" in top
    assert "share one error rate of 5% (Holm" in top
    assert "Every other interval is description" in top
    assert "does not say it of the model’s own samples" in top
    # The whole sentences stand in the sections.
    assert "through the same pipeline" not in top
    assert standard_page.count("through the same pipeline") == 1


def test_every_table_with_densities_says_that_they_are_lower_bounds(
    standard_report: AuditReport,
) -> None:
    (report,) = standard_report.reports
    found = set()
    for table in (table for section in report.sections for table in section.tables):
        words = " ".join([table.caption, *headers(table)])
        if re.search(r"ln p\b|log density|log likelihood|bits/dim|bits per dimension", words, re.I):
            assert BOUND in table.caption, table.key
            found.add(table.key)
    assert len(found) >= 10


def test_the_policy_allows_the_one_script_and_nothing_else(standard_page: str) -> None:
    (script,) = re.findall(r"<script>(.*?)</script>", standard_page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert (
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'\"" in standard_page
    )
    assert Page(standard_page).tags.count("script") == 1


def test_an_answer_is_told_by_a_mark_and_a_word_and_not_by_colour_alone(
    standard_report: AuditReport, standard_page: str
) -> None:
    verdicts = standard_report.reports[0].verdicts
    answers = standard_page.split('class="verdict short')[1 : len(verdicts) + 1]
    legend = Page(standard_page[standard_page.index('class="legend"') :]).text.split("\n")[0]
    assert len({verdict.tone for verdict in verdicts}) > 1
    for side in SIDES.values():
        assert f"{side.mark} {side.word} {side.meaning}" in legend
    for verdict, answer in zip(verdicts, answers, strict=True):
        side = SIDES[verdict.tone]
        assert f"{side.mark} {side.word}" in Page(answer).text.split(verdict.question)[0]


def test_the_sentence_under_the_title_counts_the_answers(
    standard_report: AuditReport, standard_page: str
) -> None:
    (report,) = standard_report.reports
    by_tone = {tone: [v for v in report.verdicts if v.tone == tone] for tone in SIDES}
    assert report.sentence.startswith(
        f"Of {len(report.verdicts)} answers about small, {len(by_tone['bad'])} speak against it (“"
    )
    for verdict in by_tone["bad"]:
        assert f"“{verdict.question}” {verdict.headline}" in report.sentence
    assert report.sentence.count(".") == 1
    title, sentence = Page(standard_page[standard_page.index("<h1>") :]).text.split("\n")[:2]
    assert title == "Has the generator learned its data?"
    assert sentence == report.sentence
    one, none = in_a_sentence("x", report.verdicts[:1]), in_a_sentence("x", [])
    assert one.startswith("Of one answer about x, 1 speaks against it (")
    assert one.endswith("none speaks for it and none is open.")
    assert none == "The stages of this audit answer none of the questions about x."


def test_every_section_is_folded_and_says_what_it_holds(
    standard_report: AuditReport, standard_page: str
) -> None:
    assert "<details open" not in standard_page
    for section in standard_report.reports[0].sections:
        start = standard_page.index(f'<details class="part" id="g1-{section.key}">')
        opening = standard_page[start:]
        summary = Page(opening[: opening.index("</summary>")]).text
        assert section.title in summary
        assert ("warning" in summary) == bool(section.warnings)


def test_figures_and_tables_hand_out_their_numbers(
    standard_report: AuditReport, standard_page: str
) -> None:
    links = re.findall(r'download="([^"]+)" href="([^"]+)" aria-label="([^"]+)"', standard_page)
    found = {name: base64.b64decode(uri.partition(",")[2]) for name, uri, _ in links}
    auc = pd.read_csv(io.BytesIO(found["small.outliers.auc.csv"]))
    assert {"likelihood", "likelihood, low", "likelihood, high"} <= set(auc.columns)
    sections = standard_report.reports[0].sections
    drawn = [figure for part in sections for figure in part.figures if not figure.pixelated]
    assert all(figure.data is not None and len(figure.data.rows) for figure in drawn)
    assert len(links) >= len(drawn) + sum(len(part.tables) for part in sections)
    density = next(figure for figure in drawn if figure.key == "density")
    assert density.data is not None
    counted: dict[str, int] = {}
    for group, _, _, images in density.data.rows:
        counted[str(group)] = counted.get(str(group), 0) + int(str(images))
    assert counted["train"] == 48


@pytest.mark.parametrize(
    ("scale", "unit"),
    [
        (0.02, "1000 MSE"),
        (2e-6, "10\N{SUPERSCRIPT SIX} MSE"),
        (2e-13, "10\N{SUPERSCRIPT NINE} MSE"),
        (0.0, "1000 MSE"),
    ],
)
def test_errors_under_pictures_are_short(scale: float, unit: str) -> None:
    """The generator's own images come back to a millionth, and there is room for five letters."""
    errors = scale * np.array([[0.5], [0.7], [1.0], [1.6]])
    ids, none = np.array(list("abcd")), np.zeros(4, int)
    group = GroupInfo("g", "train", "own")
    drawn = picture_numbers(
        GroupValues(group, ids, none, none, errors, False, none[:1]), np.arange(4)
    )
    titles = [column.title for column in drawn.columns]
    (header,) = (each for each in titles if each.endswith("MSE"))
    assert header == unit


def test_single_images_have_their_numbers(whole: WholeRun, standard_report: AuditReport) -> None:
    sections = {part.key: part for part in standard_report.reports[0].sections}
    train = next(each for each in sections["pictures"].figures if each.key == "train")
    assert train.data is not None
    shown = ["image", "class", "1000 MSE", "ln p at least", "likeliest class"]
    assert headers(train.data) == shown
    densities = {
        (row["image_id"], row["condition"]): row["log_likelihood"]
        for row in whole.rows["likelihood"]
    }
    for image_id, own, _, density, likeliest in train.data.rows:
        assert density == densities[image_id, own]
        assert densities[image_id, likeliest] == max(
            densities[image_id, each] for each in range(CLASSES)
        )


def test_twins_stand_side_by_side() -> None:
    tall = Table(
        "Twins",
        [Column("group"), Column("estimator"), numbers("ln p"), Column("possible"), N],
        [
            ["a", "guided", 1.0, "yes", 5],
            ["a", "classical", 2.0, "no", 5],
            ["b", "guided", 3.0, "yes", 6],
        ],
        key="twins",
    )
    wide = twins_side_by_side(tall, "estimator")
    assert wide is not None
    assert headers(wide) == [
        "group", "ln p, guided", "ln p, classical", "possible, guided", "possible, classical", "N",
    ]  # fmt: skip
    assert [list(row) for row in wide.rows] == [
        ["a", 1.0, 2.0, "yes", "no", 5],
        ["b", 3.0, None, "yes", None, 6],
    ]
    above, below = wide.header_rows
    assert [(head.text, head.columns, head.rows) for head in above] == [
        ("group", 1, 2), ("ln p", 2, 1), ("possible", 2, 1), ("N", 1, 2),
    ]  # fmt: skip
    assert [(head.text, head.index) for head in below] == [
        ("guided", 1), ("classical", 2), ("guided", 3), ("classical", 4),
    ]  # fmt: skip
    alone = Table(tall.caption, tall.columns, tall.rows[:1], key="twins")
    assert twins_side_by_side(alone, "estimator") is alone


def _luminance(colour: str) -> float:
    """WCAG 2: relative luminance."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_words_can_be_read_on_what_is_behind_them(standard_page: str, scheme: int) -> None:
    blocks = re.findall(r":root \{([^}]*)\}", standard_page)
    colours = dict(re.findall(r"--(\w+): (#\w{6});", blocks[scheme]))
    for ink in ("ink", "soft", "link", "good", "bad", "open"):
        for behind in ("paper", "wash", "caution"):
            low, high = sorted(_luminance(colours[name]) for name in (ink, behind))
            assert (high + 0.05) / (low + 0.05) >= 4.5, (ink, behind)


def test_outliers_are_tabled_against_the_data_and_the_models_own_samples(
    standard_report: AuditReport,
) -> None:
    tables = [table for part in standard_report.reports[0].sections for table in part.tables]
    auc = next(table for table in tables if table.key == "auc")
    assert "(simulated, null)" in auc.caption
    colours = {
        (row[1], row[2]): dict(zip(headers(auc), row, strict=True))
        for row in texts(auc)
        if row[0] == "single_colour"
    }
    data, simulated, null = (
        colours[against, "per class mean"] for against in ("test", "simulated", "null")
    )
    for row, method in (
        (data, "likelihood"),
        (data, "reconstruction, MSE"),
        (simulated, "likelihood"),
        (null, "reconstruction, MSE"),
    ):
        assert re.fullmatch(r"[\d.]+ \[[\d.]+,\xa0[\d.]+\]", row[method])
    assert simulated["reconstruction, MSE"] == null["likelihood"] == "–"
    # The null's images meet their own class alone.
    assert set(colours) == {
        *[(against, "per class mean") for against in ("test", "simulated", "null")],
        *[(against, "marginal / nearest class") for against in ("test", "simulated")],
    }


def test_every_figure_decodes(standard_page: str) -> None:
    page = Page(standard_page)
    kinds = []
    for image in page.images:
        kind, _, content = image["src"].partition(";base64,")
        raw = base64.b64decode(content, validate=True)
        kinds.append(kind)
        if kind == "data:image/png":
            Image.open(io.BytesIO(raw)).verify()
        else:
            references = [
                value
                for element in ET.fromstring(raw).iter()
                for key, value in element.attrib.items()
                if key.endswith("href")
            ]
            assert all(value.startswith("#") for value in references)
    assert sorted(set(kinds)) == ["data:image/png", "data:image/svg+xml"]


def test_the_same_run_gives_the_same_page(
    synthetic_run: Callable[..., Any], standard_page: str
) -> None:
    assert page_of(synthetic_run().write()) == standard_page


def test_hostile_text_is_escaped(synthetic_run: Callable[..., Any]) -> None:
    attack = '<script>alert("x")</script><img src=http://evil/ onerror=x>$\\frac'
    run = synthetic_run()
    for stage in run.rows:
        for row in run.rows[stage]:
            if row.get("group") == "natural_patches":
                row["group"] = attack
                row["image_id"] = row["image_id"] + attack
                if stage == "images":
                    row["source"] = attack
    failed = next(row for row in run.rows["likelihood"] if row["group"] == attack)
    failed |= {"status": "failed", "error": attack}
    for column in ("log_likelihood", "acceptance", "step_size", "effective_sample_size"):
        failed[column] = None
    run.with_context(
        groups=[
            GroupInfo(attack, g.role, g.conditions) if g.name == "natural_patches" else g
            for g in run.context.groups
        ]
    )
    html = page_of(run.write(), spec_yaml=f"name: '{attack}'\n", provenance={attack: [attack]})
    page = Page(html)
    assert page.tags.count("script") == 1
    assert all(link.startswith(("data:", "#")) for link in page.links)
    assert len(page.images) == 29
    assert page.text.count('<script>alert("x")</script>') > 5


def test_an_error_with_brackets_is_shown_whole(
    synthetic_run: Callable[..., Any], tmp_path: Path
) -> None:
    run = synthetic_run()
    run.rows = {stage: run.rows[stage] for stage in ("images", "inversion")}
    error = "IndexError: no image of shape [1, 8, 8] in [0, 1]"
    run.rows["inversion"][0] |= {"status": "failed", "error": error, "mse": None}
    report = report_of(run.write())
    assert f'<td class="words">{error}</td>' in render_page(report)
    export_tables(report, tmp_path)
    assert error in (tmp_path / "audit.failed.csv").read_text()
    assert pq.read_table(tmp_path / "audit.failed.parquet")["error"].to_pylist() == [error]


def test_pictures_show_the_chosen_latents(synthetic_run: Callable[..., Any]) -> None:
    context = synthetic_run().write()
    seen: list[tuple[int, ...]] = []

    def recording(generator: str, latents: np.ndarray, conditions: np.ndarray | None) -> np.ndarray:
        assert conditions is not None
        assert generator == "small"
        seen.append(latents.shape)
        assert conditions.dtype == np.int64
        return render(generator, latents, conditions)

    summary, generator = Summary(reduce_run(context)), context.generators[0]
    figures = reconstruction_pictures(page_view(context, summary, generator, recording))
    assert seen == [(8, 5)] * 5
    solid = figures[3]
    assert "single_colour" in solid.caption
    raw = base64.b64decode(solid.uri.partition(",")[2])
    pixels = np.asarray(Image.open(io.BytesIO(raw)))
    assert pixels.shape == (17, 8 * 9 - 1, 3)
    greys = pixels[12, 4::9, 0] / 255 * CLASSES
    np.testing.assert_allclose(greys, greys.round(), atol=0.02)
    originals = pixels[:8, :8, 0]
    assert (originals == originals[0, 0]).all()


def test_pictures_are_chosen_by_quantile() -> None:
    assert quantile_positions(3, 10).tolist() == [0, 1, 2]
    assert quantile_positions(100, 4).tolist() == [12, 37, 62, 87]


def test_the_section_on_estimators_needs_two(
    synthetic_run: Callable[..., Any], standard_page: str
) -> None:
    both = Page(standard_page).text
    assert "Does the estimator matter?" in both
    assert "use the guided one" in both
    assert "The classical estimates, which no verdict rests on, have not settled" in both
    run = synthetic_run()
    lead = ("images", "inversion", "variance", "tuning", "likelihood", "neighbours")
    run.rows = {stage: run.rows[stage] for stage in lead}
    alone = Page(page_of(run.write())).text
    assert "Does the estimator matter?" not in alone
    assert "classical" not in alone
    assert "Not settled." not in alone


def test_inversion_alone_makes_a_page(synthetic_run: Callable[..., Any]) -> None:
    run = synthetic_run()
    run.rows = {stage: run.rows[stage] for stage in ("images", "inversion")}
    page = Page(page_of(run.write()))
    assert "manifold?" in page.text
    assert "typical of the generator" not in page.text
    # The histogram, five mosaics, two of the worst, AUCs and accuracies.
    assert len(page.images) == 10


def test_two_generators_and_one_unconditional(
    synthetic_run: Callable[..., Any], part_writer: Callable[..., Path]
) -> None:
    run = synthetic_run()
    run.rows = {stage: run.rows[stage] for stage in ("images", "inversion")}
    context = run.write()
    rows = [
        {**row, "generator": "plain", "condition": None}
        for row in run.rows["inversion"]
        if row["condition"] == row["label"] and row["group"] in ("train", "test")
    ]
    part_writer(Path(context.tables.locate()), "inversion", rows, "plain")
    run.with_context(generators=[*context.generators, GeneratorInfo("plain", 0, (1, 8, 8))])
    page = Page(page_of(run.context))
    assert "small: the verdict" in page.text
    assert "plain: the verdict" in page.text
    assert len(page.identifiers) == len(set(page.identifiers))


def test_missing_pixels_are_loud(synthetic_run: Callable[..., Any]) -> None:
    run = synthetic_run()
    run.rows["images"] = [row for row in run.rows["images"] if row["group"] != "test"]
    with pytest.raises(ValueError, match="the images table has no pixels for it"):
        page_of(run.write())


def test_terminal_summary(synthetic_run: Callable[..., Any]) -> None:
    context = synthetic_run().write()
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(terminal_summary(context, reduce_run(context)))
    text = console.export_text()
    assert "Do the data lie on the generator's manifold? No" in text
    assert "Yes for single_colour" in text
    assert "1-NN in pixels" in text
    assert "natural_patches" in text
    assert max(len(line) for line in text.splitlines()) <= 100
