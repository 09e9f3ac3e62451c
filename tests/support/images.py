"""Real encoded images made in code: every kind a pool may hold, sound, odd and hostile.

Pixels are deterministic, smooth enough to be a picture and noisy enough that no codec is idle.
Sizes are (height, width) everywhere.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Callable

import numpy as np
import simplejpeg
from PIL import Image

from shards.orientation import as_stored


def picture(height: int = 48, width: int = 64, *, seed: int = 0) -> np.ndarray:
    """uint8 (H, W, 3)."""
    y, x = np.mgrid[0:height, 0:width]
    waves = np.stack(
        [
            128 + 100 * np.sin(x / 7 + y / 11 + seed),
            128 + 100 * np.cos(x / 5 - seed),
            3 * x + 2 * y,
        ],
        axis=-1,
    )
    noise = np.random.default_rng(seed).normal(0, 12, (height, width, 3))
    return (waves % 256 + noise).clip(0, 255).astype(np.uint8)


def quadrants(height: int = 40, width: int = 56) -> np.ndarray:
    """uint8 (H, W, 3) of four flat colours: each of the eight orientations looks different."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, width // 2 :] = (255, 0, 0)
    pixels[height // 2 :, : width // 2] = (0, 255, 0)
    pixels[height // 2 :, width // 2 :] = (0, 0, 255)
    return pixels


def save(image: Image.Image, kind: str, **options: object) -> bytes:
    """Encode by Pillow: kind is its format name, options are its encoder's."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def reference(data: bytes, mode: str = "RGB") -> np.ndarray:
    """What everybody else's loader sees: Pillow, opened and converted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it finds something to say about palettes
        return np.array(Image.open(io.BytesIO(data)).convert(mode))


# --- JPEG ---------------------------------------------------------------------------------------


def jpeg(
    pixels: np.ndarray | None = None,
    *,
    quality: int = 85,
    subsampling: str = "420",
    progressive: bool = False,
) -> bytes:
    """JPEG of RGB (H, W, 3) or grey (H, W); subsampling 444 422 420 440 411."""
    pixels = picture() if pixels is None else pixels
    if progressive:
        pillow_subsampling = {"444": 0, "422": 1, "420": 2}[subsampling]
        return save(
            Image.fromarray(pixels),
            "JPEG",
            quality=quality,
            subsampling=pillow_subsampling,
            progressive=True,
        )
    if pixels.ndim == 2:
        return simplejpeg.encode_jpeg(
            np.ascontiguousarray(pixels[:, :, None]), quality, "GRAY", "Gray"
        )
    return simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality, "RGB", subsampling)


def grey_jpeg() -> bytes:
    return jpeg(picture()[:, :, 0])


def rgb_jpeg() -> bytes:
    """A JPEG that stores R, G, B without a colour transform."""
    return save(Image.fromarray(picture()), "JPEG", keep_rgb=True, quality=90)


def cmyk_jpeg() -> bytes:
    return save(Image.fromarray(picture()).convert("CMYK"), "JPEG", quality=90)


def exif_block(orientation: int, *, big_endian: bool = False) -> bytes:
    """An Exif block of two entries, the second one the orientation."""
    order = ">" if big_endian else "<"
    maker = struct.pack(f"{order}HHI4s", 0x010F, 2, 4, b"cam\0")
    turned = struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0)
    directory = struct.pack(f"{order}H", 2) + maker + turned + struct.pack(f"{order}I", 0)
    start = b"MM" if big_endian else b"II"
    return b"Exif\0\0" + start + struct.pack(f"{order}HI", 42, 8) + directory


def with_segment(data: bytes, marker: int, payload: bytes) -> bytes:
    """A JPEG with one more segment right behind its start."""
    return data[:2] + struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload + data[2:]


def exif_jpeg(
    orientation: int, pixels: np.ndarray | None = None, *, big_endian: bool = False
) -> bytes:
    """A JPEG that shows `pixels` when turned as its orientation 1..8 says."""
    upright = quadrants() if pixels is None else pixels
    stored = jpeg(as_stored(upright, orientation), subsampling="444", quality=100)
    return with_segment(stored, 0xE1, exif_block(orientation, big_endian=big_endian))


def claiming_size(data: bytes, height: int, width: int) -> bytes:
    """A JPEG whose frame header is changed to claim another size."""
    at = next(data.index(bytes([0xFF, sof])) for sof in (0xC0, 0xC2) if bytes([0xFF, sof]) in data)
    return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]


def many_scan_jpeg(scans: int) -> bytes:
    """A progressive JPEG whose first scan header is repeated: each one costs a pass."""
    data = jpeg(progressive=True)
    at = data.index(b"\xff\xda")
    length = 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return data[:at] + data[at : at + length] * scans + data[at:]


# --- PNG, by hand where Pillow cannot write the kind ----------------------------------------------


def png_chunk(name: bytes, payload: bytes) -> bytes:
    return (
        struct.pack(">I", len(payload))
        + name
        + payload
        + struct.pack(">I", zlib.crc32(name + payload))
    )


def raw_png(height: int, width: int, *, depth: int, colour: int, rows: bytes) -> bytes:
    """A PNG from unfiltered rows (without filter bytes) of this bit depth and colour type."""
    stride = len(rows) // height
    packer = zlib.compressobj(6)
    body = b"".join(
        packer.compress(b"\0" + rows[row * stride : (row + 1) * stride]) for row in range(height)
    )
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", body + packer.flush())
        + png_chunk(b"IEND", b"")
    )


def png(pixels: np.ndarray | None = None) -> bytes:
    """8-bit PNG of (H, W) grey, (H, W, 2) LA, (H, W, 3) RGB or (H, W, 4) RGBA."""
    return save(Image.fromarray(picture() if pixels is None else pixels), "PNG")


def grey16_values(height: int = 48, width: int = 64) -> np.ndarray:
    """uint16 (H, W) over the whole range 0..65535."""
    return np.linspace(0, 65535, height * width).astype(np.uint16).reshape(height, width)


def png_grey16() -> bytes:
    values = grey16_values()
    return raw_png(*values.shape, depth=16, colour=0, rows=values.astype(">u2").tobytes())


def png_rgb16() -> bytes:
    """The same ramp as `png_grey16` in all three colours."""
    values = np.repeat(grey16_values()[:, :, None], 3, axis=2)
    return raw_png(*values.shape[:2], depth=16, colour=2, rows=values.astype(">u2").tobytes())


def png_rgba() -> bytes:
    """Colours under full transparency differ from those above it."""
    alpha = np.zeros((48, 64, 1), np.uint8)
    alpha[:, 32:] = 255
    return png(np.concatenate([picture(), alpha], axis=2))


def png_grey_alpha() -> bytes:
    return save(Image.fromarray(picture()).convert("LA"), "PNG")


def png_palette() -> bytes:
    return save(Image.fromarray(picture()).quantize(32), "PNG")


def png_palette_transparent() -> bytes:
    """A palette in which every entry has its own alpha: Pillow warns about it on conversion."""
    return save(Image.fromarray(picture()).quantize(32), "PNG", transparency=bytes(range(32)))


def png_one_bit() -> bytes:
    return save(Image.fromarray(picture()).convert("1"), "PNG")


def png_turned(orientation: int) -> bytes:
    stored = Image.fromarray(as_stored(quadrants(), orientation))
    return save(stored, "PNG", exif=exif_block(orientation))


def bomb_png(height: int = 10_000, width: int = 10_000) -> bytes:
    """100 megapixels of one bit in about 12 KB."""
    return raw_png(height, width, depth=1, colour=0, rows=bytes((width + 7) // 8 * height))


# --- the others ---------------------------------------------------------------------------------


def _frames() -> list[Image.Image]:
    return [Image.fromarray(picture(seed=seed)) for seed in range(3)]


def animated(kind: str) -> bytes:
    """Three different frames: kind is GIF, WEBP or PNG."""
    first, *rest = _frames()
    options: dict[str, object] = {"lossless": True} if kind == "WEBP" else {}
    return save(first, kind, save_all=True, append_images=rest, duration=50, **options)


def webp(pixels: np.ndarray | None = None, *, lossless: bool = True) -> bytes:
    pixels = picture() if pixels is None else pixels
    return save(Image.fromarray(pixels), "WEBP", lossless=lossless, exact=True)


def webp_turned(orientation: int) -> bytes:
    stored = Image.fromarray(as_stored(quadrants(), orientation))
    return save(stored, "WEBP", lossless=True, exif=exif_block(orientation))


def webp_claiming_size(height: int, width: int) -> bytes:
    """A WebP whose canvas header claims another size."""
    data = bytearray(animated("WEBP"))
    data[24:27] = (width - 1).to_bytes(3, "little")
    data[27:30] = (height - 1).to_bytes(3, "little")
    return bytes(data)


def gif() -> bytes:
    return save(Image.fromarray(picture()), "GIF")


def bmp() -> bytes:
    return save(Image.fromarray(picture()), "BMP")


def ppm() -> bytes:
    return save(Image.fromarray(picture()), "PPM")


def ppm_grey16() -> bytes:
    values = grey16_values()
    height, width = values.shape
    return f"P5 {width} {height} 65535\n".encode() + values.astype(">u2").tobytes()


def tiff(pixels: np.ndarray | None = None, *, compression: str | None = None) -> bytes:
    pixels = picture() if pixels is None else pixels
    return save(Image.fromarray(pixels), "TIFF", compression=compression)


def tiff_grey16() -> bytes:
    return save(Image.fromarray(grey16_values()), "TIFF")


def tiff_float() -> bytes:
    return save(Image.fromarray(picture()[:, :, 0].astype(np.float32)), "TIFF")


def tiff_turned(orientation: int) -> bytes:
    stored = Image.fromarray(as_stored(quadrants(), orientation))
    return save(stored, "TIFF", tiffinfo={0x0112: orientation})


TEXT = b"This is not an image, whatever its name says.\n"

SOUND: dict[str, Callable[[], bytes]] = {
    "jpeg": jpeg,
    "jpeg_progressive": lambda: jpeg(progressive=True),
    "jpeg_grey": grey_jpeg,
    "jpeg_rgb": rgb_jpeg,
    "jpeg_cmyk": cmyk_jpeg,
    "png": png,
    "png_rgb16": png_rgb16,
    "png_rgba": png_rgba,
    "png_grey_alpha": png_grey_alpha,
    "png_palette": png_palette,
    "png_palette_transparent": png_palette_transparent,
    "png_one_bit": png_one_bit,
    "png_animated": lambda: animated("PNG"),
    "webp": webp,
    "webp_lossy": lambda: webp(lossless=False),
    "webp_animated": lambda: animated("WEBP"),
    "gif": gif,
    "gif_animated": lambda: animated("GIF"),
    "bmp": bmp,
    "ppm": ppm,
    "tiff": tiff,
    "tiff_lzw": lambda: tiff(compression="tiff_lzw"),
}
"""Images of 48 x 64 pixels that Pillow's `convert` shows as they are meant (so no 16-bit grey)."""
