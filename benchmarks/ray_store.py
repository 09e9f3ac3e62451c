"""What went through a Ray cluster's object store, from Ray's own node statistics."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StoreUse:
    """Of all living nodes together, since they started.

    Attributes:
        spilled_bytes: Written to disk because the stores were full.
        created_bytes: Of all objects ever put there: no store can have held more at any time.
    """

    spilled_bytes: int
    created_bytes: int


def store_use(address: str) -> StoreUse:
    """Ask the cluster at `address` (host:port)."""
    from ray._private.internal_api import get_memory_info_reply, get_state_from_address

    stats = get_memory_info_reply(get_state_from_address(address)).store_stats
    return StoreUse(int(stats.spilled_bytes_total), int(stats.cumulative_created_bytes))
