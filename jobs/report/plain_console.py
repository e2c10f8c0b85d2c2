"""What rich prints, with the texts in it shown and not obeyed."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.segment import Segment

from .plain_text import printable


class PlainConsole(Console):
    """A rich console that only rich's own codes steer, and no text in what it prints."""

    def render(self, renderable: Any, options: Any = None) -> Iterable[Segment]:
        """As rich's."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(printable(segment.text), segment.style)
