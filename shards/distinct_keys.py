"""Keys of neighbours in a tar must differ: two samples of one key would be read as one."""

from __future__ import annotations


class DistinctKeys:
    """Numbers a key that comes several times in a row: a, a, a, b -> a, a-2, a-3, b."""

    def __init__(self) -> None:
        self._given: str | None = None
        self._written: str | None = None
        self._number = 1

    def next(self, key: str) -> str:
        """The key to write for the next sample."""
        self._number = self._number + 1 if key == self._given else 1
        self._given = key
        if self._number == 1 and key == self._written:  # a, a, a-2: the second became a-2, too
            self._number = 2
        self._written = key if self._number == 1 else f"{key}-{self._number}"
        return self._written
