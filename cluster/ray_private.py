"""A Ray cluster of this process alone, that nobody beyond this machine can reach.

Left to itself `ray.init` makes its servers listen on every interface, and replaces a loopback
address that it is given by the machine's own. Given the loopback address as it is, all of them
listen there and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LOOPBACK = "127.0.0.1"


def start_private(ray: Any, **options: Any) -> None:
    """`ray.init` of a new cluster on this machine, on loopback addresses alone, no dashboard.

    Args:
        options: Further arguments of `ray.init`.
    """
    with _loopback_kept():
        ray.init(address="local", include_dashboard=False, _node_ip_address=LOOPBACK, **options)


@contextmanager
def _loopback_kept() -> Iterator[None]:
    """Ray leaves a loopback address as it is, within the block.

    A Ray without this function raises here: better no cluster than one that is open unnoticed.
    """
    from ray._private import services

    replaced = services.resolve_ip_for_localhost
    services.resolve_ip_for_localhost = lambda host: host
    try:
        yield
    finally:
        services.resolve_ip_for_localhost = replaced
