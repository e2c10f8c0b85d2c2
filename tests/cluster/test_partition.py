"""A link between nodes is cut in the middle of a run, and heals: nodes in network namespaces."""

import pytest

from ..networks import HERE, IMPATIENT, PORT, Nodes, hosts, may_make_hosts
from ..ray_head import head_with_dashboard, session_folder
from .test_chaos import Run, environment, own

__all__ = ["environment", "own"]

HOSTS = (2, 3)
# With both nodes a minute of work, which two cuts and two new nodes do not outlast.
SHARDS = 150


@pytest.mark.slow
@pytest.mark.skipif(not may_make_hosts(), reason="needs the right to make network namespaces")
def test_a_link_that_is_cut_and_healed_changes_no_row(tmp_path, environment, own):
    run = Run(tmp_path, environment, shards=SHARDS, seconds=0.2)
    environment |= IMPATIENT
    with (
        hosts(HOSTS),
        session_folder() as session,
        head_with_dashboard(environment, tmp_path, HERE, PORT, 0, session),
    ):
        address = f"{HERE}:{PORT}"
        nodes = Nodes(tmp_path, session, address, environment)
        try:
            for host in HOSTS:
                nodes.start(host)
            run.send_driver(address)
            run.wait_for_parts(2)
            for host in HOSTS:
                nodes.lose(host)
                run.faults["links cut"] += 1
                nodes.start(host)
                run.wait_for_parts(2)
            run.finish()
        finally:
            nodes.end()
    assert len(run.storage.list_names("stage")) == SHARDS
    run.check(own, tmp_path)
