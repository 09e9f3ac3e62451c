"""A private cluster, and all that coursepack starts with it, listens on the loopback alone."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

PROGRAM = """
import ray, psutil  # Ray brings it along, findable once Ray is imported
from ray._private import services
from cluster.ray_private import start_private
before = services.resolve_ip_for_localhost
start_private(ray, num_cpus=1, object_store_memory=80_000_000, log_to_driver=False)
assert services.resolve_ip_for_localhost is before
ray.get(ray.remote(lambda: 1).remote())
me = psutil.Process()
found = {
    (process.name(), one.laddr.ip)
    for process in [me, *me.children(recursive=True)]
    for one in process.net_connections("inet")
    if one.status == "LISTEN"
}
print(len(found), {ip for _, ip in found})
"""


@pytest.mark.ray
@pytest.mark.xdist_group("ray")
def test_it_listens_on_the_loopback_alone() -> None:
    pytest.importorskip("ray", reason="needs the ray extra")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    count, _, addresses = done.stdout.strip().splitlines()[-1].partition(" ")
    assert int(count) >= 3, "no server was looked at"
    assert set(ast.literal_eval(addresses)) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
