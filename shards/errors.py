"""Errors that reach a user: each says what was found, what was expected and what to do.

The exit code of the command line hangs on the type alone: 1 = failed, 2 = wrong use.
"""

from __future__ import annotations

from typing import Literal

ImageStatus = Literal[
    "ok", "no_image", "undecodable", "unsupported", "too_large", "read_error", "crashed"
]
"""What became of an image; `ok` rows carry scores, all others carry an error text."""


class CoursepackError(Exception):
    """Base of every error that is the user's business, not a bug."""

    exit_code = 1


class UsageError(CoursepackError):
    """Wrong use: an option, a config field, a recipe, a query, weights that do not fit."""

    exit_code = 2


class StorageError(CoursepackError):
    """A place that cannot be read or written.

    Attributes:
        retriable: True when trying again may help (time-out, throttling, lost connection);
            False when it cannot (missing, forbidden, disk full).
        disk_full: True when no later write can succeed either until space is freed.
    """

    def __init__(self, message: str, *, retriable: bool = False, disk_full: bool = False) -> None:
        super().__init__(message)
        self.retriable = retriable
        self.disk_full = disk_full

    def __reduce__(self) -> tuple[object, ...]:
        return _restore_storage_error, (str(self), self.retriable, self.disk_full)


class ShardError(CoursepackError):
    """A shard that is not a readable tar, or stops being one at some byte."""

    def __init__(self, message: str, *, shard: str) -> None:
        super().__init__(message)
        self.shard = shard

    def __reduce__(self) -> tuple[object, ...]:
        return _restore_shard_error, (str(self), self.shard)


class ImageError(CoursepackError):
    """One image that yields no pixels; it becomes a row with this status, never a crash."""

    def __init__(self, message: str, *, status: ImageStatus) -> None:
        super().__init__(message)
        self.status: ImageStatus = status

    def __reduce__(self) -> tuple[object, ...]:
        return _restore_image_error, (str(self), self.status)


# Errors cross process borders (local workers, Ray); keyword-only arguments need these.
def _restore_storage_error(message: str, retriable: bool, disk_full: bool) -> StorageError:
    return StorageError(message, retriable=retriable, disk_full=disk_full)


def _restore_shard_error(message: str, shard: str) -> ShardError:
    return ShardError(message, shard=shard)


def _restore_image_error(message: str, status: ImageStatus) -> ImageError:
    return ImageError(message, status=status)
