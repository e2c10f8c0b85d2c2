"""The page in a real browser: nothing fails, nothing is fetched, nothing is cut off."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from offmanifold.jobs.reduce.context import GroupInfo
from offmanifold.jobs.results.page import AuditReport, render_page

from .browser import Look, Visit, visit
from .conftest import report_of

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None,
        reason="needs a browser: no chromium on the path (apt-get install chromium)",
    ),
]
PHONE, DESK, PAPER = 390, 1280, 718
SCREEN = 844
# Screens of a report of nearly every audit, with all its parts opened.
OPENED = 16
LONG = "natural_patches_" * 6


@pytest.fixture(scope="module")
def page(standard_report: AuditReport, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render_page(standard_report))
    return path


def see(page: Path, profile: Path, look: Look) -> Visit:
    assert CHROMIUM is not None
    return visit(CHROMIUM, page, profile, look)


@pytest.mark.parametrize(
    "look",
    [
        Look(PHONE, unfold=True),
        Look(DESK, unfold=True, scheme="dark"),
        Look(DESK),
        Look(PAPER, "print", unfold=True),
    ],
    ids=["phone", "dark desk", "folded desk", "paper"],
)
def test_the_page_opens_whole_and_alone(
    page: Path, tmp_path: Path, standard_report: AuditReport, look: Look
) -> None:
    seen, width = see(page, tmp_path, look), look.width
    assert seen.back == ("rgb(20, 23, 27)" if look.scheme == "dark" else "rgb(255, 255, 255)")
    if width == DESK:
        assert seen.height < (OPENED if look.unfold else 2.5) * SCREEN
    assert seen.console == []
    assert [url for url in seen.requests if not url.startswith("data:")] == [page.as_uri()]
    figures = [figure for part in standard_report.reports[0].sections for figure in part.figures]
    assert sorted(image["alt"] for image in seen.images) == sorted(figure.alt for figure in figures)
    for image in seen.images:
        assert image["width"] > 0, image
        assert image["shown"] <= width
    # The page does not scroll sideways: wide tables do, in their own boxes, and fit on paper.
    assert seen.width == width
    assert seen.content == width
    assert seen.hiding == []
    assert "Which group does the generator find most likely?" in seen.text
    assert seen.pdf.startswith(b"%PDF")
    assert seen.pdf.count(b"/Type /Page\n") > 2


def test_the_script_sorts_filters_and_opens_what_a_link_leads_to(
    page: Path, tmp_path: Path
) -> None:
    ask = """
    (async () => {
      const part = document.getElementById("g1-typicality");
      location.hash = "#g1-typicality";
      await new Promise(done => setTimeout(done, 300));
      const table = part.querySelector("table");
      const cells = at => [...table.tBodies[0].rows].map(row => row.cells[at].textContent);
      const head = table.querySelector("th[data-column='2']");
      head.querySelector("button").click();
      const rising = cells(2), sorted = head.getAttribute("aria-sort");
      head.querySelector("button").click();
      const falling = cells(2);
      const field = table.querySelector("input");
      field.value = "train simulated";
      field.dispatchEvent(new Event("input"));
      const left = [...table.tBodies[0].rows].filter(row => !row.hidden).map(
        row => row.cells[0].textContent + " " + row.cells[1].textContent);
      return {open: part.open, others: document.getElementById("g1-density").open,
        rising, sorted, falling, left};
    })()
    """
    found = see(page, tmp_path, Look(DESK, ask=ask)).answer
    assert found["open"]
    assert not found["others"]
    assert found["sorted"] == "ascending"
    values = [
        float(text.split(" [")[0].replace("−", "-").replace(",", "")) for text in found["rising"]
    ]
    assert len(values) > 8
    assert values == sorted(values)
    assert found["falling"][0] == found["rising"][-1]
    assert found["left"] == ["train simulated"]


def test_long_names_do_not_widen_the_page(
    synthetic_run: Callable[..., Any], tmp_path: Path
) -> None:
    run = synthetic_run()
    for rows in run.rows.values():
        for row in rows:
            if row.get("group") == "natural_patches":
                row["group"] = LONG
    run.with_context(
        groups=[
            GroupInfo(LONG, group.role, group.conditions)
            if group.name == "natural_patches"
            else group
            for group in run.context.groups
        ]
    )
    path = tmp_path / "report.html"
    path.write_text(render_page(report_of(run.write(), spec_yaml=f"name: {LONG * 2}\n")))
    seen = see(path, tmp_path / "profile", Look(PHONE, unfold=True))
    assert LONG in seen.text
    assert seen.content == PHONE


def test_the_browser_tells_of_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "bad.html"
    path.write_text(
        '<meta name="viewport" content="width=device-width">'
        '<img src="http://127.0.0.1:9/x.png"><div style="width:900px">wide</div>'
        "<script>console.error('oops')</script>"
    )
    seen = see(path, tmp_path / "profile", Look(PHONE))
    assert any("oops" in message for message in seen.console)
    assert "http://127.0.0.1:9/x.png" in seen.requests
    assert seen.images[0]["width"] == 0
    assert seen.content >= 900
