"""The driver's own reads and writes: storage that fails for a moment does not end a run.

Workers' failures are tried again by the dispatcher; what the driver itself does (listings, markers,
table lists) is tried again here. Everything that is passed in can be done twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from shards.errors import StorageError

T = TypeVar("T")

PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Half a minute in all."""


def patiently(attempt: Callable[[], T]) -> T:
    """The result of `attempt`, which is called again while storage says that this may help.

    Raises:
        StorageError: what cannot be helped at once, or was no better after the last pause.
    """
    for pause_s in PAUSES_S:
        try:
            return attempt()
        except StorageError as error:
            if not error.retriable:
                raise
        time.sleep(pause_s)
    return attempt()
