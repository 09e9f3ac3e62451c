from __future__ import annotations

from dataclasses import dataclass

from cluster.crew import PLENTY, Crew


@dataclass(frozen=True)
class Item:
    name: str
    num_bytes: int = 1


def crew_of(workers: int) -> Crew:
    crew = Crew()
    for worker in range(workers):
        crew.join(worker)
    return crew


def test_idle_workers_first_and_a_second_task_only_while_there_are_plenty() -> None:
    crew = crew_of(2)
    assert crew.next_for(100) == 0
    assert crew.give(0, Item("a"))
    assert crew.next_for(100) == 1
    assert crew.give(1, Item("b"))
    assert crew.next_for(2 * PLENTY + 1) == 0
    assert crew.next_for(2 * PLENTY) is None, "at the end nothing waits behind another task"
    crew.starting.add(2)
    assert crew.next_for(2 * PLENTY + 1) is None, "some are kept for who is about to start"
    assert not crew.give(0, Item("c"))
    assert not crew.give(1, Item("d"))
    assert crew.next_for(100) is None, "no more than two each"
    assert (crew.in_hand, crew.size) == (4, 3)


def test_who_leaves_gives_up_all_it_had_and_names_find_their_task() -> None:
    crew = crew_of(1)
    for name in "ab":
        crew.give(0, Item(name))
    assert crew.take_back(0, "b").name == "b"
    assert [(worker, task.name) for worker, task in crew.working()] == [(0, "a")]
    assert crew.oldest(0) == Item("a")
    assert [task.name for task in crew.leave(0)] == ["a"]
    assert crew.in_hand == crew.size == 0
    assert crew.next_for(1) is None
    assert not crew.leave(7)
