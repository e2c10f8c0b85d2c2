"""The reference of the audits: how each is done, its stages, and what it writes into the summary.

``python -m tests.documents.audits_reference`` writes ``docs/audits.md``; a test holds it to the
code.
"""

from collections.abc import Iterator
from pathlib import Path

from offmanifold.jobs.audits import AUDITS
from offmanifold.jobs.audits.audit import Audit

FILE = Path(__file__).parents[2] / "docs" / "audits.md"
COMMAND = "python -m tests.documents.audits_reference"

_HEAD = """\
# The audits, and what they write into `summary.parquet`

In the order of the report. `better` is the direction that favours the generator. Every table
also has a metric `failed_rows_<stage>`: its rows with a `status` other than `ok`. How each interval
is made is in [intervals.md](intervals.md), the keys of each stage are in [spec.md](spec.md) and the
columns of each table in [tables.md](tables.md). [IP] is Friedman and Weiss, *Intriguing
Properties of Modern GANs*; [HU] is Friedman and Weiss, *How Useful is the Density Learned by GANs
for Computer Vision?*

This page is made from the code (`{command}`).
"""


def reference() -> str:
    """The whole page, as Markdown."""
    parts = [_HEAD.format(command=COMMAND), *("\n".join(_section(audit)) for audit in AUDITS)]
    return "\n\n".join(parts) + "\n"


def _section(audit: Audit) -> Iterator[str]:
    yield f"## {audit.title}\n"
    yield " ".join(audit.method)
    if audit.stages:
        yield "\n| stage | what it does |\n|---|---|"
        yield from (f"| `{stage.name}` | {stage.description} |" for stage in audit.stages)
    if audit.metrics:
        yield "\n| metric | meaning | unit | better |\n|---|---|---|---|"
        for name, metric in audit.metrics.items():
            better = "" if metric.direction == "none" else metric.direction
            meaning = metric.meaning.replace("|", "\\|")
            yield f"| `{name}` | {meaning} | {metric.unit} | {better} |"


if __name__ == "__main__":
    FILE.write_text(reference())
