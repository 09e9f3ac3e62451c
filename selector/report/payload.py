"""Data for a script of the page, so written that no string in it can become markup or code.

It lies in `<script type="application/json">`, which a browser does not run; the characters that
could end that element are written as JSON escapes.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

_ESCAPES = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)


def json_text(value: Any) -> Markup:
    """JSON of plain values. Lone surrogates, which no page can hold, become escapes as well.

    Raises:
        ValueError: NaN or infinity, which JSON lacks.
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Markup(text.translate(_ESCAPES))


def binary_text(values: npt.NDArray[Any]) -> str:
    """The bytes of an array, little endian, in base64."""
    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    return base64.b64encode(little.tobytes()).decode("ascii")
