"""`doctor`: is this machine, or every node of a cluster, fit to run?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from cluster.diagnosis.checks import Check, judge
from cluster.diagnosis.node_facts import NodeFacts, node_facts
from cluster.diagnosis.shared_storage import answer, check_answer, question
from cluster.ray_token import token_source
from shards.errors import CoursepackError


@dataclass(frozen=True)
class DoctorReport:
    """What was found.

    Attributes:
        nodes: Facts of every node that answered; the first is this machine.
        checks: One line each, see `Check`.
    """

    nodes: list[NodeFacts]
    checks: list[Check]

    @property
    def exit_code(self) -> int:
        """1 where there is a problem; warnings alone are no failure."""
        return int(any(check.level == "problem" for check in self.checks))

    def lines(self) -> list[str]:
        """The page for a reader."""
        width = max(len(check.name) for check in self.checks)
        rows = []
        for check in self.checks:
            rows.append(f"{check.level:<8} {check.name:<{width}}  {check.found}")
            if check.cure:
                rows.append(f"{'':<8} {'':<{width}}  -> {check.cure}")
        return rows


def doctor(places: Sequence[str] = (), *, address: str | None = None) -> DoctorReport:
    """Check versions, code, GPUs, storage, clocks and limits, here or on every node of a cluster.

    Args:
        places: Folders or URIs that every node must share and be able to write (pool, run).
        address: Ray cluster, as for `score`; None checks this machine alone, without Ray.

    Raises:
        UsageError: Ray is asked for and not installed; a place that cannot be named.
    """
    here = _answered([node_facts()], places)
    if address is None:
        return DoctorReport(here, judge(here, places=places))
    from cluster.ray_executor import connect

    token = _token_check()
    try:
        ray = connect(address)
    except CoursepackError as error:
        if error.exit_code == 2:
            raise
        cluster = Check("cluster", "problem", str(error))
        return DoctorReport(here, [token, cluster, *judge(here, places=places)])
    nodes, unreachable = _ask_cluster(ray, here[0], places)
    cluster = _cluster_check(ray, len(nodes) - 1)
    return DoctorReport(nodes, [token, cluster, *unreachable, *judge(nodes, places=places)])


def _answered(nodes: list[NodeFacts], places: Sequence[str]) -> list[NodeFacts]:
    """This machine alone, asked about each place."""
    storage: dict[str, str] = {}
    for place in places:
        try:
            with question(place) as folder:
                storage[place] = answer(folder, "here") or check_answer(folder, "here")
        except CoursepackError as error:
            storage[place] = str(error)
    return [replace(node, storage=storage) for node in nodes]


def _ask_cluster(
    ray: Any, here: NodeFacts, places: Sequence[str]
) -> tuple[list[NodeFacts], list[Check]]:
    from cluster.diagnosis import ray_nodes

    with ray_nodes.asked(ray) as (nodes, unreachable):
        facts = ray_nodes.ask_facts(ray, nodes)
        for place in places:
            if here.storage[place]:  # not even this machine can use it
                continue
            with question(place) as folder:
                told = ray_nodes.ask_storage(ray, nodes, folder)
                seen = [
                    wrong or check_answer(folder, node.node_id)
                    for node, wrong in zip(nodes, told, strict=True)
                ]
            facts = [
                replace(one, storage=one.storage | {place: wrong})
                for one, wrong in zip(facts, seen, strict=True)
            ]
    return [here, *facts], unreachable


def _token_check() -> Check:
    found = token_source()
    if found.warning:
        return Check("token", "warning", found.warning, "ray get-auth-token --generate makes one")
    if found.mode != "token":
        cure = "export RAY_AUTH_MODE=token on every node and client before `ray start`"
        told = f"taken from {found.source}, " if found.source else ""
        return Check("token", "warning", f"{told}RAY_AUTH_MODE is not set to token here", cure)
    if not found.source:
        return Check("token", "problem", "no token here", "ray get-auth-token --generate")
    return Check("token", "ok", f"taken from {found.source}")


def _cluster_check(ray: Any, answered: int) -> Check:
    total = ray.cluster_resources()
    return Check(
        "cluster", "ok",
        f"{answered} node{'s' if answered != 1 else ''} answered: {total.get('CPU', 0):g} CPUs, "
        f"{total.get('GPU', 0):g} GPUs for Ray",
    )  # fmt: skip
