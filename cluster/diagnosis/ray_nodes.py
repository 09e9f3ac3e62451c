"""Ask every node of a Ray cluster: one small actor each, which claims no resources."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from cluster.diagnosis.checks import Check
from cluster.diagnosis.node_facts import NodeFacts, node_facts
from cluster.diagnosis.shared_storage import answer

PATIENCE_S = 180.0
"""The first process on a node imports torch, perhaps from a network disk."""


class NodeActor:
    """What runs on a node; `ray.remote` is applied by `asked`."""

    def facts(self, address: str) -> NodeFacts:
        return node_facts(address=address)

    def now(self) -> float:
        return time.time()

    def answer(self, folder: str, name: str) -> str:
        return answer(folder, name)


@dataclass(frozen=True)
class Node:
    """A node that answered: its actor, its Ray id, and its address."""

    actor: Any
    node_id: str
    address: str


@contextmanager
def asked(ray: Any) -> Iterator[tuple[list[Node], list[Check]]]:
    """An actor on every living node, and a problem for each node where none can run."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    actor_class = ray.remote(NodeActor)
    nodes = []
    for found in ray.nodes():
        if found["Alive"]:
            pinned = NodeAffinitySchedulingStrategy(found["NodeID"], soft=False)
            actor = actor_class.options(num_cpus=0, scheduling_strategy=pinned).remote()
            nodes.append(Node(actor, found["NodeID"], found["NodeManagerAddress"]))
    try:
        yield _living(ray, nodes)
    finally:
        for node in nodes:
            ray.kill(node.actor)


def _living(ray: Any, nodes: Sequence[Node]) -> tuple[list[Node], list[Check]]:
    living, problems = [], []
    calls = [node.actor.now.remote() for node in nodes]
    ray.wait(calls, num_returns=len(calls), timeout=PATIENCE_S)
    for node, call in zip(nodes, calls, strict=True):
        try:
            ray.get(call, timeout=0)
            living.append(node)
        except ray.exceptions.RayError as error:
            problems.append(_cannot_run(node, error))
    return living, problems


def _cannot_run(node: Node, error: BaseException) -> Check:
    text = str(error)
    if "ModuleNotFoundError" in text or "No module named" in text:
        return Check(
            f"node {node.address}", "problem", "coursepack cannot be imported there",
            "pip install 'coursepack[ray]' on every node, in one version, or submit with "
            "--ship-code",
        )  # fmt: skip
    last = (text.strip().splitlines() or [type(error).__name__])[-1]
    return Check(
        f"node {node.address}", "problem", f"no process starts there: {last}",
        "look at the node's log, /tmp/ray/session_latest/logs/raylet.err",
    )  # fmt: skip


def ask_facts(ray: Any, nodes: Sequence[Node]) -> list[NodeFacts]:
    """The facts of each node, its clock compared with this machine's."""
    facts = ray.get([node.actor.facts.remote(node.address) for node in nodes])
    compared = []
    for node, one in zip(nodes, facts, strict=True):
        before = time.time()
        theirs = ray.get(node.actor.now.remote())
        after = time.time()
        ahead, error = theirs - (before + after) / 2, (after - before) / 2
        compared.append(replace(one, clock_ahead_s=ahead, clock_error_s=error))
    return compared


def ask_storage(ray: Any, nodes: Sequence[Node], folder: str) -> list[str]:
    """What is wrong with the place of `folder` from each node, or ""; see `shared_storage`."""
    return list(ray.get([node.actor.answer.remote(folder, node.node_id) for node in nodes]))
