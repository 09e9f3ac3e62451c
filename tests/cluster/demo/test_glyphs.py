"""glyphs: deterministic, about a tenth digits, and as much ink as the handwriting they resemble."""

from __future__ import annotations

import sys
import time
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from cluster.demo import glyphs
from cluster.demo.glyphs import (
    ASCII_FACES,
    DIGITS,
    UNICODE_FACES,
    Distortion,
    alphabets,
    render_glyph,
    render_glyphs,
)
from shards.errors import UsageError

pytest.importorskip("matplotlib", reason="the extra demo is not installed")

Drawn = tuple[npt.NDArray[np.uint8], list[str]]
STILL = Distortion(
    stroke=0.0, rotation_deg=0.0, shear=0.0, scale=1.0, aspect=1.0, shift_x=0.0, shift_y=0.0,
    blur=0.3, wobble=np.zeros((5, 5, 2)),
)  # fmt: skip


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    return render_glyphs(3000, seed=0)


def sans() -> str:
    return next(a.path for a in alphabets() if a.face == "DejaVuSans")


def centre(image: npt.NDArray[np.uint8]) -> tuple[float, float]:
    """Centre of mass, x and y in pixels."""
    rows, columns = np.indices(image.shape)
    ink = image.astype(float)
    return float((columns * ink).sum() / ink.sum()), float((rows * ink).sum() / ink.sum())


def test_images_are_white_on_black_and_none_is_empty(drawn: Drawn) -> None:
    images, characters = drawn
    assert images.shape == (3000, 28, 28)
    assert images.dtype == np.uint8
    assert len(characters) == 3000
    assert (images.reshape(3000, -1).max(1) == 255).all()
    assert images.mean() < 64
    border = np.concatenate([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]])
    assert border.mean() < 4


def test_about_a_tenth_are_digits_each_as_often(drawn: Drawn) -> None:
    characters = drawn[1]
    assert 0.08 < sum(c in DIGITS for c in characters) / 3000 < 0.12
    counts = [characters.count(digit) for digit in DIGITS]
    assert min(counts) > 10
    assert len(set(characters)) > 800


def test_the_seed_decides_and_a_shorter_pool_is_the_start_of_a_longer_one(drawn: Drawn) -> None:
    images, characters = render_glyphs(200, seed=0)
    assert np.array_equal(images, drawn[0][:200])
    assert characters == drawn[1][:200]
    assert render_glyphs(200, seed=1)[1] != characters


def test_twenty_thousand_take_well_under_twenty_seconds() -> None:
    started = time.process_time()
    render_glyphs(1000, seed=2)
    assert (time.process_time() - started) * 20 < 20


def test_printed_digits_have_as_much_ink_as_written_ones(drawn: Drawn) -> None:
    images, characters = drawn
    digits = images[[c in DIGITS for c in characters]]
    # MNIST's mean grey is 0.1307 of white.
    assert digits.mean() / 255 == pytest.approx(0.1307, abs=0.02)


def test_only_text_faces_are_drawn() -> None:
    found = {alphabet.face: alphabet for alphabet in alphabets()}
    assert set(found) == set(UNICODE_FACES) | set(ASCII_FACES)
    for alphabet in found.values():
        assert {"O", "l", "S"} <= set(alphabet.letters)
        assert not set(DIGITS) & (set(alphabet.letters) | set(alphabet.signs))
        assert not {"²", "½", "①"} & (set(alphabet.letters) | set(alphabet.signs))
    assert all(found[face].signs == () for face in ASCII_FACES)


def test_letters_of_each_face_leave_ink() -> None:
    for alphabet in alphabets():
        for char in [*alphabet.letters[::40], *alphabet.signs[::40], *DIGITS]:
            assert render_glyph(alphabet.path, char, STILL).max() == 255, (alphabet.face, char)


@pytest.mark.parametrize(("axis", "change"), [(0, {"shift_x": 3.0}), (1, {"shift_y": -3.0})])
def test_a_shift_moves_by_so_many_pixels(axis: int, change: dict[str, float]) -> None:
    still = centre(render_glyph(sans(), "8", STILL))
    moved = centre(render_glyph(sans(), "8", replace(STILL, **change)))
    (value,) = change.values()
    assert moved[axis] - still[axis] == pytest.approx(value, abs=0.1)
    assert moved[1 - axis] == pytest.approx(still[1 - axis], abs=0.1)


def test_strokes_widen_and_thin() -> None:
    ink = [
        float(render_glyph(sans(), "H", replace(STILL, stroke=stroke)).sum())
        for stroke in (-0.8, -0.4, 0.0, 0.5, 1.0)
    ]
    assert ink == sorted(ink)
    assert ink[-1] > 1.3 * ink[0]


def test_rotation_and_shear_have_a_known_answer() -> None:
    upright = render_glyph(sans(), "I", STILL)
    lying = render_glyph(sans(), "I", replace(STILL, rotation_deg=90.0))
    difference = np.abs(lying.astype(int) - np.rot90(upright).astype(int))
    assert difference.mean() < 4
    leaning = render_glyph(sans(), "I", replace(STILL, shear=0.4)).astype(float)
    top, bottom = leaning[:14], leaning[14:]
    columns = np.arange(28)
    assert (top.sum(0) @ columns) / top.sum() > (bottom.sum(0) @ columns) / bottom.sum() + 2


def test_small_signs_stay_small() -> None:
    dot = render_glyph(sans(), ".", STILL)
    assert (dot > 127).sum() < 40


def test_wobble_bends_what_was_straight() -> None:
    wobble = np.random.default_rng(0).normal(0, 1.5, (5, 5, 2))
    bent = render_glyph(sans(), "I", replace(STILL, wobble=wobble)).astype(float)
    straight = render_glyph(sans(), "I", STILL).astype(float)

    def spread(image: npt.NDArray[np.float64]) -> float:
        rows = image[image.sum(1) > 200]
        return float(np.std((rows @ np.arange(28)) / rows.sum(1)))

    assert spread(straight) < 0.1
    assert spread(bent) > 0.3


@pytest.mark.parametrize("n", [0, -1])
def test_no_glyphs_is_no_pool(n: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        render_glyphs(n, seed=0)


def test_a_missing_matplotlib_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    alphabets.cache_clear()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match=r"pip install 'coursepack\[demo\]'"):
        render_glyphs(1, seed=0)


def test_a_missing_font_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    alphabets.cache_clear()
    monkeypatch.setattr(glyphs, "UNICODE_FACES", ("NoSuchFace",))
    try:
        with pytest.raises(UsageError, match=r"no font .*NoSuchFace\.ttf"):
            render_glyphs(1, seed=0)
    finally:
        alphabets.cache_clear()
