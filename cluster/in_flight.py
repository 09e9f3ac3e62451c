"""What a driver's workers are at, for whoever looks at the run from elsewhere.

`run/in_flight.json` is rewritten every ten seconds or so while a run goes on, and removed at its
end. It is news, not truth: what is done, the ledger says.
"""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress

from cluster.outcomes import Standing
from cluster.provenance import now
from selector.tables.layout import RunLayout
from shards import atomic, storage
from shards.errors import StorageError


class InFlight:
    """The file of one driver.

    Args:
        epoch: Of its lock.
    """

    def __init__(self, layout: RunLayout, *, epoch: int) -> None:
        self._uri = storage.join(layout.root, "in_flight.json")
        self._epoch = epoch
        self._written = False

    def tell(self, standing: Standing, *, repeated: int, quarantined: int) -> None:
        """Write how things stand; storage that refuses is the run's to notice."""
        content = {
            "at": now(),
            "epoch": self._epoch,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "workers": standing.workers,
            "starting": standing.starting,
            "waiting": standing.waiting,
            "deaths": standing.deaths,
            "repeated": repeated,
            "quarantined": quarantined,
            "in_flight": [
                {
                    "worker": one.worker,
                    "part": one.task.name,
                    "seconds": round(one.seconds, 1),
                    "images": one.units,
                }
                for one in standing.in_hand
            ],
        }
        with suppress(StorageError):
            atomic.write_bytes(self._uri, json.dumps(content, indent=1).encode() + b"\n")
            self._written = True

    def close(self) -> None:
        """The run is over."""
        if self._written:
            with suppress(StorageError):
                storage.remove(self._uri)
