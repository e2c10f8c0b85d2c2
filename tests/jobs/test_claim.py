"""Of any number of drivers with different specs, a run directory belongs to one."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from offmanifold.cluster.local_storage import LocalStorage
from offmanifold.jobs.audits.specs import load_spec, spec_of
from offmanifold.jobs.record.other_drivers import announced
from offmanifold.jobs.record.run_directory import RunDirectory
from offmanifold.jobs.spec.audit import AuditSpec
from offmanifold.jobs.spec.loading import SpecError, spec_digest


def spec(folder: Path, seed: int) -> AuditSpec:
    content: dict[str, Any] = {
        "name": "claimed",
        "seed": seed,
        "generators": [{"name": "digits", "source": "shipped:digits"}],
        "groups": [
            {"name": "train", "role": "train", "dataset": "digits", "split": "train", "count": 6}
        ],
        "stages": {"inversion": {"iterations": 5, "restarts": 2, "bank": 16}},
    }
    file = folder / f"{seed}.yaml"
    file.write_text(yaml.safe_dump(content))
    return load_spec(str(file))


def claim(storage: LocalStorage, wanted: AuditSpec, *, changed: bool, barrier: Any = None) -> None:
    """As a driver does, which stays for a while after it has the run."""
    run = RunDirectory(storage)
    if barrier is not None:
        barrier.wait()
    with announced(storage, spec_digest(wanted)) as presence:
        run.claim(wanted, {"seed": wanted.seed}, allow_changed=changed, rivals=presence.rivals)
        time.sleep(0.3)


@pytest.mark.parametrize("changed", [False, True])
def test_one_of_many_who_claim_a_new_run_at_once_gets_it(tmp_path: Path, changed: bool) -> None:
    specs = [spec(tmp_path, seed) for seed in range(6)]
    storage = LocalStorage.create(tmp_path / "run")
    barrier = threading.Barrier(len(specs))

    def outcome(wanted: AuditSpec) -> str:
        try:
            claim(storage, wanted, changed=changed, barrier=barrier)
        except SpecError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(len(specs)) as pool:
        outcomes = list(pool.map(outcome, specs))
    (winner,) = [wanted for wanted, found in zip(specs, outcomes, strict=True) if not found]
    assert all(
        not found or "another driver is working" in found or "the run of another spec" in found
        for found in outcomes
    )
    run = RunDirectory(storage)
    assert spec_of(run).seed == winner.seed
    assert run.read_json("provenance.json") == {"seed": winner.seed}
    assert storage.list_names("_drivers") == []


def test_a_changed_spec_takes_nothing_from_a_driver_at_work(tmp_path: Path) -> None:
    storage = LocalStorage.create(tmp_path / "run")
    first, second = spec(tmp_path, 1), spec(tmp_path, 2)
    claim(storage, first, changed=False)
    with announced(storage, spec_digest(first)):
        with pytest.raises(SpecError, match=r"another driver is working on this run.*process \d+"):
            claim(storage, second, changed=True)
        claim(storage, first, changed=True)
    claim(storage, second, changed=True)
    assert spec_of(RunDirectory(storage)).seed == 2


def test_a_driver_that_was_killed_here_is_forgotten_at_once(tmp_path: Path) -> None:
    storage = LocalStorage.create(tmp_path / "run")
    first, second = spec(tmp_path, 1), spec(tmp_path, 2)
    claim(storage, first, changed=False)
    with announced(storage, spec_digest(first)):
        (name,) = storage.list_names("_drivers")
        left = json.loads(storage.read(f"_drivers/{name}"))
    # No process has that number.
    storage.write("_drivers/killed.json", json.dumps({**left, "pid": 2**22 + 1}).encode())
    claim(storage, second, changed=True)
    assert storage.list_names("_drivers") == []


def test_what_killed_a_claim_half_way_does_not_hinder_the_next(tmp_path: Path) -> None:
    storage = LocalStorage.create(tmp_path / "run")
    RunDirectory(storage).write_json("provenance.json", {"seed": 7})
    claim(storage, spec(tmp_path, 1), changed=False)
    assert RunDirectory(storage).read_json("provenance.json") == {"seed": 1}
