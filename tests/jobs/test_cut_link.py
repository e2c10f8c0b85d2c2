"""An audit submitted from one host to a cluster of others, whose links are cut and heal."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ..cluster.processes import wait_for
from ..networks import HERE, IMPATIENT, PORT, Nodes, cut, heal, hosts, may_make_hosts, on
from ..ray_head import clean_environment, head_with_dashboard, make_token, session_folder
from ..stored_runs import assert_the_same_rows
from .conftest import fill_audit_folder, small_spec, write_spec

USER, HOSTS = 2, (3, 4)
STAGES = ["images", "inversion"]
# 12 images each to train and to test, 6 generated and 4 outliers, under both classes.
ITEMS = 68


def minutes_of_work() -> dict[str, Any]:
    """An item a shard, each of a second or more."""
    spec = small_spec()
    spec["stages"] = {
        "inversion": {"iterations": 1500, "restarts": 2, "bank": 16, "shard_items": 1}
    }
    spec["groups"] = [group for group in spec["groups"] if group["role"] != "simulated"]
    spec["cluster"] = {"workers": 2}
    return spec


@pytest.mark.slow
@pytest.mark.skipif(not may_make_hosts(), reason="needs the right to make network namespaces")
def test_an_audit_submitted_over_a_link_outlasts_cut_links(tmp_path: Path) -> None:
    environment = clean_environment(tmp_path / "home") | IMPATIENT
    make_token(environment)
    folder = tmp_path / "audit"
    fill_audit_folder(folder)
    write_spec(folder, minutes_of_work())
    cli = str(Path(sys.executable).with_name("offmanifold"))

    def typed(*arguments: str, host: int | None = None) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*(on(host) if host else ()), cli, *arguments],
            env=environment,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def parts() -> int:
        return len(list((folder / "run" / "inversion").glob("part-*")))

    with (
        hosts((USER, *HOSTS)),
        session_folder() as session,
        head_with_dashboard(environment, tmp_path, HERE, PORT, 0, session) as dashboard,
    ):
        # `ray start` looks for a token by itself, `ray.init` only where it is told to.
        with_token = environment | {"RAY_AUTH_MODE": "token"}
        nodes = Nodes(tmp_path, session, f"{HERE}:{PORT}", with_token)
        try:
            for host in HOSTS:
                nodes.start(host)
            to = ("--address", dashboard)
            submitted = typed("submit", "audit.yaml", "--out", "run", "--detach", *to, host=USER)
            assert submitted.returncode == 0, submitted.stderr
            job = submitted.stdout.strip()
            wait_for(lambda: parts() >= 2, 120)
            nodes.lose(HOSTS[0])
            assert parts() < ITEMS
            nodes.start(HOSTS[0])
            # The user's own link, who is told so, and comes back.
            cut(USER)
            lost = typed("job", "status", job, *to, host=USER)
            assert lost.returncode == 7, lost.stdout + lost.stderr
            heal(USER)
            followed = typed("job", "logs", job, "--follow", *to, host=USER)
            assert followed.returncode == 0, followed.stdout + followed.stderr
            assert "its node was lost" in followed.stdout + followed.stderr
        finally:
            nodes.end()
    here = typed("run", "audit.yaml", "--out", "undisturbed", "--set", "cluster.executor=serial")
    assert here.returncode == 0, here.stderr
    same = ("", "")
    rows = assert_the_same_rows(folder / "run", folder / "undisturbed", STAGES, same)
    assert rows == ITEMS // 2 + ITEMS
