"""An audit as a job of a Ray cluster: what is checked here, what travels, what runs there."""

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ...cluster.job_client import Code, JobClient
from ...cluster.locations import is_remote
from ...workers.own_function import MODULES_VARIABLE
from ..audits.specs import gather_facts, load_spec
from ..plan.stage import AuditContext
from ..record.run_directory import PROVENANCE_FILE
from ..spec.audit import AuditSpec
from ..spec.loading import SpecError, dump_spec
from ..spec.paths import paths_in
from ..spec.stored import JOB_SPEC, NAME_KEY, RUN_KEY
from .jacobians import require_jacobians

_STAYS_HERE = (
    *(".git/", "__pycache__/", ".venv/", "venv/", ".mypy_cache/", ".ruff_cache/"),
    # Where keys are kept most often.
    *(".env", ".aws/", ".ssh/", ".netrc", "*.pem"),
)


def submitted_spec(source: str, overrides: Sequence[str]) -> AuditSpec:
    """The spec as the cluster will run it, checked as far as this machine can.

    Raises:
        SpecError: for a spec that cannot be run, or one that asks for no cluster.
    """
    spec = load_spec(source, (*overrides, "cluster.address=auto"))
    if spec.cluster.executor != "ray":
        raise SpecError(
            f"{source}: cluster.executor: {spec.cluster.executor} runs in one process, but a job "
            "needs a cluster: add --set cluster.executor=ray"
        )
    if not absent_paths(spec):
        require_jacobians(AuditContext(spec, gather_facts(spec)))
    return spec


def absent_paths(spec: AuditSpec) -> list[str]:
    """What the spec names on disks that this machine does not have; the cluster looks for them."""
    return [path for path in _local_paths(spec) if not Path(path).exists()]


def submit(client: JobClient, spec: AuditSpec, run: str, options: Sequence[str]) -> str:
    """Sends a checked spec to the cluster and starts its run there; the job's id.

    With it travel this package and the folder of the user's own modules, which workers
    search before any other.

    Args:
        client: The cluster.
        spec: From :func:`submitted_spec`.
        run: The run directory, as all nodes of the cluster find it.
        options: Further options of ``offmanifold run``.

    Raises:
        SpecError: when modules lie in several folders.
        ClusterError: when the cluster takes no job.
    """
    modules = _modules_folder(spec)
    with _staged(spec, modules) as (folder, package):
        code = Code(folder, _excludes(spec, modules, run), [package])
        # The shell of the head finds its Python, which need not be where ours is.
        command = ("python3", "-m", "offmanifold.jobs", "run", JOB_SPEC, "--out", run, *options)
        environment = {} if modules is None else {MODULES_VARIABLE: "."}
        return client.submit(command, code, environment, {RUN_KEY: run, NAME_KEY: spec.name})


def _modules_folder(spec: AuditSpec) -> Path | None:
    """The folder of the user's own modules, None where there are none."""
    folders = spec.import_paths
    if len(folders) > 1:
        raise SpecError(
            f"import_path: the spec's modules are in several folders ({', '.join(folders)}), "
            "but only one folder is sent with a job; put them into one, and name it as "
            "import_path"
        )
    return next((Path(folder) for folder in folders), None)


@contextmanager
def _staged(spec: AuditSpec, modules: Path | None) -> Iterator[tuple[Path, Path]]:
    """A folder with the spec beside the user's modules, and one that is this package alone."""
    with tempfile.TemporaryDirectory(prefix="offmanifold-") as scratch:
        folder, package = Path(scratch, "job"), Path(scratch, "offmanifold")
        folder.mkdir()
        for entry in [] if modules is None else modules.iterdir():
            (folder / entry.name).symlink_to(entry)
        (folder / JOB_SPEC).unlink(missing_ok=True)
        (folder / JOB_SPEC).write_text(dump_spec(spec), encoding="utf-8")
        copy_package(package)
        yield folder, package


def copy_package(target: Path) -> None:
    """Writes into ``target`` what a wheel of this package holds, wherever it is installed.

    A checkout has tests, documents and perhaps an environment beside the code.
    """
    root = Path(__file__).resolve().parents[2]
    target.mkdir()
    for entry in root.iterdir():
        if entry.is_dir() and (entry / "__init__.py").exists():
            ignored = shutil.ignore_patterns("__pycache__", "manifests")
            shutil.copytree(entry, target / entry.name, ignore=ignored)
        elif entry.name in ("__init__.py", "py.typed"):
            shutil.copy2(entry, target)


def _excludes(spec: AuditSpec, modules: Path | None, run: str) -> list[str]:
    """Patterns of what stays here: data that the spec names by path, and results of runs."""
    if modules is None:
        return []
    # A run lies beside the spec or under `runs`; deeper, there may be a million images.
    runs = [p.parent for depth in ("*", "*/*") for p in modules.glob(f"{depth}/{PROVENANCE_FILE}")]
    data = [Path(path) for path in (*_local_paths(spec), run) if path != str(modules)]
    inside = [path.relative_to(modules) for path in data + runs if path.is_relative_to(modules)]
    # What a pattern takes for more than itself is told to be itself.
    names = {re.sub(r"([\\*?\[])", r"\\\1", str(path)) for path in inside if path.parts}
    return [*_STAYS_HERE, *sorted(f"/{name}" for name in names)]


def _local_paths(spec: AuditSpec) -> list[str]:
    paths = {path for path, field in paths_in(spec) if not field.travels}
    return sorted(path for path in paths if not is_remote(path))
