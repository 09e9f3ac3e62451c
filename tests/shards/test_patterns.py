from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.errors import UsageError
from shards.patterns import expand_braces, has_wildcard, matches, split_at_wildcard


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a.tar", ["a.tar"]),
        ("{a,b}.tar", ["a.tar", "b.tar"]),
        ("s-{008..011}.tar", ["s-008.tar", "s-009.tar", "s-010.tar", "s-011.tar"]),
        ("s-{8..10}", ["s-8", "s-9", "s-10"]),
        ("s-{2..0}", ["s-2", "s-1", "s-0"]),
        ("{a,b}/{0..1}", ["a/0", "a/1", "b/0", "b/1"]),
        ("{a-{0..1},b}", ["a-0", "a-1", "b"]),
        ("x{,y}", ["x", "xy"]),
        ("{{0..1}}", ["0", "1"]),
    ],
)
def test_expand_braces(pattern: str, expected: list[str]) -> None:
    assert expand_braces(pattern) == expected


@settings(deadline=None)
@given(st.integers(0, 2000), st.integers(0, 300), st.integers(0, 6))
def test_ranges_count_and_keep_their_width(first: int, count: int, width: int) -> None:
    last = first + count
    width = max(width, len(str(last)))
    found = expand_braces(f"{{{first:0{width}d}..{last:0{width}d}}}")
    assert [int(text) for text in found] == list(range(first, last + 1))
    assert {len(text) for text in found} == {width}


@pytest.mark.parametrize("pattern", ["{a", "a}", "{a}", "{}", "{0..99999999}", "{0..999}" * 3])
def test_odd_braces_are_refused(pattern: str) -> None:
    with pytest.raises(UsageError):
        expand_braces(pattern)


def test_wildcards_do_not_cross_slashes() -> None:
    assert matches("b/x/a.tar", "b/*/a.tar")
    assert matches("b/a1.tar", "b/a?.tar")
    assert matches("b/a1.tar", "b/a[0-2].tar")
    assert not matches("b/x/a.tar", "b/*.tar")


def test_split_at_wildcard() -> None:
    assert has_wildcard("s3://b/x/*.tar")
    assert not has_wildcard("s3://b/x/a.tar")
    assert split_at_wildcard("s3://b/x/a-*.tar") == ("s3://b/x", "a-*.tar")
    assert split_at_wildcard("s3://b/*/a.tar") == ("s3://b", "*/a.tar")
