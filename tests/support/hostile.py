"""One image of every kind that a pool may hold and should not, and what becomes of its row."""

from __future__ import annotations

from tests.support import images
from tests.support.tars import tar_bytes

GOOD = images.jpeg()

HOSTILE: dict[str, tuple[bytes, str, str]] = {
    # name: (bytes, extension, status)
    "zero_bytes": (b"", "jpg", "undecodable"),
    "truncated_jpeg": (GOOD[: len(GOOD) // 2], "jpg", "undecodable"),
    "truncated_png": (images.png()[:1000], "png", "undecodable"),
    "text_called_jpg": (images.TEXT, "jpg", "undecodable"),
    "html_called_png": (b"<html><body>404</body></html>", "png", "undecodable"),
    "bomb_100_megapixels": (images.bomb_png(), "png", "too_large"),
    "jpeg_claiming_gigapixels": (images.claiming_size(GOOD, 65_000, 65_000), "jpg", "too_large"),
    "webp_claiming_gigapixels": (
        images.webp_claiming_size(16_000, 16_000),
        "webp",
        "too_large",
    ),
    "scans_without_end": (images.many_scan_jpeg(500), "jpg", "unsupported"),
    "float_tiff": (images.tiff_float(), "tif", "unsupported"),
    "cmyk": (images.cmyk_jpeg(), "jpg", "ok"),
    "grey": (images.grey_jpeg(), "jpg", "ok"),
    "palette": (images.png_palette(), "png", "ok"),
    "palette_transparent": (images.png_palette_transparent(), "png", "ok"),
    "grey_16_bit": (images.png_grey16(), "png", "ok"),
    "rgb_16_bit": (images.png_rgb16(), "png", "ok"),
    "animated_gif": (images.animated("GIF"), "gif", "ok"),
    "animated_webp": (images.animated("WEBP"), "webp", "ok"),
    "exif_rotated": (images.exif_jpeg(6), "jpg", "ok"),
    "one_pixel": (images.png(images.picture(1, 1)), "png", "ok"),
    "wrong_extension": (images.png(), "jpg", "ok"),
    "no_image_at_all": (b'{"a": 1}', "json", "no_image"),
    "a_tar_inside_a_tar": (tar_bytes([("x.jpg", GOOD)]), "tar", "no_image"),
}
"""Key -> (bytes, extension, status)."""

BAD = tuple(key for key, (_, _, status) in HOSTILE.items() if status != "ok")
"""Those that get no score."""
