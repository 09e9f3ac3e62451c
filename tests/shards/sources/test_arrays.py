from __future__ import annotations

import gzip
import io
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from shards.decode import decode
from shards.errors import CoursepackError, StorageError, UsageError
from shards.sources.arrays import array_source, encode_png, read_idx
from tests.support import images


def idx(array: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


def save(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


def savez(path: Path, **arrays: np.ndarray) -> str:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return str(path)


GREY = np.stack([images.picture(8, 6, seed=n)[:, :, 0] for n in range(5)])
COLOUR = np.stack([images.picture(8, 6, seed=n) for n in range(5)])
LABELS = np.array([3, 1, 4, 1, 5])


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_with_labels(tmp_path: Path, pack: object) -> None:
    pixels = save(tmp_path / "images", pack(idx(GREY)))  # type: ignore[operator]
    labels = save(tmp_path / "labels", pack(idx(LABELS)))  # type: ignore[operator]
    source = array_source(pixels, labels=labels)
    records = list(source.records)
    assert source.count == 5
    assert [key for key, _ in records] == [f"{n:08d}" for n in range(5)]
    for n, (_, members) in enumerate(records):
        assert list(members) == ["png", "cls"]
        assert members["cls"] == str(LABELS[n]).encode()
        assert np.array_equal(decode(members["png"], channels=1), GREY[n])


@pytest.mark.parametrize(
    "array", [COLOUR, COLOUR.transpose(0, 3, 1, 2), GREY[..., None], GREY[:, None]]
)
def test_npz_of_either_axis_order(tmp_path: Path, array: np.ndarray) -> None:
    source = array_source(savez(tmp_path / "a.npz", x=array, y=LABELS, names=np.array(["a", "b"])))
    shown = [decode(members["png"]) for _, members in source.records]
    expected = COLOUR if 3 in (array.shape[1], array.shape[3]) else np.repeat(GREY[..., None], 3, 3)
    assert np.array_equal(np.stack(shown), expected)


def test_npz_finds_its_arrays_or_asks(tmp_path: Path) -> None:
    both = savez(tmp_path / "both.npz", train=COLOUR, test=COLOUR[:2], labels=LABELS)
    with pytest.raises(UsageError, match="2 arrays could be the images"):
        array_source(both)
    assert array_source(both, images_key="test").count == 2
    with pytest.raises(UsageError, match="no array 'val'; it holds train uint8"):
        array_source(both, images_key="val")
    two = savez(tmp_path / "two.npz", x=COLOUR, fine=LABELS, coarse=LABELS // 2)
    with pytest.raises(UsageError, match="2 arrays could be the labels"):
        array_source(two)
    _, members = next(array_source(two, labels_key="fine").records)
    assert members["cls"] == b"3"


def test_npy_and_unlabeled(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, GREY)
    source = array_source(save(tmp_path / "a.npy", buffer.getvalue()))
    assert [list(members) for _, members in source.records] == [["png"]] * 5
    assert source.classes == ()


def test_class_names_need_to_cover_the_labels(tmp_path: Path) -> None:
    path = savez(tmp_path / "a.npz", x=GREY, y=LABELS)
    assert array_source(path, class_names=list("abcdef")).classes == tuple("abcdef")
    with pytest.raises(UsageError, match="label 5 has no name among 3"):
        array_source(path, class_names=list("abc"))


def test_bits_become_black_and_white(tmp_path: Path) -> None:
    source = array_source(savez(tmp_path / "a.npz", x=GREY > 100))
    _, members = next(source.records)
    assert np.array_equal(decode(members["png"], channels=1), (GREY[0] > 100) * np.uint8(255))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (GREY.astype(np.float32), "float32.*convert to uint8"),
        (GREY.astype(np.int64), "int64.*convert to uint8"),
        (np.zeros((2, 5, 6, 7), np.uint8), r"\(2, 5, 6, 7\), expected uint8"),
        (np.zeros((0, 5, 6), np.uint8), r"\(0, 5, 6\), expected uint8"),
    ],
)
def test_arrays_that_are_no_images(tmp_path: Path, array: np.ndarray, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        array_source(savez(tmp_path / "a.npz", x=array))


def test_labels_that_do_not_fit(tmp_path: Path) -> None:
    pixels = save(tmp_path / "images", idx(GREY))
    with pytest.raises(UsageError, match="0 arrays could be the labels"):
        array_source(pixels, labels=save(tmp_path / "short", idx(LABELS[:3])))
    with pytest.raises(UsageError, match="label -1"):
        array_source(savez(tmp_path / "a.npz", x=GREY, y=LABELS - 2))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (idx(GREY)[:-1], "its header says"),
        (idx(GREY) + b"x", "its header says"),
        (idx(GREY)[:6], "its header says"),
        (gzip.compress(idx(GREY), mtime=0)[:-9], "damaged gzip"),
        (images.TEXT, "not an idx file"),
        (b"", "not an idx file"),
        (b"PK\x03\x04 no zip", "no readable arrays"),
        (b"\x93NUMPY\x01\x00", "no readable arrays"),
    ],
)
def test_damaged_files(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(CoursepackError, match=message):
        array_source(save(tmp_path / "damaged", data))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="does not exist"):
        array_source(str(tmp_path / "none.npz"))


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    path = savez(tmp_path / "a.npz", x=np.array([{"a": 1}, None], dtype=object))
    with pytest.raises(UsageError, match="0 arrays could be the images"):
        array_source(path)


@settings(max_examples=50, deadline=None)
@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=4, max_side=5)))
def test_idx_comes_back(array: np.ndarray) -> None:
    assert np.array_equal(read_idx(idx(array), "a"), array)
    assert np.array_equal(read_idx(gzip.compress(idx(array)), "a"), array)


@settings(max_examples=50, deadline=None)
@given(
    hnp.arrays(
        np.uint8,
        st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3])),
    )
)
def test_png_is_lossless_and_deterministic(pixels: np.ndarray) -> None:
    data = encode_png(pixels)
    assert data == encode_png(pixels.copy())
    assert np.array_equal(decode(data), np.broadcast_to(pixels, (*pixels.shape[:2], 3)))
