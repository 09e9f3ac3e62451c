"""Named recipes: published training settings as configurations to build on.

`recipe: dfnd_seed` at the top of a configuration fills in what the rest does not say.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import Any

import yaml

from shards.errors import UsageError

RECIPES = {
    "dfnd_seed": "DFND as its paper describes it: 40,000 steps of 512, T = 2, all of Q learned",
    "dfnd_code": "DFND as its code runs it: 77,352 steps of 256, T = 4, diagonal of Q frozen",
    "pu_paper": "PU Compression as its paper trains the student: 4,883 steps of 2,048, robust KD",
}
"""Every recipe by name, with one line on what it is; the settings are NAME.yaml beside this."""


def load_recipe(name: str) -> dict[str, Any]:
    """The settings of recipe `name` as a nested dictionary.

    Raises:
        UsageError: there is no such recipe; the message lists those there are.
    """
    if name not in RECIPES:
        raise UsageError(f"recipe {name!r} is unknown; expected one of {', '.join(RECIPES)}")
    text = resources.files(__name__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    settings: dict[str, Any] = yaml.safe_load(text)
    return settings


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes` on top, mapping by mapping; neither argument is modified.

    A mapping that changes `kind` replaces the base's mapping whole: the options of a step schedule
    mean nothing to a cosine.
    """
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            same_kind = value.get("kind", old.get("kind")) == old.get("kind")
            merged[key] = merge(old, value) if same_kind else dict(value)
        else:
            merged[key] = value
    return merged
