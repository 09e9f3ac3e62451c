from __future__ import annotations

import os.path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from webdataset.tariterators import base_plus_ext

from shards.sample import (
    IMAGE_EXTENSIONS,
    Member,
    Sample,
    SampleEntry,
    image_member,
    is_hidden,
    is_safe_name,
    split_name,
)


def entry(*extensions: str) -> SampleEntry:
    members = tuple(Member(f"k.{ext}", ext, 512 * i, 1) for i, ext in enumerate(extensions))
    return SampleEntry(0, "k", members)


@pytest.mark.parametrize(
    ("name", "key", "extension"),
    [
        ("a.jpg", "a", "jpg"),
        ("train/n01/a.jpg", "train/n01/a", "jpg"),
        ("a.seg.png", "a", "seg.png"),
        ("v1.2/a.JPG", "v1.2/a", "jpg"),
        ("v1.2/README", "v1.2/README", ""),
        ("./a.cls", "./a", "cls"),
        ("a.", "a", ""),
        ("d/.hidden", "d/", "hidden"),
    ],
)
def test_split_name(name: str, key: str, extension: str) -> None:
    assert split_name(name) == (key, extension)


@settings(deadline=None)
@given(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=40))
def test_split_name_agrees_with_webdataset(name: str) -> None:
    """Where webdataset sees a sample at all: it wants a base name before a dot."""
    key, extension = base_plus_ext(name)
    if key is not None:
        assert split_name(name) == (key, extension.lower())
    else:
        ours = split_name(name)
        assert is_hidden(ours[0]) or "." not in name.rpartition("/")[2]


@pytest.mark.parametrize(
    "name",
    [
        "a.jpg",
        "a/b/c.jpg",
        "./a.jpg",
        "a..b.jpg",
        "..a/b.jpg",
        "a:b.jpg"[1:],
        "wörter/ä.jpg",
        "...x",
    ],
)
def test_safe_names(name: str) -> None:
    assert is_safe_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "", "/etc/passwd", "../a.jpg", "a/../../b.jpg", "a/..", "..", "a\0.jpg", "a/",
        "C:/a.jpg", "c:a.jpg", "\\\\host\\share\\a.jpg", "..\\a.jpg", "a\\..\\b.jpg",
    ],
)  # fmt: skip
def test_unsafe_names(name: str) -> None:
    assert not is_safe_name(name)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["..", ".", "a", "b.jpg", "", "c..d"]), max_size=6).map("/".join))
def test_a_safe_name_stays_below_its_folder(name: str) -> None:
    if is_safe_name(name):
        target = os.path.normpath(os.path.join("/root/out", name))
        assert target.startswith("/root/out")


def test_image_is_the_first_of_the_list_not_of_the_tar() -> None:
    assert image_member(entry("png", "cls", "jpg")) == Member("k.jpg", "jpg", 1024, 1)
    assert image_member(entry("cls", "json")) is None
    assert image_member(entry("seg.png", "jpg"), ("seg.png",)) == Member(
        "k.seg.png", "seg.png", 0, 1
    )


@settings(deadline=None)
@given(st.permutations(IMAGE_EXTENSIONS))
def test_image_does_not_depend_on_the_order_of_members(extensions: list[str]) -> None:
    found = image_member(entry(*extensions))
    assert found is not None
    assert found.extension == "jpg"


def test_sample_image_gives_member_and_bytes() -> None:
    sample = Sample(entry("cls", "png"), (b"7", b"pixels"))
    found = sample.image()
    assert found is not None
    assert (found[0].extension, found[1]) == ("png", b"pixels")
    assert Sample(entry("cls"), (b"7",)).image() is None
