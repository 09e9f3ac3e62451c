"""What facts mean: each fault is a line of its own with a cure, and sound nodes are all ok."""

from dataclasses import replace

import pytest

from cluster.diagnosis.checks import Check, judge
from cluster.diagnosis.gpu_probe import GpuFacts
from cluster.diagnosis.node_facts import NodeFacts

SOUND = NodeFacts(
    node="head",
    versions={"python": "3.12.1", "torch": "2.11.0", "ray": "2.60.0", "coursepack": "0.1.0"},
    code="a" * 64,
    cores=8,
    memory_bytes=1 << 35,
    temp_folder="/tmp",
    temp_free=1 << 40,
    shm_bytes=1 << 33,
    open_files=65536,
    gpus=GpuFacts(1, ("A100",)),
    storage={"/shared": ""},
)


def checks(*workers: NodeFacts) -> dict[str, Check]:
    return {check.name: check for check in judge([SOUND, *workers], places=["/shared"])}


def test_sound_nodes_are_ok() -> None:
    for found in (checks(), checks(replace(SOUND, node="w1"), replace(SOUND, node="w2"))):
        assert {check.level for check in found.values()} == {"ok"}
        assert all(check.found and not check.cure for check in found.values())


def test_a_driver_is_no_second_machine() -> None:
    assert checks(replace(SOUND, node="w1"))["GPUs"].found == "1 x A100"
    assert checks()["GPUs"].found == "1 x A100"


@pytest.mark.parametrize(
    ("change", "name", "level", "told"),
    [
        ({"versions": SOUND.versions | {"torch": "2.10.0"}}, "versions", "problem", "torch 2.10.0"),
        ({"versions": {}}, "versions", "problem", "ray none"),
        ({"code": "b" * 64}, "code", "problem", "w1"),
        ({"gpus": GpuFacts(2, ("A100",))}, "GPUs", "problem", "torch sees 1"),
        ({"gpus": GpuFacts(1, ("A100",), ("GPU 0: Xid",))}, "GPUs", "problem", "Xid"),
        ({"storage": {"/shared": "read only"}}, "storage /shared", "problem", "read only"),
        ({"clock_ahead_s": -60.0}, "clocks", "problem", "-60.0 s"),
        ({"clock_ahead_s": 5.0}, "clocks", "warning", "+5.0 s"),
        ({"temp_free": 10}, "temporary disk", "problem", "on w1"),
        ({"temp_free": 2 << 30}, "temporary disk", "warning", "2.1 GB"),
        ({"shm_bytes": 64 << 20}, "/dev/shm", "warning", "0.1 GB"),
        ({"open_files": 1024}, "open files", "warning", "1024"),
    ],
)
def test_each_fault_is_named_with_its_node_and_cure(
    change: dict[str, object], name: str, level: str, told: str
) -> None:
    found = checks(replace(SOUND, node="w0"), replace(SOUND, node="w1", **change))  # type: ignore[arg-type]
    assert found[name].level == level
    assert told in found[name].found
    assert "w1" in found[name].found
    assert found[name].cure
    assert {check.level for check in found.values() if check.name != name} == {"ok"}


def test_a_clock_that_was_asked_slowly_is_not_blamed() -> None:
    slow = replace(SOUND, node="w1", clock_ahead_s=40.0, clock_error_s=41.0)
    assert checks(slow)["clocks"].level == "ok"


def test_no_gpu_anywhere_is_no_fault() -> None:
    found = judge([replace(SOUND, gpus=GpuFacts())])
    assert next(check for check in found if check.name == "GPUs").level == "ok"
