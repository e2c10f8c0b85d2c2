"""Words for images of a generator that failed, where an answer rests on the others."""

from .view import View


def left_out_words(view: View, stage: str, group: str, what: str = "images") -> str:
    """How many of a group's items failed in a stage, as a sentence; empty where none did."""
    failed = view.find(f"failed_rows_{stage}", group)
    if failed is None or not failed.value:
        return ""
    return f" {failed.value:.0f} of {failed.n:,} {what} failed, and are not among these."
