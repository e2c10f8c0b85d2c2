"""A Ray cluster of several nodes on this machine, for the chaos tests.

Usage: chaos_nodes.py NODES. Prints the address, then obeys lines of its input: `replace N` ends
the Nth node as a lost machine ends, and adds another; the end of the input ends the cluster.
"""

import sys

from ray.cluster_utils import Cluster

# A node that is gone is noticed within 2 seconds, rather than a minute.
_SOON = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 1000,
    "health_check_failure_threshold": 4,
}


def main(count):
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "include_dashboard": False, "_system_config": _SOON},
    )
    nodes = [cluster.add_node(num_cpus=1) for _ in range(count)]
    print(cluster.address, flush=True)
    for line in sys.stdin:
        index = int(line.split()[1])
        cluster.remove_node(nodes.pop(index), allow_graceful=False)
        nodes.append(cluster.add_node(num_cpus=1))
        print("replaced", flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]))
