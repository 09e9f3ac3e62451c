from __future__ import annotations

import pytest

from shards.errors import ImageError
from shards.limits import DecodeLimits


@pytest.mark.parametrize(
    ("num_bytes", "status"), [(0, "undecodable"), (1, None), (100, None), (101, "too_large")]
)
def test_encoded_size(num_bytes: int, status: str | None) -> None:
    limits = DecodeLimits(max_bytes=100)
    if status is None:
        limits.check_encoded(num_bytes)
        return
    with pytest.raises(ImageError) as caught:
        limits.check_encoded(num_bytes)
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("width", "height", "status"),
    [(10, 10, None), (10, 11, "too_large"), (0, 5, "undecodable"), (5, 0, "undecodable")],
)
def test_pixels(width: int, height: int, status: str | None) -> None:
    limits = DecodeLimits(max_pixels=100)
    if status is None:
        limits.check_size(width, height)
        return
    with pytest.raises(ImageError) as caught:
        limits.check_size(width, height)
    assert caught.value.status == status
