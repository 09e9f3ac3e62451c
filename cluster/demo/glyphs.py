"""The demo's pool: glyphs of the fonts that matplotlib ships, drawn to look a little like MNIST.

A tenth are digits, the others letters and signs, many of them strangers to a digit teacher and some
(O, l, S, Z) its close friends. No image comes from MNIST or any other data set: every pixel is
rendered here. Characters and distortions depend on the seed alone; the exact grey values also on
the FreeType that Pillow carries.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from shards.errors import UsageError

IMAGE_SIZE = 28
DIGITS = "0123456789"
DIGIT_SHARE = 0.1
LETTER_SHARE = 0.4

# Faces whose character map is plain Unicode and that draw text. Left out: the size variants of
# brackets, private-use faces, and LastResort, which draws a box for every character there is.
UNICODE_FACES = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-BoldOblique", "DejaVuSans-Oblique",
    "DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-BoldOblique",
    "DejaVuSansMono-Oblique", "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-BoldItalic",
    "DejaVuSerif-Italic", "STIXGeneral", "STIXGeneralBol", "STIXGeneralBolIta",
    "STIXGeneralItalic",
)  # fmt: skip
# Computer Modern keeps other signs at code points beyond ASCII letters and digits.
ASCII_FACES = ("cmb10", "cmr10", "cmss10", "cmti10", "cmtt10")

# Latin, Greek, Cyrillic, Armenian, Georgian; punctuation, currency, letter-like; arrows,
# mathematics, technical, shapes, symbols: what most of the faces have.
CODE_POINTS = (
    range(0x21, 0x250), range(0x370, 0x530), range(0x531, 0x590), range(0x10A0, 0x1100),
    range(0x2010, 0x2060), range(0x20A0, 0x20C0), range(0x2100, 0x2150), range(0x2190, 0x2400),
    range(0x25A0, 0x2700),
)  # fmt: skip

# Drawing happens at twice the final size and is halved at the end, which is what keeps edges soft.
_OVERSAMPLING = 2
_CANVAS = IMAGE_SIZE * _OVERSAMPLING
_FONT_SIZE = 54
_BODY = 20 * _OVERSAMPLING  # MNIST fits its digits into 20 x 20 of the 28 x 28

CONTRAST = 1.4
WOBBLE = 1.6
"""Standard deviation, in final pixels, by which each node of a grid over the image moves."""

Box = tuple[int, int, int, int]

_GRID = 5
_TICKS = [_CANVAS // (_GRID - 1) * i for i in range(_GRID)]
_NODES = np.array([[(x, y) for x in _TICKS] for y in _TICKS], dtype=np.float64)
_CELLS = [(row, column) for row in range(_GRID - 1) for column in range(_GRID - 1)]
_BOXES: list[Box] = [(_TICKS[c], _TICKS[r], _TICKS[c + 1], _TICKS[r + 1]) for r, c in _CELLS]
# Corners of each cell among the nodes, in Pillow's order: upper left, lower left, lower right,
# upper right.
_CORNERS = np.array(
    [[r * _GRID + c, (r + 1) * _GRID + c, (r + 1) * _GRID + c + 1, r * _GRID + c + 1]
     for r, c in _CELLS]
)  # fmt: skip


@dataclass(frozen=True)
class Alphabet:
    """What one font face can draw, apart by kind."""

    face: str
    path: str
    letters: tuple[str, ...]
    signs: tuple[str, ...]


@dataclass(frozen=True)
class Distortion:
    """How one glyph is bent; lengths in pixels of the final image, angles in degrees.

    `wobble` (G, G, 2) moves the nodes of a coarse grid, as a hand that is no machine would.
    """

    stroke: float
    rotation_deg: float
    shear: float
    scale: float
    aspect: float
    shift_x: float
    shift_y: float
    blur: float
    wobble: npt.NDArray[np.float64]


def _alphabet(path: Path) -> Alphabet:
    from matplotlib.ft2font import FT2Font

    mapped = FT2Font(str(path)).get_charmap()
    letters: list[str] = []
    signs: list[str] = []
    for block in CODE_POINTS:
        for code_point in block:
            char = chr(code_point)
            if code_point not in mapped or (path.stem in ASCII_FACES and not char.isascii()):
                continue
            # Numbers beyond 0-9 (superscripts, fractions) are digits in disguise: whether they
            # count as one is a matter of taste, and ground truth should not be.
            kind = unicodedata.category(char)[0]
            if kind == "L":
                letters.append(char)
            elif kind in "PS" and path.stem not in ASCII_FACES:
                signs.append(char)
    return Alphabet(path.stem, str(path), tuple(letters), tuple(signs))


@lru_cache(maxsize=1)
def alphabets() -> tuple[Alphabet, ...]:
    """The faces of matplotlib that draw text, each with its letters and signs.

    Raises:
        UsageError: matplotlib is not installed, or ships without one of the faces.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise UsageError(
            "the demo renders its pool from matplotlib's fonts, and matplotlib is not installed: "
            "pip install 'coursepack[demo]'"
        ) from error
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    paths = [folder / f"{face}.ttf" for face in UNICODE_FACES + ASCII_FACES]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise UsageError(
            f"matplotlib {matplotlib.__version__} has no font {missing[0]}; the demo needs the "
            "fonts of an unmodified matplotlib: pip install --force-reinstall matplotlib"
        )
    return tuple(_alphabet(path) for path in paths)


def _choose(rng: np.random.Generator, faces: Sequence[Alphabet]) -> tuple[Alphabet, str]:
    kind = rng.random()
    alphabet = faces[int(rng.integers(len(faces)))]
    if kind < DIGIT_SHARE:
        return alphabet, DIGITS[rng.integers(10)]
    signs = kind >= DIGIT_SHARE + LETTER_SHARE and alphabet.signs
    chars = alphabet.signs if signs else alphabet.letters
    return alphabet, chars[rng.integers(len(chars))]


def _distortion(rng: np.random.Generator) -> Distortion:
    return Distortion(
        stroke=rng.uniform(-0.9, 0.8),
        rotation_deg=rng.normal(0.0, 8.0),
        shear=rng.normal(0.0, 0.2),
        scale=rng.uniform(0.8, 1.08),
        aspect=math.exp(rng.normal(0.0, 0.12)),
        shift_x=rng.normal(0.0, 0.9),
        shift_y=rng.normal(0.0, 0.9),
        blur=rng.uniform(0.2, 0.7),
        wobble=rng.normal(0.0, WOBBLE, size=(_GRID, _GRID, 2)),
    )


@lru_cache(maxsize=64)
def _font(path: str) -> ImageFont.FreeTypeFont:
    # The basic layout engine is the one that every build of Pillow has.
    return ImageFont.truetype(path, _FONT_SIZE, layout_engine=ImageFont.Layout.BASIC)


def _ink(path: str, char: str, *, stroke: float) -> Image.Image:
    """The glyph, white on black, with strokes wider or thinner by about `stroke` final pixels."""
    font = _font(path)
    wider = max(stroke, 0.0) * _OVERSAMPLING
    left, top, right, bottom = font.getbbox(char, stroke_width=wider)
    # One pixel of black around it, for the interpolation that follows to fade into.
    ink = Image.new("L", (math.ceil(right - left) + 2, math.ceil(bottom - top) + 2))
    ImageDraw.Draw(ink).text((1 - left, 1 - top), char, fill=255, font=font, stroke_width=wider)
    if stroke < 0:
        # A 3 x 3 minimum takes one pixel off each side; less is a blend with what it left.
        ink = Image.blend(ink, ink.filter(ImageFilter.MinFilter(3)), min(-stroke, 1.0))
    return ink


def _source_points(bend: Distortion, size: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Where in the ink (width, height) each node of a grid over the canvas comes from.

    Returns:
        (G, G, 2) points x, y, row by row: the inverse affine map, plus the wobble.
    """
    width, height = size
    # Small signs stay small: a full stop blown up to the size of a letter is a blob.
    zoom = bend.scale * min(_BODY / max(width, height), 1.25)
    angle = math.radians(bend.rotation_deg)
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    shear = np.array([[1.0, -bend.shear], [0.0, 1.0]])
    stretch = np.diag([zoom * math.sqrt(bend.aspect), zoom / math.sqrt(bend.aspect)])
    inverse = np.linalg.inv(rotation @ shear @ stretch)
    centre = _CANVAS / 2 + _OVERSAMPLING * np.array([bend.shift_x, bend.shift_y])
    return (_NODES + _OVERSAMPLING * bend.wobble - centre) @ inverse.T + np.array(
        [width / 2, height / 2]
    )


def _mesh(points: npt.NDArray[np.float64]) -> list[tuple[Box, tuple[float, ...]]]:
    """Pillow's mesh: every cell of the grid, and the quadrilateral of the ink that fills it."""
    quads = points.reshape(-1, 2)[_CORNERS].reshape(len(_BOXES), 8)
    return [(box, tuple(quad)) for box, quad in zip(_BOXES, quads.tolist(), strict=True)]


def render_glyph(path: str, char: str, bend: Distortion) -> npt.NDArray[np.uint8]:
    """One character of the font file at `path` as a uint8 image (28, 28), white on black."""
    ink = _ink(path, char, stroke=bend.stroke)
    canvas = ink.transform(
        (_CANVAS, _CANVAS),
        Image.Transform.MESH,
        _mesh(_source_points(bend, ink.size)),
        Image.Resampling.BILINEAR,
    )
    soft = canvas.filter(ImageFilter.GaussianBlur(bend.blur * _OVERSAMPLING)).reduce(_OVERSAMPLING)
    pixels = np.asarray(soft, dtype=np.float32)
    # The middle of MNIST's strokes is full white; blurred and thin ones would not reach it.
    peak = max(float(pixels.max()), 1.0)
    return np.minimum(pixels * (CONTRAST * 255.0 / peak), 255.0).astype(np.uint8)


def render_glyphs(n: int, *, seed: int) -> tuple[npt.NDArray[np.uint8], list[str]]:
    """Draw `n` glyphs in random order: about a tenth digits, four tenths letters, the rest signs.

    Args:
        n: How many glyphs, at least 1. About 0.6 ms each.
        seed: Same seed, same glyphs; the first of a longer pool are those of a shorter one.

    Returns:
        Images uint8 (N, 28, 28), white on black, and the N characters they show.

    Raises:
        UsageError: matplotlib, whose fonts are drawn, is missing.
        ValueError: `n` is not positive.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, found {n}")
    faces = alphabets()
    rng = np.random.default_rng(seed)
    images = np.empty((n, IMAGE_SIZE, IMAGE_SIZE), dtype=np.uint8)
    chars: list[str] = []
    for i in range(n):
        face, char = _choose(rng, faces)
        images[i] = render_glyph(face.path, char, _distortion(rng))
        chars.append(char)
    return images, chars
