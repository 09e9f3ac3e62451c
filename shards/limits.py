"""How large an image may be: checked on what its header claims, before any pixel is decoded."""

from __future__ import annotations

from dataclasses import dataclass

from shards.errors import ImageError


@dataclass(frozen=True)
class DecodeLimits:
    """The most that one image may cost.

    Attributes:
        max_pixels: width times height of the decoded image. A few kilobytes can claim gigapixels.
        max_bytes: encoded size.
    """

    max_pixels: int = 80_000_000
    max_bytes: int = 268_435_456

    def check_encoded(self, num_bytes: int) -> None:
        """Raise `ImageError` for data that cannot or may not be looked at."""
        if num_bytes == 0:
            raise ImageError("empty image: 0 bytes", status="undecodable")
        if num_bytes > self.max_bytes:
            raise ImageError(
                f"{num_bytes} encoded bytes, the limit is {self.max_bytes}", status="too_large"
            )

    def check_size(self, width: int, height: int) -> None:
        """Raise `ImageError` for a header that claims no pixels, or too many."""
        if width < 1 or height < 1:
            raise ImageError(f"the header claims {width} x {height} pixels", status="undecodable")
        if width * height > self.max_pixels:
            raise ImageError(
                f"{width} x {height} = {width * height} pixels, the limit is {self.max_pixels}",
                status="too_large",
            )


DEFAULT_LIMITS = DecodeLimits()
