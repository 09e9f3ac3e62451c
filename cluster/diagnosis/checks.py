"""What the facts of the nodes mean: one line per check, with the cure. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from cluster.diagnosis.node_facts import NodeFacts

Level = Literal["ok", "warning", "problem"]

MUST_AGREE = ("python", "torch", "ray", "coursepack")
"""Packages whose versions must be equal on every node; others may differ at the last digit."""

TEMP_FREE_PROBLEM, TEMP_FREE_WARNING = 1 << 30, 5 << 30
SHM_WARNING = 1 << 30
OPEN_FILES_WARNING = 4096
SKEW_WARNING_S, SKEW_PROBLEM_S = 2.0, 30.0


@dataclass(frozen=True)
class Check:
    """One line of the doctor.

    Attributes:
        name: What was looked at.
        level: `ok`, `warning` (it will run, worse) or `problem` (it will not, or not rightly).
        found: What is there.
        cure: What to do; "" where nothing is to be done.
    """

    name: str
    level: Level
    found: str
    cure: str = ""


def judge(nodes: Sequence[NodeFacts], *, places: Sequence[str] = ()) -> list[Check]:
    """All checks over the facts of all nodes; the first is the driver's own machine.

    Args:
        places: Shared places that each node was asked about, see `NodeFacts.storage`.
    """
    checks = [_versions(nodes), _code(nodes), _gpus(nodes)]
    checks += [_storage(nodes, place) for place in places]
    checks += [_clocks(nodes)] if len(nodes) > 1 else []
    checks += [
        _least(
            "temporary disk", nodes, lambda node: node.temp_free, TEMP_FREE_PROBLEM,
            TEMP_FREE_WARNING, _gigabytes, "free space, or set TMPDIR to a larger disk",
        ),
        _least(
            "/dev/shm", nodes, lambda node: node.shm_bytes, 0, SHM_WARNING, _gigabytes,
            "give containers more: --shm-size=8g, or an emptyDir of medium Memory at /dev/shm",
        ),
        _least(
            "open files", nodes, lambda node: node.open_files, 256, OPEN_FILES_WARNING, str,
            "raise the limit where Ray is started: ulimit -n 65536",
        ),
    ]  # fmt: skip
    return checks


def _versions(nodes: Sequence[NodeFacts]) -> Check:
    mine = nodes[0].versions
    wrong = []
    for node in nodes[1:]:
        differing = [
            f"{name} {node.versions.get(name, 'none')} (here {mine.get(name, 'none')})"
            for name in MUST_AGREE
            if node.versions.get(name) != mine.get(name)
        ]
        if differing:
            wrong.append(f"{node.node}: {', '.join(differing)}")
    if wrong:
        cure = "install the same versions on every node, best from one image or one lock file"
        return Check("versions", "problem", "; ".join(wrong), cure)
    lacking = [name for name in ("torch", "coursepack") if name not in mine]
    if lacking:
        cure = "pip install 'coursepack[ray]'"
        return Check("versions", "problem", f"not installed: {', '.join(lacking)}", cure)
    shown = ", ".join(f"{name} {mine[name]}" for name in MUST_AGREE if name in mine)
    return Check("versions", "ok", shown + _on(nodes))


def _code(nodes: Sequence[NodeFacts]) -> Check:
    other = [node.node for node in nodes if node.code != nodes[0].code]
    if other:
        return Check(
            "code", "problem",
            f"other source files of coursepack on {_some(other)} than here",
            "install one build on every node, or submit with --ship-code",
        )  # fmt: skip
    return Check("code", "ok", f"fingerprint {nodes[0].code[:12]}{_on(nodes)}")


def _gpus(nodes: Sequence[NodeFacts]) -> Check:
    broken = [f"{node.node}: {what}" for node in nodes for what in node.gpus.broken]
    blind = [
        f"{node.node}: {node.gpus.devices} in the machine, torch sees {len(node.gpus.names)}"
        for node in nodes
        if node.gpus.devices > len(node.gpus.names) and not node.gpus.broken
    ]
    if broken:
        cure = "look at nvidia-smi there: the driver must suit this torch; else drain the node"
        return Check("GPUs", "problem", "; ".join(broken), cure)
    if blind:
        return Check(
            "GPUs", "problem", "; ".join(blind),
            "install a torch with CUDA that suits the driver",
        )  # fmt: skip
    # The first is the driver, which on a cluster is one of the nodes, or no place of work at all.
    workplaces = nodes[1:] or nodes
    names = Counter(name for node in workplaces for name in node.gpus.names)
    if not names:
        return Check("GPUs", "ok", "none: models run on CPUs")
    return Check("GPUs", "ok", ", ".join(f"{count} x {name}" for name, count in names.items()))


def _storage(nodes: Sequence[NodeFacts], place: str) -> Check:
    wrong = [f"{node.node}: {node.storage[place]}" for node in nodes if node.storage.get(place)]
    if wrong:
        cure = "mount one shared file system at one path on every node, or use s3:// or gs://"
        return Check(f"storage {place}", "problem", "; ".join(wrong), cure)
    seen = "the same from every node, and writable" if len(nodes) > 1 else "writable"
    return Check(f"storage {place}", "ok", seen)


def _clocks(nodes: Sequence[NodeFacts]) -> Check:
    # Only what is certain counts: asking takes time itself.
    def skew(node: NodeFacts) -> float:
        return max(0.0, abs(node.clock_ahead_s) - node.clock_error_s)

    worst = max(nodes, key=skew)
    found = f"{worst.node} is off by {worst.clock_ahead_s:+.1f} s"
    cure = "run a time service (chrony, systemd-timesyncd) on every node"
    if skew(worst) > SKEW_PROBLEM_S:
        return Check("clocks", "problem", f"{found}: locks look stale that are not", cure)
    if skew(worst) > SKEW_WARNING_S:
        return Check("clocks", "warning", found, cure)
    return Check("clocks", "ok", f"within {skew(worst):.1f} s")


def _least(
    name: str,
    nodes: Sequence[NodeFacts],
    of: Callable[[NodeFacts], int],
    problem: int,
    warning: int,
    show: Callable[[int], str],
    cure: str,
) -> Check:
    """Judge the node that has least of something."""
    least = min(nodes, key=of)
    amount = of(least)
    level: Level = "problem" if amount < problem else "warning" if amount < warning else "ok"
    where = f" on {least.node}" if len(nodes) > 1 else ""
    return Check(name, level, f"{show(amount)}{where}", "" if level == "ok" else cure)


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"


def _on(nodes: Sequence[NodeFacts]) -> str:
    others = len(nodes) - 1
    return f", here and on {others} node{'s' if others > 1 else ''}" if others else ""


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
