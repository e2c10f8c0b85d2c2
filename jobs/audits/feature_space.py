"""Feature spaces by the names that a spec gives them: what audits that compare images share."""

from typing import Any

from ..plan.stage import AuditContext

ANNOTATOR = "annotator"
"""The space of what the trained annotator's last layer sees; others are named by `extractors`."""

MOST_FEATURES = 4096
"""Of an image in a space: beyond it comparing takes minutes and GiB."""


def extractor_settings(context: AuditContext, space: str) -> dict[str, Any]:
    """How a worker opens the network of a space, and by which hash it knows it."""
    return {
        "source": context.spec.extractors[space].opened_from.settings,
        "sha256": context.facts.extractors[space].sha256,
    }
