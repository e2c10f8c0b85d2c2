"""The page of each family in the documentation: its spec is one that the program takes."""

import re
from pathlib import Path

import pytest
from offmanifold.core.generators.families.registry import family_names
from offmanifold.jobs.audits.specs import parse_spec

PAGES = Path(__file__).parents[2] / "docs" / "families"


@pytest.mark.parametrize("family", family_names())
def test_its_page_shows_a_spec_of_the_family(family: str, tmp_path: Path) -> None:
    page = (PAGES / f"{family}.md").read_text()
    (text,) = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    spec = parse_spec(text, tmp_path, (), f"{family}.md")
    assert [generator.family for generator in spec.generators] == [family]
    for heading in ("The file", "The spec", "Licence", "Traps"):
        assert f"\n## {heading}\n" in page
    assert f"({family}.md)" in (PAGES / "README.md").read_text()
