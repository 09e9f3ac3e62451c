"""What the fields of a preprocessing may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

from selector.teachers.resample import INTERPOLATIONS
from selector.teachers.spec import DecodeMode
from shards.decode import Orientation

if TYPE_CHECKING:
    from selector.teachers.preprocess import Preprocessing

ResizeMode = Literal["none", "short_side", "squash", "center_fraction"]
"""See `selector.teachers.preprocess.Preprocessing`."""


def first_wrong(pre: Preprocessing) -> tuple[str, str] | None:
    """Name of the first senseless field, and what was expected."""

    def is_size(value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 8192

    def is_numbers(values: object, *, positive: bool) -> bool:
        return (
            isinstance(values, tuple)
            and len(values) == pre.channels
            and all(isinstance(v, int | float) and (v > 0 or not positive) for v in values)
        )

    resize: Any = pre.resize
    is_pair = isinstance(resize, tuple) and len(resize) == 2 and all(map(is_size, resize))
    resize_expected = {
        "none": (resize is None, "null with resize_mode none"),
        "short_side": (is_size(resize), "one size in pixels, 1 to 8192"),
        "squash": (is_size(resize) or is_pair, "a size or [height, width] in pixels, 1 to 8192"),
        "center_fraction": (
            is_size(resize) and is_size(pre.crop) and resize >= pre.crop,
            "one size in pixels, at least crop",
        ),
    }
    checks: list[tuple[str, bool, str]] = [
        ("channels", pre.channels in (1, 3), "1 or 3"),
        ("resize_mode", pre.resize_mode in get_args(ResizeMode), " | ".join(get_args(ResizeMode))),
        ("crop", is_size(pre.crop), "a size in pixels, 1 to 8192"),
        ("interpolation", pre.interpolation in INTERPOLATIONS, " | ".join(INTERPOLATIONS)),
        ("mean", is_numbers(pre.mean, positive=False), f"{pre.channels} numbers"),
        ("std", is_numbers(pre.std, positive=True), f"{pre.channels} numbers above 0"),
        ("orientation", pre.orientation in get_args(Orientation), "exif | stored"),
        ("decode", pre.decode in get_args(DecodeMode), "exact | fast"),
    ]
    for name, is_right, expected in checks:
        if not is_right:
            return name, expected
    is_right, expected = resize_expected[pre.resize_mode]
    return None if is_right else ("resize", expected)
