"""Which version wrote a run: its name, and the revisions and schemas that it had."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...workers.command_lines import resuming
from ..spec.loading import SpecError
from .run_directory import PROVENANCE_FILE, RunDirectory


@dataclass(frozen=True)
class Versions:
    """A version of this package as its runs depend on it.

    ``version`` is the package's, ``package`` what people call it; ``revisions`` are the
    computations' by their names, ``schemas`` the tables'.
    """

    version: str
    package: str
    revisions: Mapping[str, int]
    schemas: Mapping[str, int]


class _Recorded(BaseModel):
    """What of a provenance file says it; older versions did not write all of it."""

    model_config = ConfigDict(strict=True, extra="ignore")

    offmanifold: str = Field("of unknown version", max_length=100)
    commit: str | None = Field(None, max_length=100)
    revisions: dict[str, int] = {}
    schema_versions: dict[str, int] = {}


def recorded_versions(run: RunDirectory) -> Versions:
    """What the last driver of a run wrote of itself.

    Raises:
        SpecError: no driver wrote such a file.
    """
    try:
        found = _Recorded.model_validate(run.read_json(PROVENANCE_FILE))
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        key = ".".join(str(step) for step in first["loc"]) or "content"
        raise SpecError(
            f"{run.storage.locate(PROVENANCE_FILE)}: {key}: {first['msg']}; "
            f"`{resuming(run.location)}` writes it again"
        ) from error
    commit = "" if found.commit is None else f" (commit {found.commit[:12]})"
    package = f"offmanifold {found.offmanifold}{commit}"
    return Versions(found.offmanifold, package, found.revisions, found.schema_versions)
