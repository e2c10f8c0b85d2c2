"""A run as a notebook shows it."""

from html import escape

import pandas as pd

_COLOURS = {"for": "#1b7f3b", "against": "#b3261e", "undecided": "#8a6100"}


_WORDS = {"for": "(for the generator)", "against": "(against the generator)", "undecided": ""}


def run_markup(location: str, report: str, verdicts: pd.DataFrame | None, failed: int) -> str:
    """The verdicts of a run, and where its report is; every text of the run is escaped.

    Without ``verdicts`` the run is not complete. ``failed`` is how many of its items failed.
    """
    parts = [f"<p><b>{escape(location)}</b></p>"]
    if verdicts is None:
        parts.append("<p>Not complete: the same call, or command, goes on where it stopped.</p>")
    else:
        parts += [_table(str(generator), rows) for generator, rows in verdicts.groupby("generator")]
        parts.append(f"<p>Report: <code>{escape(report)}</code></p>")
    if failed:
        parts.append(f"<p>{failed:,} items failed: see <code>failed</code> of this run.</p>")
    return "".join(parts)


def _table(generator: str, verdicts: pd.DataFrame) -> str:
    rows = "".join(_row(*values) for values in zip(*map(verdicts.get, _SHOWN), strict=True))
    head = "".join(f"<th style='text-align:left'>{name}</th>" for name in ("", "answer", "why"))
    return (
        f"<table><caption style='text-align:left'>{escape(generator)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


_SHOWN = ("question", "answer", "speaks", "because")


def _row(question: str, answer: str, speaks: str, because: str) -> str:
    left = "text-align:left;vertical-align:top"
    return (
        f"<tr><td style='{left}'>{escape(question)}</td>"
        f"<td style='{left};color:{_COLOURS[speaks]}'><b>{escape(answer)}</b> "
        f"{_WORDS[speaks]}</td>"
        f"<td style='{left}'>{escape(because)}</td></tr>"
    )
