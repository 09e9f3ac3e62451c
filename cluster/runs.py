"""A run directory: made once for one teacher and one configuration, continued ever after.

`config.yaml` holds what was asked for: the `semantic` half, whose hash names every marker, and the
`execution` half, which a later call may change. `provenance.json` tells by whom and with what it
was made. A call whose semantic half differs is refused with the difference shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from cluster.ledger import Ledger, short_hash
from cluster.provenance import hardware, now, versions
from selector.scoring.spec import LEFT_OUT
from selector.tables.layout import RunLayout
from selector.tables.run_files import read_json
from shards import atomic, storage
from shards.errors import StorageError, UsageError

_ABSENT_MEANS = {"preprocessing.decode": "exact"}
"""Entries that are left out where they say what was always so."""


@dataclass(frozen=True)
class Run:
    """An opened run: its paths, its ledger, and the hash that its markers carry."""

    layout: RunLayout
    semantic_hash: str
    execution: dict[str, Any]

    @property
    def root(self) -> str:
        return self.layout.root

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.layout.ledger_dir)


def open_run(
    root: str,
    *,
    semantic: dict[str, Any],
    execution: dict[str, Any],
    facts: dict[str, Any],
) -> Run:
    """Create the run at `root`, or continue it. The caller holds its lock.

    Args:
        root: Folder or URI of the run.
        semantic: What decides the content of the tables; plain JSON values.
        execution: How the work is done. Entries that are None take the value stored by the first
            call, so that `auto` choices stay what they were.
        facts: Further provenance (class names, where the weights came from).

    Raises:
        UsageError: if the run was made with another semantic configuration, or is no run.
    """
    layout = RunLayout(storage.normalize(root))
    stored = read_config(layout)
    if stored is None:
        merged = execution
        _write_config(layout, semantic, merged)
    else:
        _refuse_difference(layout, stored["semantic"], semantic)
        chosen = {name: value for name, value in execution.items() if value is not None}
        merged = stored["execution"] | chosen
        if merged != stored["execution"]:
            _write_config(layout, semantic, merged)
    semantic_hash = short_hash(canonical_json(semantic))
    _write_provenance(layout, semantic_hash, facts)
    return Run(layout, semantic_hash, merged)


def read_config(layout: RunLayout) -> dict[str, Any] | None:
    """The stored `{semantic, execution}`, or None where there is no run yet."""
    if not storage.exists(layout.config):
        return None
    try:
        content = yaml.safe_load(storage.read_bytes(layout.config))
    except yaml.YAMLError as error:
        raise StorageError(
            f"{layout.config} is damaged ({' '.join(str(error).split())}); restore it, or score "
            "into a new --out"
        ) from error
    if not isinstance(content, dict) or not {"semantic", "execution"} <= content.keys():
        raise UsageError(
            f"{layout.config} is not the config of a coursepack run; "
            "choose another folder for --out"
        )
    return content


def canonical_json(value: Any) -> str:
    """One text per value: sorted keys, no blanks. What is hashed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def differences(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """Lines `path: old -> new` for every leaf in which two nested values differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            inner = f"{path}.{key}" if path else key
            missing = _ABSENT_MEANS.get(inner, "(absent)")
            yield from differences(old.get(key, missing), new.get(key, missing), inner)
    elif old != new:
        yield f"{path}: {_shorten(old)} -> {_shorten(new)}"


def _refuse_difference(layout: RunLayout, stored: dict[str, Any], asked: dict[str, Any]) -> None:
    if canonical_json(stored) == canonical_json(asked):
        return
    lines = "\n  ".join(differences(LEFT_OUT | stored, LEFT_OUT | asked))
    raise UsageError(
        f"{layout.root} was made with another configuration:\n  {lines}\n"
        "its tables would mix two meanings; use another --out, or ask for the stored configuration"
    )


def _shorten(value: Any) -> str:
    text = canonical_json(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _write_config(layout: RunLayout, semantic: dict[str, Any], execution: dict[str, Any]) -> None:
    content = {"semantic": semantic, "execution": execution}
    atomic.write_bytes(layout.config, yaml.safe_dump(content, sort_keys=True).encode())


def _write_provenance(layout: RunLayout, semantic_hash: str, facts: dict[str, Any]) -> None:
    before: dict[str, Any] = {}
    if storage.exists(layout.provenance):
        cure = "restore it, or remove it: the same command writes it anew"
        before = read_json(layout.provenance, cure=cure)
    history: list[dict[str, Any]] = before.get("calls", [])
    call = {"at": now(), "versions": versions(), "hardware": hardware()}
    if not history or {**history[-1], "at": ""} != {**call, "at": ""}:
        history.append(call)
    # What only the first call found out, such as a probe of runtimes, stays.
    content = {**before, "semantic_hash": semantic_hash, "calls": history, **facts}
    atomic.write_bytes(
        layout.provenance, json.dumps(content, indent=1, sort_keys=True).encode() + b"\n"
    )
