"""Numbers as a person reads them: separators, shares, powers of ten, byte sizes."""

from __future__ import annotations

import math

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_BYTE_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def count_text(count: int) -> str:
    """Thousands apart: 1234567 -> '1,234,567'."""
    return f"{count:,}"


def share_text(part: float, whole: float) -> str:
    r"""A share as a percentage with about three digits; '–' of nothing.

    >>> share_text(1, 8), share_text(1, 3000), share_text(0, 5), share_text(1, 10**7)
    ('12.5\xa0%', '0.033\xa0%', '0\xa0%', '<\xa00.001\xa0%')
    """
    if whole <= 0:
        return "–"
    percent = 100 * part / whole
    if percent == 0:
        return "0\u00a0%"
    if percent < 0.001:
        return "<\u00a00.001\u00a0%"
    decimals = 1 if percent >= 1 else 3
    text = f"{percent:.{decimals}f}"
    return f"{text.rstrip('0').rstrip('.')}\u00a0%"


def power_text(exponent: int) -> str:
    """A power of ten: 0 -> '1', -3 -> '10⁻³'."""
    if exponent in (0, 1):
        return "1" if exponent == 0 else "10"
    return "10" + str(exponent).translate(_SUPERSCRIPT)


def score_text(value: float) -> str:
    """A score with three digits, whatever its size.

    >>> score_text(0.0123), score_text(2.5e-9).split(), score_text(0.0)
    ('0.0123', ['2.50', '×', '10⁻⁹'], '0')
    """
    if not math.isfinite(value):
        return str(value)
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e4:
        return f"{value:.3g}"
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    # No-break spaces: a power of ten must not be parted from its factor.
    return f"{mantissa}\u00a0×\u00a0{power_text(int(exponent))}"


def bytes_text(num_bytes: int) -> str:
    """A size in decimal units: 7088035 -> '7.1 MB'."""
    size = float(num_bytes)
    for unit in _BYTE_UNITS:
        if size < 1000 or unit == _BYTE_UNITS[-1]:
            break
        size /= 1000
    return f"{size:.0f}\u00a0{unit}" if unit == "B" else f"{size:.1f}\u00a0{unit}"
