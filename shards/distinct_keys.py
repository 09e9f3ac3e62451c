"""Keys of neighbours in a tar must differ: two samples of one key would be read as one."""

from __future__ import annotations


class DistinctKeys:
    """Numbers a key that comes several times in a row: a, a, a, b -> a, a-2, a-3, b."""

    def __init__(self) -> None:
        self._previous: str | None = None
        self._repeats = 1

    def next(self, key: str) -> str:
        """The key to write for the next sample."""
        self._repeats = self._repeats + 1 if key == self._previous else 1
        self._previous = key
        return key if self._repeats == 1 else f"{key}-{self._repeats}"
