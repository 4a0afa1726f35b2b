"""A Ray cluster of two nodes on this machine, in a process of its own.

Prints the address; ``remove`` on standard input removes the second node, end of file stops the cluster.
"""

import sys

from ray.cluster_utils import Cluster

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
second = cluster.add_node(num_cpus=2)
cluster.wait_for_nodes()
print(cluster.address, flush=True)
for line in sys.stdin:
    if line.strip() == "remove":
        cluster.remove_node(second, allow_graceful=False)
        print("removed", flush=True)
cluster.shutdown()  # type: ignore[no-untyped-call] # Ray left it untyped
