from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from shards.decode import DecodeLimits, decode, decode_picture, probe_size
from shards.errors import ImageError, UsageError
from tests.support import images

# Only a subprocess shows what a user sees: pytest drops filters that modules set on import.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL.TiffImagePlugin")

SIZES = ((1, 1), (7, 13), (8, 8), (16, 16), (17, 33), (64, 64), (120, 1), (1, 99), (75, 100))


def fails(data: bytes, **options: object) -> ImageError:
    with pytest.raises(ImageError) as caught:
        decode(data, **options)  # type: ignore[arg-type]
    return caught.value


def pixels_or_status(data: bytes, **options: object) -> np.ndarray | str:
    try:
        return decode(data, **options)  # type: ignore[arg-type]
    except ImageError as error:
        return error.status


# --- bit-equality with Pillow -------------------------------------------------------------------


@pytest.mark.parametrize("subsampling", ["444", "422", "420", "440", "411"])
@pytest.mark.parametrize("quality", [5, 50, 90, 100])
def test_jpeg_is_bit_equal_to_pillow(subsampling: str, quality: int) -> None:
    for height, width in SIZES:
        pixels = images.picture(height, width, seed=quality)
        data = images.jpeg(pixels, quality=quality, subsampling=subsampling)
        assert np.array_equal(decode(data), images.reference(data))
        assert np.array_equal(decode(data, channels=1), images.reference(data, "L"))


@pytest.mark.parametrize("subsampling", ["444", "422", "420"])
@pytest.mark.parametrize("quality", [10, 75, 98])
def test_progressive_jpeg_is_bit_equal_to_pillow(subsampling: str, quality: int) -> None:
    for height, width in SIZES:
        data = images.jpeg(
            images.picture(height, width),
            quality=quality,
            subsampling=subsampling,
            progressive=True,
        )
        assert np.array_equal(decode(data), images.reference(data))
        assert np.array_equal(decode(data, channels=1), images.reference(data, "L"))


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    quality=st.integers(1, 100),
    subsampling=st.sampled_from(["444", "422", "420", "440", "411"]),
    seed=st.integers(0, 9),
)
def test_any_jpeg_is_bit_equal_to_pillow(
    height: int, width: int, quality: int, subsampling: str, seed: int
) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    data = images.jpeg(noise, quality=quality, subsampling=subsampling)
    assert np.array_equal(decode(data), images.reference(data))


@pytest.mark.parametrize("kind", images.SOUND)
@pytest.mark.parametrize("wrap", [bytes, memoryview])
def test_every_kind_equals_pillows_convert(kind: str, wrap: type) -> None:
    data = images.SOUND[kind]()
    rgb, grey = decode(wrap(data)), decode(wrap(data), channels=1)
    assert (rgb.shape, rgb.dtype, grey.shape) == ((48, 64, 3), np.uint8, (48, 64))
    assert rgb.flags.c_contiguous
    assert grey.flags.c_contiguous
    assert np.array_equal(rgb, images.reference(data))
    assert np.array_equal(grey, images.reference(data, "L"))
    assert probe_size(wrap(data)) == (64, 48)


def _pool_images(folder: str) -> Iterator[tuple[str, bytes]]:
    root = os.environ.get("COURSEPACK_DATA")
    if not root:
        pytest.skip("COURSEPACK_DATA is unset: no real images to compare on")
    for path in sorted(Path(root, folder).glob("*.tar*"))[:2]:
        with tarfile.open(path) as tar:
            for count, member in enumerate(tar):
                if member.name.lower().endswith((".jpg", ".jpeg")):
                    stream = tar.extractfile(member)
                    assert stream is not None
                    yield member.name, stream.read()
                if count > 1000:
                    break


@pytest.mark.parametrize("folder", ["wild", "imagenet_sample"])
def test_real_images_are_bit_equal_to_pillow(folder: str) -> None:
    count = 0
    for name, data in _pool_images(folder):
        assert np.array_equal(decode(data, orientation="stored"), images.reference(data)), name
        count += 1
    assert count >= 200


# --- what pixels mean ---------------------------------------------------------------------------


@pytest.mark.parametrize("make", [images.png_grey16, images.tiff_grey16, images.ppm_grey16])
def test_16_bit_grey_is_scaled_not_clipped(make: object) -> None:
    data = make()  # type: ignore[operator]
    expected = (images.grey16_values() >> 8).astype(np.uint8)
    assert (expected.min(), expected.max()) == (0, 255)
    assert np.array_equal(decode(data, channels=1), expected)
    assert np.array_equal(decode(data), np.repeat(expected[:, :, None], 3, axis=2))


def test_16_bit_grey_and_16_bit_colour_of_one_ramp_agree() -> None:
    assert np.array_equal(decode(images.png_grey16()), decode(images.png_rgb16()))


def test_alpha_is_dropped_not_blended() -> None:
    assert np.array_equal(decode(images.png_rgba()), images.picture())


def test_animation_yields_its_first_frame() -> None:
    for kind in ("PNG", "WEBP"):
        assert np.array_equal(decode(images.animated(kind)), images.picture(seed=0))
    first = decode(images.animated("GIF")).astype(int)
    assert np.abs(first - images.picture(seed=0)).mean() < 40
    assert np.abs(first - images.picture(seed=2)).mean() > 60


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_exif_shows_the_scene_upright(orientation: int) -> None:
    scene = images.quadrants()
    for make in (images.png_turned, images.webp_turned, images.tiff_turned):
        assert np.array_equal(decode(make(orientation)), scene), make.__name__
    for big_endian in (False, True):
        shown = decode(images.exif_jpeg(orientation, big_endian=big_endian))
        assert shown.shape == scene.shape
        assert np.abs(shown.astype(int) - scene).max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_stored_leaves_pixels_as_they_lie(orientation: int) -> None:
    for make in (images.exif_jpeg, images.png_turned, images.webp_turned):
        data = make(orientation)
        assert np.array_equal(decode(data, orientation="stored"), images.reference(data))
    turned = decode(images.tiff_turned(orientation), orientation="stored")
    assert np.array_equal(turned, decode(images.png_turned(orientation), orientation="stored"))
    stored_size = turned.shape[1::-1]
    for make in (images.exif_jpeg, images.png_turned, images.webp_turned, images.tiff_turned):
        assert probe_size(make(orientation)) == stored_size


# --- fewer pixels -------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    least=st.tuples(st.integers(1, 150), st.integers(1, 150)),
    subsampling=st.sampled_from(["444", "422", "420"]),
    progressive=st.booleans(),
)
def test_any_jpeg_is_reduced_by_a_power_of_two_and_never_too_far(
    height: int, width: int, least: tuple[int, int], subsampling: str, progressive: bool
) -> None:
    data = images.jpeg(
        images.picture(height, width), subsampling=subsampling, progressive=progressive
    )
    found = decode_picture(data, least=least)
    reduction = max(
        [1, *(one for one in (2, 4, 8) if height >= one * least[0] and width >= one * least[1])]
    )
    assert found.pixels.shape == (-(-height // reduction), -(-width // reduction), 3)
    assert (found.height, found.width) == (height, width)
    if reduction == 1:
        assert found.frame is None
        assert np.array_equal(found.pixels, decode(data))


@pytest.mark.parametrize("reduction", [2, 4, 8])
def test_a_reduced_pixel_is_about_the_mean_of_those_it_stands_for(reduction: int) -> None:
    smooth = np.asarray(Image.fromarray(images.picture(12, 16)).resize((256, 192)))
    for pixels in (smooth, smooth[:, :, 1]):
        found = decode_picture(
            images.jpeg(pixels, subsampling="444"),
            least=(192 // reduction, 256 // reduction),
            channels=3 if pixels.ndim == 3 else 1,
        )
        means = pixels.reshape(192 // reduction, reduction, 256 // reduction, reduction, -1)
        assert found.frame is not None
        assert found.frame.box == (0, 0, 256 / reduction, 192 / reduction)
        error = found.pixels.reshape(means.shape[0], means.shape[2], -1) - means.mean(axis=(1, 3))
        assert np.abs(error).mean() < 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_enough_is_said_of_the_upright_image(orientation: int) -> None:
    data = images.exif_jpeg(orientation, images.quadrants(80, 240))
    found = decode_picture(data, least=(20, 60))
    assert (found.pixels.shape, found.height, found.width) == ((20, 60, 3), 80, 240)
    assert decode_picture(data, least=(21, 60)).pixels.shape == (40, 120, 3)
    assert np.abs(found.pixels.astype(int) - images.quadrants(20, 60)).mean() < 3
    stored = decode_picture(data, least=(20, 20), orientation="stored")
    assert stored.pixels.shape[:2] == ((20, 60) if orientation < 5 else (60, 20))


@pytest.mark.parametrize("kind", [kind for kind in images.SOUND if "jpeg" not in kind])
def test_every_other_kind_comes_whole(kind: str) -> None:
    data = images.SOUND[kind]()
    assert decode_picture(data, least=(1, 1)).frame is None
    assert np.array_equal(decode_picture(data, least=(1, 1)).pixels, decode(data))


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("kind", ["grey", "colour", "cmyk"])
def test_a_jpeg_cut_anywhere_is_undecodable(kind: str, progressive: bool) -> None:
    picture = images.picture(24, 24)
    if kind == "cmyk":
        data = images.cmyk_jpeg()
    else:
        data = images.jpeg(picture[:, :, 0] if kind == "grey" else picture, progressive=progressive)
    for end in range(0, len(data), 7 if kind == "cmyk" else 3):
        assert fails(data[:end]).status == "undecodable"
    assert fails(data[:-1]).status == "undecodable"


@pytest.mark.parametrize("make", [images.jpeg, images.cmyk_jpeg, images.grey_jpeg])
def test_a_jpeg_whose_rest_is_missing_is_undecodable_however_it_is_padded(make: object) -> None:
    data = make()  # type: ignore[operator]
    half = data[: len(data) // 2]
    for padding in (b"\xff\xd9", bytes(len(data) - len(half)), half[200:] + b"\xff\xd9"):
        error = fails(half + padding)
        assert error.status == "undecodable"
        assert "damaged JPEG" in str(error)


@pytest.mark.parametrize("kind", [kind for kind in images.SOUND if not kind.startswith("jpeg")])
def test_other_kinds_cut_in_half_are_undecodable(kind: str) -> None:
    data = images.SOUND[kind]()
    first_frame = len(data) // (6 if "animated" in kind else 2)
    assert fails(data[:first_frame]).status == "undecodable"
    assert fails(data[:20]).status == "undecodable"


def test_jpeg_with_bytes_behind_its_end_decodes() -> None:
    data = images.jpeg()
    assert np.array_equal(decode(data + b"more" * 50), decode(data))


def test_jpeg_with_stray_bytes_decodes_as_pillow_does() -> None:
    data = images.jpeg()
    for noisy in (data[:-2] + b"stray" + data[-2:], data[:20] + b"stray" + data[20:]):
        assert np.array_equal(decode(noisy), decode(data))


def test_rare_sampling_factors_decode_as_pillow_does() -> None:
    data = bytearray(images.jpeg(subsampling="444"))
    data[data.index(b"\xff\xc0") + 11] = 0x31  # luma three times as wide as chroma
    assert np.array_equal(decode(bytes(data)), images.reference(bytes(data)))


@pytest.mark.parametrize(
    ("data", "status", "message"),
    [
        (b"", "undecodable", "0 bytes"),
        (images.TEXT, "undecodable", "not an image"),
        (b"\0" * 1000, "undecodable", "not an image"),
        (b"\xff\xd8\xff", "undecodable", "ends inside its header"),
        (b"\0\0\0\x1cftypavif" + bytes(50), "unsupported", "AVIF"),
        (b"\0\0\0\x18ftypheic" + bytes(50), "unsupported", "HEIC"),
        (b"<?xml version='1.0'?><svg xmlns=''/>", "unsupported", "SVG"),
    ],
)
def test_what_is_no_image_says_so(data: bytes, status: str, message: str) -> None:
    error = fails(data)
    assert error.status == status
    assert message in str(error)
    with pytest.raises(ImageError):
        probe_size(data)


def test_kinds_without_a_meaning_in_8_bits_are_unsupported() -> None:
    assert fails(images.tiff_float()).status == "unsupported"
    twelve_bit = images.jpeg()
    frame = twelve_bit.index(b"\xff\xc0")
    twelve_bit = twelve_bit[: frame + 4] + b"\x0c" + twelve_bit[frame + 5 :]
    assert fails(twelve_bit).status == "unsupported"


@pytest.mark.parametrize(
    "data",
    [
        images.bomb_png(),
        images.claiming_size(images.jpeg(), 65_000, 65_000),
        images.claiming_size(images.jpeg(progressive=True), 10_000, 10_000),
        images.webp_claiming_size(16_000, 16_000),
    ],
    ids=["png", "jpeg", "progressive", "webp"],
)
def test_a_bomb_is_refused_by_its_header(data: bytes) -> None:
    error = fails(data)
    assert error.status == "too_large"
    assert "limit is 80000000" in str(error)


def test_a_bomb_costs_no_memory() -> None:
    program = (
        "import resource\n"
        "from shards.decode import decode\n"
        "from shards.errors import ImageError\n"
        "from tests.support import images\n"
        "decode(images.png())\n"
        "bombs = [images.bomb_png(), images.webp_claiming_size(16_000, 16_000)]\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for bomb in bombs:\n"
        "    try:\n"
        "        decode(bomb)\n"
        "    except ImageError as error:\n"
        "        assert error.status == 'too_large'\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 20_000  # KiB; the bomb's pixels would be 100 to 1,000 MB


def test_limits_can_be_moved() -> None:
    data = images.jpeg(images.picture(20, 30))
    assert decode(data, limits=DecodeLimits(max_pixels=600)).shape == (20, 30, 3)
    assert fails(data, limits=DecodeLimits(max_pixels=599)).status == "too_large"
    assert fails(data, limits=DecodeLimits(max_bytes=len(data) - 1)).status == "too_large"
    bomb = images.bomb_png()
    assert decode(bomb, channels=1, limits=DecodeLimits(max_pixels=10**8)).shape == (10**4, 10**4)


def test_a_jpeg_that_claims_another_size_than_it_holds_is_undecodable() -> None:
    assert fails(images.claiming_size(images.jpeg(), 480, 640)).status == "undecodable"
    assert fails(images.claiming_size(images.jpeg(), 0, 64)).status == "undecodable"


def test_a_jpeg_of_a_thousand_scans_is_refused() -> None:
    error = fails(images.many_scan_jpeg(1000))
    assert error.status == "unsupported"
    assert "scans" in str(error)


def test_threads_decode_the_same_pixels() -> None:
    encoded = [make() for make in images.SOUND.values()]
    alone = [decode(data) for data in encoded]
    with ThreadPoolExecutor(4) as pool:
        for together in pool.map(lambda _: [decode(data) for data in encoded], range(8)):
            assert all(map(np.array_equal, together, alone))


def test_wrong_channels_is_wrong_use() -> None:
    with pytest.raises(UsageError, match="channels is 4"):
        decode(images.jpeg(), channels=4)  # type: ignore[arg-type]


def test_no_warning_reaches_the_user() -> None:
    program = (
        "from shards.decode import DecodeLimits, decode\n"
        "from shards.errors import ImageError\n"
        "from tests.support import images\n"
        "decode(images.png_palette_transparent())\n"
        "decode(images.bomb_png(), channels=1, limits=DecodeLimits(max_pixels=10**9))\n"
        "apng = images.animated('PNG')\n"
        "at = apng.index(b'acTL')\n"
        "decode(apng[: at - 4] + images.png_chunk(b'acTL', bytes(8)) + apng[at + 16 :])\n"
        "tiff = images.tiff_turned(6)\n"
        "entry = tiff.index(bytes([0x12, 0x01, 3, 0]))\n"
        "decode(tiff[: entry + 4] + bytes([9, 0, 0, 0]) + tiff[entry + 8 :])\n"
        "entry = tiff.index(bytes([0x15, 0x01, 3, 0]))\n"  # samples per pixel
        "try:\n"
        "    decode(tiff[: entry + 8] + bytes([255, 255]) + tiff[entry + 10 :])\n"
        "except ImageError:\n"
        "    pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""


MUTATED = {
    **images.SOUND,
    "jpeg_exif": lambda: images.exif_jpeg(6),
    "png_exif": lambda: images.png_turned(6),
    "tiff_exif": lambda: images.tiff_turned(6),
    "png_grey16": images.png_grey16,
}
SEEDS = {kind: make() for kind, make in MUTATED.items()}


@settings(max_examples=600, deadline=None)
@given(
    kind=st.sampled_from(sorted(SEEDS)),
    changes=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=4)), max_size=8),
    is_early=st.booleans(),
    kept=st.one_of(st.just(1.0), st.floats(0, 1)),
    channels=st.sampled_from([1, 3]),
    orientation=st.sampled_from(["exif", "stored"]),
)
def test_mutated_bytes_give_pixels_or_an_image_error(
    kind: str, changes: list, is_early: bool, kept: float, channels: int, orientation: str
) -> None:
    data = bytearray(SEEDS[kind])
    reach = 200 if is_early else len(data) - 1  # headers are a small part of the bytes
    for place, patch in changes:
        at = int(place * reach)
        data[at : at + len(patch)] = patch
    data = data[: int(kept * len(data))]
    pixels = pixels_or_status(
        bytes(data),
        channels=channels,
        limits=DecodeLimits(max_pixels=1_000_000),
        orientation=orientation,
    )
    if isinstance(pixels, str):
        assert pixels in ("undecodable", "unsupported", "too_large")
    else:
        assert pixels.dtype == np.uint8
        assert pixels.ndim == (3 if channels == 3 else 2)
        assert 0 < pixels.shape[0] * pixels.shape[1] <= 1_000_000
    with contextlib.suppress(ImageError):
        width, height = probe_size(bytes(data))
        assert width >= 0 <= height


@settings(max_examples=200, deadline=None)
@given(
    start=st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0"]),
    noise=st.binary(max_size=400),
)
def test_noise_gives_pixels_or_an_image_error(start: bytes, noise: bytes) -> None:
    pixels = pixels_or_status(start + noise, limits=DecodeLimits(max_pixels=1_000_000))
    if isinstance(pixels, str):
        assert pixels in ("undecodable", "unsupported", "too_large")
