"""Recipes as files: find, read, check, override, write back, compare.

`load_recipe("dfnd", n=10_000)` reads a ready recipe of `selector/recipes` and changes its one n.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import reprlib
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from selector.recipe_model import CUSTOM_ERRORS, Recipe
from selector.strict_yaml import parse_mapping
from shards import storage
from shards.errors import UsageError

__all__ = ["Recipe", "load_recipe", "ready_recipes", "recipe_hash", "recipe_text"]


def load_recipe(source: str | Mapping[str, Any], *, n: int | None = None) -> Recipe:
    """Read and check a recipe.

    Args:
        source: the bare name of a ready recipe (`dfnd`), a path or URI, YAML text (anything with
            a line break), or plain data.
        n: replaces the n of the only step that has one.

    Returns:
        The recipe, with paths of exclusion lists made absolute (they are relative to its file).

    Raises:
        UsageError: no such recipe; names each wrong place, such as `steps[1].take.order`, and
            what is expected there.
        StorageError: the file cannot be read.
    """
    if isinstance(source, Mapping):
        where, folder, content = "recipe", ".", dict(source)
    elif "\n" in source:
        where, folder, content = "recipe", ".", parse_mapping(source, where="recipe")
    else:
        where, folder, text = _read(source)
        content = parse_mapping(text, where=where)
    content = _with_absolute_lists(content, folder)
    if n is not None:
        content = _with_n(content, n, where)
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        problems = dict.fromkeys(_problem(found) for found in error.errors()[:5])
        raise UsageError(f"{where}: {'; '.join(problems)}") from error


def ready_recipes() -> dict[str, str]:
    """The recipes that come with coursepack: name -> YAML text."""
    folder = resources.files("selector") / "recipes"
    found = {
        file.name.removesuffix(".yaml"): file.read_text(encoding="utf-8")
        for file in folder.iterdir()
        if file.name.endswith(".yaml")
    }
    return dict(sorted(found.items()))


def recipe_text(recipe: Recipe) -> str:
    """The recipe as YAML; reading it gives the same recipe."""
    return yaml.safe_dump(_content(recipe), sort_keys=False, allow_unicode=True)


def recipe_hash(recipe: Recipe, *, list_hashes: Mapping[str, str]) -> str:
    """Hash of what the recipe selects: not of its name, nor of where its lists lie.

    Args:
        list_hashes: path of each exclusion list -> hash of its content.

    Returns:
        The first 16 hex digits of a sha256.
    """
    content = _map_lists(_content(recipe), lambda path: list_hashes[path])
    content.pop("name", None)
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read(source: str) -> tuple[str, str, str]:
    """`(what to call it, its folder, its text)` of a ready recipe's name or a file."""
    if "/" not in source and not source.endswith((".yaml", ".yml")):
        ready = ready_recipes()
        if source in ready:
            return f"recipe {source}", ".", ready[source]
        close = difflib.get_close_matches(source, ready, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"ready ones are {', '.join(ready)};"
        raise UsageError(f"no ready recipe {source!r}; {hint} a file is named with its .yaml")
    uri = storage.normalize(source)
    try:
        return source, uri.rpartition("/")[0], storage.read_bytes(uri).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{source}: no text in UTF-8; a recipe is a YAML file") from error


def _content(recipe: Recipe) -> dict[str, Any]:
    """Plain data, without what is left at its default; `steps` always."""
    content = recipe.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return {**content, "steps": content.get("steps", [])}


def _map_lists(value: Any, change: Callable[[str], str]) -> Any:
    """The same data with every path of an exclusion list changed."""
    if isinstance(value, dict):
        return {
            key: change(item)
            if key == "list" and isinstance(item, str)
            else _map_lists(item, change)
            for key, item in value.items()
        }
    return [_map_lists(item, change) for item in value] if isinstance(value, list) else value


def _with_absolute_lists(content: dict[str, Any], folder: str) -> dict[str, Any]:
    base = storage.normalize(folder)

    def absolute(path: str) -> str:
        anchored = path.startswith("/") or not storage.is_local(path)
        return path if anchored else storage.normalize(storage.join(base, path))

    return _map_lists(content, absolute)


def _with_n(content: dict[str, Any], n: int, where: str) -> dict[str, Any]:
    """The recipe's one `n` replaced; several would leave open which is meant."""
    steps = content.get("steps")
    holders = [
        (index, kind)
        for index, step in enumerate(steps if isinstance(steps, list) else [])
        if isinstance(step, dict)
        for kind, options in step.items()
        if isinstance(options, dict) and "n" in options
    ]
    if len(holders) != 1:
        found = ", ".join(f"steps[{index}].{kind}" for index, kind in holders) or "none"
        raise UsageError(
            f"{where}: n can be given from outside where exactly one step has an n, found "
            f"{found}; edit the recipe instead"
        )
    index, kind = holders[0]
    changed = list(content["steps"])
    changed[index] = {kind: {**changed[index][kind], "n": n}}
    return {**content, "steps": changed}


def _problem(found: ErrorDetails) -> str:
    """`steps[1].take.n: Input should be a valid integer, found '5'`."""
    path = ""
    for part in found["loc"]:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part not in ("str", "list[str]"):  # pydantic's names for the sides of a union
            path += f".{part}" if path else part
    if found["type"] == "missing":
        return f"{path}: missing, but required"
    own = found["type"] in CUSTOM_ERRORS
    seen = "" if own else f", found {reprlib.repr(found['input'])}"
    return f"{path or 'top'}: {found['msg']}{seen}"
