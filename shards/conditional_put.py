"""Creating an object that must not exist yet, decided by the store itself (S3's If-None-Match: *).

pyarrow cannot ask for it, so boto3 does (the `s3` extra). Without it, or with a server that does
not know the condition, the caller is told so and has to make do.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from shards.object_store import CONNECT_TIMEOUT_S, REQUEST_TIMEOUT_S
from shards.storage_errors import storage_errors

_EXISTS = ("PreconditionFailed", "412")
_CONFLICT = ("ConditionalRequestConflict", "409")
_UNKNOWN = ("NotImplemented", "501", "MethodNotAllowed", "405")
_TRIES = 5


def put_if_absent(uri: str, data: bytes) -> bool | None:
    """True if this call created the object, False if there is one, None if S3 was not asked.

    Raises:
        StorageError: nothing can be written there.
    """
    if not uri.startswith("s3://"):
        return None
    client = _client(
        os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None
    )
    if client is None:
        return None
    from botocore.exceptions import BotoCoreError, ClientError

    place = urlsplit(uri)
    for _ in range(_TRIES):
        try:
            client.put_object(
                Bucket=place.netloc, Key=place.path.lstrip("/"), Body=data, IfNoneMatch="*"
            )
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in _EXISTS:
                return False
            if code in _CONFLICT:  # another write of it is going on: ask how that ended
                continue
            if code in _UNKNOWN:
                return None
            with storage_errors(uri, "write"):
                raise OSError(str(error)) from error
        except BotoCoreError as error:
            with storage_errors(uri, "write"):
                raise OSError(str(error)) from error
        else:
            return True
    return False


@lru_cache(maxsize=8)
def _client(endpoint: str | None) -> Any:
    """A client that is set up as every tool for S3 is, by environment and profile; None without."""
    try:
        import boto3
        from botocore.config import Config
    except ImportError:
        return None
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        config=Config(
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=REQUEST_TIMEOUT_S,
            retries={"max_attempts": 3, "mode": "standard"},
        ),
    )
