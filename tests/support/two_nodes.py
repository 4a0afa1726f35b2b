"""A Ray cluster of two nodes on this machine, in a process of its own: ``two_nodes.py [CACHE CACHE]``.

Each node has the cache folder that is named for it, or both have that of the environment. Prints the address;
``remove`` on standard input removes the second node, end of file stops the cluster.
"""

import os
import sys
from typing import Any

from ray.cluster_utils import Cluster

os.environ.pop("RAY_AUTH_MODE", None)  # Ray sets it in a process that has started it, from which this one may come
settings: list[dict[str, Any]] = [{"env_vars": {"ALBENCH_CACHE": cache}} for cache in sys.argv[1:]] or [{}, {}]
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, **settings[0]})
second = cluster.add_node(num_cpus=2, **settings[1])
cluster.wait_for_nodes()
print(cluster.address, flush=True)
for line in sys.stdin:
    if line.strip() == "remove":
        cluster.remove_node(second, allow_graceful=False)
        print("removed", flush=True)
cluster.shutdown()  # type: ignore[no-untyped-call] # Ray left it untyped
