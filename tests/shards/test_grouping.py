from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from shards.grouping import group_samples
from shards.sample import Data, Member, Problem, Sample, split_name
from shards.tar_walk import TarDamage


def members(names: list[str], damage: TarDamage | None = None) -> Iterator[tuple[Member, Data]]:
    for position, name in enumerate(names):
        yield Member(name, split_name(name)[1], 1024 * position + 512, 1), b"%d" % position
    if damage is not None:
        raise damage


def grouped(
    names: list[str], damage: TarDamage | None = None
) -> tuple[list[Sample], list[Problem]]:
    problems: list[Problem] = []
    samples = group_samples(members(names, damage), shard="s.tar", problems=problems)
    return list(samples), problems


def shapes(samples: list[Sample]) -> list[tuple[str, list[str]]]:
    return [(s.entry.key, [m.extension for m in s.entry.members]) for s in samples]


def cut(member: str | None, kind: str = "truncated") -> TarDamage:
    return TarDamage("ends", shard="s.tar", kind=kind, offset=9999, member=member)  # type: ignore[arg-type]


def test_consecutive_members_of_one_key_are_one_sample() -> None:
    samples, problems = grouped(["a.jpg", "a.cls", "b.jpg", "d/a.jpg", "d/a.json"])
    assert shapes(samples) == [("a", ["jpg", "cls"]), ("b", ["jpg"]), ("d/a", ["jpg", "json"])]
    assert [s.entry.index for s in samples] == [0, 1, 2]
    assert samples[0].data == (b"0", b"1")
    assert problems == []
    assert all(s.error is None for s in samples)


def test_a_repeated_extension_starts_a_new_sample() -> None:
    samples, problems = grouped(["a.jpg", "a.cls", "a.JPG", "a.cls"])
    assert shapes(samples) == [("a", ["jpg", "cls"]), ("a", ["jpg", "cls"])]
    assert [p.kind for p in problems] == ["repeated_member"]


def test_a_key_that_returns_is_told_and_never_merged() -> None:
    samples, problems = grouped(["a.jpg", "b.jpg", "a.jpg"])
    assert len(samples) == 3
    assert [(p.kind, p.member) for p in problems] == [("duplicate_key", "a")]
    samples, problems = grouped(["a.jpg", "b.jpg", "a.cls"])
    assert shapes(samples) == [("a", ["jpg"]), ("b", ["jpg"]), ("a", ["cls"])]
    assert [p.kind for p in problems] == ["split_sample"]


def test_hidden_members_are_ignored_even_inside_a_sample() -> None:
    samples, problems = grouped(["._a.jpg", "a.jpg", "d/.DS_Store", "a.cls"])
    assert shapes(samples) == [("a", ["jpg", "cls"])]
    assert [p.kind for p in problems] == ["ignored_member", "ignored_member"]


def test_unsafe_names_are_samples_with_an_error() -> None:
    samples, problems = grouped(["ok.jpg", "../evil.jpg", "../evil.cls", "/abs.jpg", "../.x"])
    assert [s.error is None for s in samples] == [True, False, False, False]
    assert "'../evil.jpg'" in str(problems[0].detail)
    assert {p.kind for p in problems} == {"unsafe_name"}


def test_the_cut_member_becomes_a_sample_with_an_error() -> None:
    samples, problems = grouped(["a.jpg", "a.cls"], cut("b.jpg"))
    assert shapes(samples) == [("a", ["jpg", "cls"]), ("b", [])]
    assert samples[0].error is None
    assert samples[1].error == "truncated shard: ends"
    assert [(p.kind, p.member) for p in problems] == [("truncated", "b.jpg")]


def test_a_sample_whose_member_is_cut_keeps_the_others_and_an_error() -> None:
    samples, _ = grouped(["a.jpg", "a.cls"], cut("a.json"))
    assert shapes(samples) == [("a", ["jpg", "cls"])]
    assert samples[0].error is not None


def test_a_sample_open_at_unreadable_bytes_may_lack_members() -> None:
    samples, problems = grouped(["a.jpg", "b.jpg"], cut(None, "corrupt"))
    assert [s.error is None for s in samples] == [True, False]
    assert problems[0].kind == "corrupt"


def test_damage_before_any_sample() -> None:
    assert shapes(grouped([], cut("a.jpg"))[0]) == [("a", [])]
    assert grouped([], cut(None))[0] == []
    assert grouped([], cut("d/.x"))[0] == []


def test_an_empty_shard_is_told() -> None:
    assert [p.kind for p in grouped([])[1]] == ["empty"]
    assert [p.kind for p in grouped([".x"])[1]] == ["ignored_member", "empty"]


@settings(deadline=None)
@given(st.lists(st.sampled_from("abc"), max_size=12), st.data())
def test_every_member_is_in_exactly_one_sample(keys: list[str], data: st.DataObject) -> None:
    names = [f"{key}.{data.draw(st.sampled_from(['jpg', 'cls', 'txt']))}" for key in keys]
    samples, problems = grouped(names)
    assert [m.name for s in samples for m in s.entry.members] == names
    assert [s.entry.index for s in samples] == list(range(len(samples)))
    assert all(len({m.extension for m in s.entry.members}) == len(s.data) for s in samples)
    told = [p for p in problems if p.kind != "empty"]
    assert len(told) == len(samples) - len(set(keys))
