"""A summary of a run in Markdown, for a model card."""

import re
from collections.abc import Iterator

from ..report.verdict import SIDES, Verdict, in_a_sentence
from ..report.words import BOUND
from .exported import ExportedGenerator, ExportedRun

_MARKUP = re.compile(r"([\\|<>*_`\[\]#])")


def model_card(run: ExportedRun) -> str:
    """The verdicts of each generator with their numbers, and what the numbers rest on."""
    return "\n".join(_lines(run)) + "\n"


def _lines(run: ExportedRun) -> Iterator[str]:
    yield "## Has it learned its data?"
    for each in run.generators:
        yield ""
        yield from generator_card(each)
    yield ""
    if any(row["metric"] == "log_likelihood_mean" for each in run.generators for row in each.rows):
        yield f"{BOUND[0].upper()}{BOUND[1:]}: the densities can be higher than stated."
        yield ""
    yield (
        f"Audit `{run.name}` by offmanifold {_text(run.version)}. Intervals are at 95%. ✓ speaks "
        "for the generator, ✗ against it, ? is not decided."
    )


def generator_card(generator: ExportedGenerator) -> Iterator[str]:
    """The lines of one generator: a heading, its verdict in a sentence, and a table of answers."""
    yield f"### {_text(generator.name)}"
    yield ""
    yield _text(in_a_sentence(generator.name, generator.verdicts))
    if generator.verdicts:
        yield ""
        yield "| question | answer | numbers |"
        yield "|---|---|---|"
        yield from (_row(verdict) for verdict in generator.verdicts)


def _row(verdict: Verdict) -> str:
    mark = SIDES[verdict.tone].mark
    why = " ".join(finding.sentence for finding in verdict.findings if finding.primary)
    return f"| {_text(verdict.question)} | {mark} {_text(verdict.headline)} | {_text(why)} |"


def _text(text: str) -> str:
    """One line that no Markdown changes."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))
