"""Named recipes: published training settings, and single options to put on top of them.

`recipe: dfnd_seed` at the top of a configuration fills in what the rest does not say;
`recipe: [dfnd_seed, patient]` fills in from both, the later over the earlier.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from shards.errors import UsageError

TRAININGS = {
    "dfnd_seed": "DFND as its paper describes it: 40,000 steps of 512, T = 2, all of Q learned",
    "dfnd_code": "DFND as its code runs it: 77,352 steps of 256, T = 4, diagonal of Q frozen",
    "pu_paper": "PU Compression as its paper trains the student: 4,883 steps of 2,048, robust KD",
}
"""Recipes that say everything but what only the user knows, with a line on what each is."""

OPTIONS = {
    "patient": "hard crops, mixup, one long cosine: 160,000 steps",
    "reselect": "half of data.train, chosen anew by teacher and student every 500 steps",
    "resized_crop": "random resized crops in place of padded ones",
    "hints": "FitNets' hints: the teacher's features as targets too",
    "attention": "attention transfer: where in the image the teacher is active",
    "average": "a running average of the weights is kept",
}
"""Recipes that say one thing, to be put over a training or a user's own settings."""

RECIPES = TRAININGS | OPTIONS
"""Every recipe by name; the settings are NAME.yaml beside this."""


def load_recipe(name: str) -> dict[str, Any]:
    """The settings of recipe `name` as a nested dictionary.

    Raises:
        UsageError: there is no such recipe; the message lists those there are.
    """
    if name not in RECIPES:
        raise UsageError(f"recipe {name!r} is unknown; expected one of {', '.join(RECIPES)}")
    import yaml  # here, so that the command line can list recipes without it

    text = resources.files(__name__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    settings: dict[str, Any] = yaml.safe_load(text)
    return settings


def load_recipes(names: str | Sequence[str]) -> dict[str, Any]:
    """The settings of one recipe, or of several, each over those before it.

    Raises:
        UsageError: there is no such recipe, or a training stands behind another recipe, all of
            whose settings it would replace.
    """
    names = [names] if isinstance(names, str) else list(names)
    settings: dict[str, Any] = {}
    for place, name in enumerate(names):
        recipe = load_recipe(str(name))
        if place and name in TRAININGS:
            raise UsageError(
                f"recipe {names}: {name} is a whole training and would undo what stands before "
                f"it; put it first, options ({', '.join(OPTIONS)}) behind it"
            )
        settings = merge(settings, recipe)
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
