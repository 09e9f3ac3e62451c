"""A small Ray cluster on this machine whose parts can be killed, one by one, for real."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import tempfile
from pathlib import Path
from typing import Any

from tests.support.lethal import python_path


class DisturbedCluster:
    """A head without CPUs and `nodes` nodes of one CPU each, in processes of this machine.

    Args:
        faults: `rate:seed:prefix` for the storage of every worker, see `tests/support/disturbed`.
    """

    def __init__(self, *, nodes: int, faults: str) -> None:
        self._before = dict(os.environ)
        os.environ.pop("RAY_ADDRESS", None)
        os.environ |= {
            "RAY_DEDUP_LOGS": "0",
            "PYTHONPATH": python_path(),
            "DISTURBED_FAULTS": faults,
        }
        from ray.cluster_utils import Cluster

        self._cluster = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 0,
                "object_store_memory": 80_000_000,
                "include_dashboard": False,
                "temp_dir": tempfile.mkdtemp(prefix="chaos-", dir="/tmp"),
            },
        )
        self.workers = [self._add() for _ in range(nodes)]
        self._cluster.wait_for_nodes()
        self.environment = dict(os.environ)

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    def _add(self) -> Any:
        return self._cluster.add_node(num_cpus=1, object_store_memory=80_000_000, wait=False)

    def actors(self) -> list[int]:
        """Processes of the actors that are alive."""
        raylets = {
            entry.process.pid for node in self.workers for entry in node.all_processes["raylet"]
        }
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, ValueError):
                stat = (folder / "stat").read_text()
                parent = int(stat[stat.rindex(")") + 2 :].split()[1])
                title = (folder / "cmdline").read_bytes()
                if parent in raylets and title.startswith(b"ray::StageActor"):
                    found.append(int(folder.name))
        return found

    def kill_actor(self, chance: random.Random, *, how: signal.Signals = signal.SIGKILL) -> bool:
        """One actor, any; False if there is none."""
        actors = self.actors()
        if not actors:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(chance.choice(actors), how)
        return True

    def kill_node(self, chance: random.Random) -> None:
        """One whole node, and an empty one in its place."""
        node = self.workers.pop(chance.randrange(len(self.workers)))
        self._cluster.remove_node(node, allow_graceful=False)
        self.workers.append(self._add())

    def join_node(self) -> None:
        """One node more, of one CPU."""
        self.workers.append(self._add())

    def close(self) -> None:
        self._cluster.shutdown()
        os.environ.clear()
        os.environ.update(self._before)
