"""The steps of a recipe: which images to select, in words that a file of a few lines can hold.

Steps run from top to bottom; each narrows what the one above let through:

    source: {where: "status = 'ok' AND width >= 32"}
    steps:
      - exclude: {list: takedown.txt}
      - quota: {by: pseudo_label, n: 600, order: noise_value, shortage: redistribute}
      - take: {n: 600000, order: noise_value}

Failed images (status other than `ok`) never get in unless the source says `status: any`.
"""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from selector.policies.quota import Shortage

RANDOM = "random"
"""As `order`: a seeded draw instead of a column."""

CUSTOM_ERRORS = ("unknown_key", "exactly_one", "seed")
"""Types of this module's own errors: they say themselves what was found."""

Count = Annotated[int, Field(gt=0)]
Seed = Annotated[int, Field(ge=0, lt=2**64)]


class _Strict(BaseModel):
    """Unknown keys are refused, with the nearest known one; `600` in quotes is no number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        known = [field.alias or name for name, field in cls.model_fields.items()]
        for key in data:
            if key not in known:
                close = difflib.get_close_matches(str(key), known, n=1)
                hint = f"did you mean {close[0]!r}?" if close else "expected " + ", ".join(known)
                raise PydanticCustomError(
                    "unknown_key", "unknown key {key}; {hint}", {"key": repr(key), "hint": hint}
                )
        return data


def _exactly_one(model: BaseModel, names: tuple[str, ...]) -> None:
    given = [name for name in names if getattr(model, name) is not None]
    if len(given) != 1:
        expected = ", ".join(type(model).model_fields[name].alias or name for name in names)
        raise PydanticCustomError(
            "exactly_one",
            "found {given}, expected exactly one of {expected}",
            {"given": ", ".join(given) or "none of them", "expected": expected},
        )


def _seed_needs_random(order: str, seed: int | None) -> None:
    if seed is not None and order != RANDOM:
        raise PydanticCustomError("seed", "a seed belongs to `order: random` only; remove it")


class Source(_Strict):
    """Where the rows come from: those of the scores table for which `where` is true.

    `where` is an SQL predicate over the columns of `scores`; `status: any` lets failed images in.
    """

    where: str | None = None
    status: Literal["ok", "any"] = "ok"


class Exclude(_Strict):
    """Leave out the rows of a list, or those that a fact table calls duplicates of another row.

    `list`: a file with one entry per line, or the entries themselves. An entry is a key, a
    content hash (32 hex digits), or a row_id (a number that is no key of the pool); `key:`,
    `hash:` or `row_id:` in front settles which.
    `duplicates`: exact, perceptual, semantic (made by `coursepack duplicates`), leakage, or any
    fact table with a column `duplicate_of` (null = keep this row).
    """

    entries: str | list[str] | None = Field(default=None, alias="list")
    duplicates: str | None = None

    @model_validator(mode="after")
    def _check(self) -> Exclude:
        _exactly_one(self, ("entries", "duplicates"))
        return self


class Take(_Strict):
    """The first rows by one column: n of them, a share of them, or all up to a limit (included).

    `order`: a column of scores, `kind.column` of a fact table, or `random` with a `seed`. Which
    end comes first is stated by the column's metadata (noise_value: the lowest; columns without
    better or worse: the lowest); `descending: true` takes the highest first, `false` the lowest.
    `shortage`: fewer than n rows are an error, or accepted and told.
    """

    n: Count | None = None
    quantile: Annotated[float, Field(gt=0, le=1)] | None = None
    threshold: float | None = None
    order: str
    descending: bool | None = None
    seed: Seed | None = None
    shortage: Literal["error", "accept"] = "error"

    @model_validator(mode="after")
    def _check(self) -> Take:
        _exactly_one(self, ("n", "quantile", "threshold"))
        _seed_needs_random(self.order, self.seed)
        return self


class Quota(_Strict):
    """The first n rows of every group; `by` is a whole-number column such as pseudo_label.

    `shortage` (a group has fewer than n): `error`; `accept`, the group gives what it has; or
    `redistribute`, its places are shared out evenly among the other groups
    (`selector.policies.quota` states the rule).
    """

    by: str
    n: Count
    order: str
    descending: bool | None = None
    seed: Seed | None = None
    shortage: Shortage = "error"

    @model_validator(mode="after")
    def _check(self) -> Quota:
        _seed_needs_random(self.order, self.seed)
        return self


class Balance(_Strict):
    """n rows in all, as evenly over the groups as their sizes allow; the first of each group.

    `by`: a whole-number column such as clusters.cluster; a small group gives all it has, and the
    others share its places out evenly.
    """

    by: str
    n: Count
    order: str
    descending: bool | None = None
    seed: Seed | None = None
    shortage: Literal["error", "accept"] = "error"

    @model_validator(mode="after")
    def _check(self) -> Balance:
        _seed_needs_random(self.order, self.seed)
        return self


class Diverse(_Strict):
    """n rows of every group that are unlike each other: farthest-first over features.

    The first row of a group by `order`, then always the row farthest from those taken. `by`: a
    whole-number column such as pseudo_label; without it all rows are one group. `features`: which
    feature table, `features` (the newest) or features_NAME. Holds the vectors of all rows that
    reach it: put steps that narrow before it.
    """

    by: str | None = None
    n: Count
    order: str
    descending: bool | None = None
    seed: Seed | None = None
    features: str = "features"
    shortage: Literal["error", "accept"] = "error"

    @model_validator(mode="after")
    def _check(self) -> Diverse:
        _seed_needs_random(self.order, self.seed)
        return self


class Sample(_Strict):
    """n rows at random; the draw hangs on row_id and seed alone."""

    n: Count
    seed: Seed = 0
    shortage: Literal["error", "accept"] = "error"


class Fill(_Strict):
    """The rows of the first step in `from`; while fewer than n, those of the next, in its order."""

    n: Count
    sources: list[Step] = Field(alias="from", min_length=2)
    shortage: Literal["error", "accept"] = "error"


class Step(_Strict):
    """One step; `random` is another name of `sample`.

    `all` keeps the rows that each of its steps keeps of the same input, `any` those that at
    least one keeps.
    """

    exclude: Exclude | None = None
    where: str | None = None
    quota: Quota | None = None
    balance: Balance | None = None
    diverse: Diverse | None = None
    take: Take | None = None
    sample: Sample | None = None
    random: Sample | None = None
    all_of: list[Step] | None = Field(default=None, alias="all", min_length=1)
    any_of: list[Step] | None = Field(default=None, alias="any", min_length=1)
    fill: Fill | None = None

    @model_validator(mode="after")
    def _check(self) -> Step:
        _exactly_one(self, tuple(type(self).model_fields))
        return self


class Recipe(_Strict):
    """A whole recipe; `name` serves as the selection's name when none is given."""

    name: str | None = None
    source: Source = Source()
    steps: list[Step]
