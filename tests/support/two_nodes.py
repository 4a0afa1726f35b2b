"""A Ray cluster of two nodes on this machine, in a process of its own: ``two_nodes.py [--cards N N] [CACHE CACHE]``.

Each node has the cache folder that is named for it, or both have that of the environment; its number as ``NODE``; and
so many GPUs, which are made up (`made_up_cards`). Prints the address; ``remove`` on standard input removes the second
node, end of file stops the cluster.
"""

import argparse
import os
import sys
from typing import Any

from ray.cluster_utils import Cluster

parser = argparse.ArgumentParser()
parser.add_argument("caches", nargs="*")
parser.add_argument("--cards", nargs=2, type=int, default=[0, 0])
said = parser.parse_args()
os.environ.pop("RAY_AUTH_MODE", None)  # Ray sets it in a process that has started it, from which this one may come
caches = [{"ALBENCH_CACHE": cache} for cache in said.caches] or [{}, {}]
nodes: list[dict[str, Any]] = [
    {"env_vars": {**cache, "NODE": str(node)}, "num_gpus": cards}
    for node, (cache, cards) in enumerate(zip(caches, said.cards, strict=True))
]
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, **nodes[0]})
second = cluster.add_node(num_cpus=2, **nodes[1])
cluster.wait_for_nodes()
print(cluster.address, flush=True)
for line in sys.stdin:
    if line.strip() == "remove":
        cluster.remove_node(second, allow_graceful=False)
        print("removed", flush=True)
cluster.shutdown()  # type: ignore[no-untyped-call] # Ray left it untyped
