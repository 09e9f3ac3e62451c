from __future__ import annotations

import gzip
import tarfile
from pathlib import Path

import numpy as np
import pytest
import webdataset
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from shards import atomic, storage
from shards.copy import Pick, assemble, extract
from shards.errors import ShardError, StorageError, UsageError
from shards.index import build_index
from shards.sample import SampleEntry
from tests.support.servers import s3_bucket
from tests.support.tars import samples_tar, tar_bytes, write_tar

Samples = dict[str, dict[str, bytes]]


def samples(count: int, *, size: int = 700) -> Samples:
    rng = np.random.default_rng(count)
    return {
        f"dir/s{n:03d}": {
            "jpg": rng.bytes(size + n),
            "JSON": b'{"n": %d}' % n,
            "seg.png": rng.bytes(n % 5),
        }
        for n in range(count)
    }


def content(path: str) -> Samples:
    found: Samples = {}
    with tarfile.open(path) as tar:
        for member in tar:
            key, _, extension = member.name.partition(".")
            stream = tar.extractfile(member)
            assert stream is not None
            found.setdefault(key, {})[extension] = stream.read()
    return found


def entries_of(path: str) -> tuple[SampleEntry, ...]:
    return build_index(path).entries


@pytest.mark.parametrize("name", ["in.tar", "in.tar.gz", "in.tgz"])
def test_extract_copies_chosen_samples_byte_for_byte(tmp_path: Path, name: str) -> None:
    source = samples(20)
    shard = write_tar(tmp_path / name, samples_tar(source))
    spill = str(tmp_path / "spill.tar")
    entries = extract(shard, [13, 2, 19, 2], spill)
    wanted = [f"dir/s{n:03d}" for n in (2, 13, 19)]
    assert [(entry.index, entry.key) for entry in entries] == list(
        zip((2, 13, 19), wanted, strict=True)
    )
    assert content(spill) == {key: source[key] for key in wanted}
    data = Path(spill).read_bytes()
    for entry in entries:
        for member in entry.members:
            expected = source[entry.key][member.name.partition(".")[2]]
            assert data[member.offset : member.offset + member.size] == expected


def test_extract_of_nothing_is_an_empty_tar(tmp_path: Path) -> None:
    shard = write_tar(tmp_path / "in.tar", samples_tar(samples(3)))
    assert extract(shard, [], str(tmp_path / "spill.tar")) == ()
    assert content(str(tmp_path / "spill.tar")) == {}


def test_extract_of_what_is_not_there_leaves_nothing(tmp_path: Path) -> None:
    shard = write_tar(tmp_path / "in.tar", samples_tar(samples(3)))
    with pytest.raises(ShardError, match="has no sample 3"):
        extract(shard, [1, 3], str(tmp_path / "spill.tar"))
    with pytest.raises(ValueError, match="sample -1"):
        extract(shard, [-1], str(tmp_path / "spill.tar"))
    cut = write_tar(tmp_path / "cut.tar", samples_tar(samples(3))[:7500])
    with pytest.raises(ShardError, match="not what was scored"):
        extract(cut, [0, 2], str(tmp_path / "spill.tar"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.tar", "in.tar"]


def picks_of(shard: str, order: list[int], **changes: object) -> list[Pick]:
    entries = entries_of(shard)
    return [Pick(shard, entries[n], **changes) for n in order]  # type: ignore[arg-type]


@pytest.mark.parametrize("window_bytes", [1, 3000, 1 << 20])
def test_assemble_writes_samples_of_many_tars_in_the_order_given(
    tmp_path: Path, window_bytes: int
) -> None:
    first, second = samples(8), {f"other{n}": {"png": b"%d" % n * 900} for n in range(8)}
    a = write_tar(tmp_path / "a.tar", samples_tar(first))
    b = write_tar(tmp_path / "b.tar", samples_tar(second, format="pax"))
    picks = picks_of(a, [5, 1, 7]) + picks_of(b, [7, 0]) + picks_of(a, [0])
    out = str(tmp_path / "out.tar")
    entries = assemble(out, picks, window_bytes=window_bytes)
    keys = [pick.entry.key for pick in picks]
    assert [entry.key for entry in entries] == keys
    assert list(content(out)) == keys
    assert content(out) == {key: (first | second)[key] for key in keys}
    assert entries == entries_of(out)


def test_assembled_shards_are_read_by_webdataset(tmp_path: Path) -> None:
    source = samples(5)
    shard = write_tar(tmp_path / "in.tar", samples_tar(source))
    out = str(tmp_path / "out.tar")
    assemble(out, picks_of(shard, [3, 0]))
    seen = list(webdataset.WebDataset(out, shardshuffle=False))
    assert [sample["__key__"] for sample in seen] == ["dir/s003", "dir/s000"]
    assert [sample["jpg"] for sample in seen] == [
        source["dir/s003"]["jpg"],
        source["dir/s000"]["jpg"],
    ]


def test_output_keys_rename_all_members_of_a_sample(tmp_path: Path) -> None:
    source = samples(3)
    shard = write_tar(tmp_path / "in.tar", samples_tar(source))
    out = str(tmp_path / "out.tar")
    entries = entries_of(shard)
    assemble(out, [Pick(shard, entries[1], "new/name"), Pick(shard, entries[1])])
    assert content(out) == {"new/name": source["dir/s001"], "dir/s001": source["dir/s001"]}
    with tarfile.open(out) as tar:
        assert tar.getnames()[:3] == ["new/name.jpg", "new/name.JSON", "new/name.seg.png"]


def test_members_without_an_extension_are_kept(tmp_path: Path) -> None:
    shard = write_tar(tmp_path / "in.tar", tar_bytes([("README", b"text"), ("a.jpg", b"image")]))
    out = str(tmp_path / "out.tar")
    assemble(out, picks_of(shard, [1, 0]))
    with tarfile.open(out) as tar:
        assert tar.getnames() == ["a.jpg", "README"]


@settings(max_examples=40, deadline=None)
@given(
    chosen=st.lists(st.integers(0, 11), unique=True, max_size=12),
    spilled=st.sets(st.integers(0, 11)),
    window_bytes=st.integers(1, 20_000),
)
def test_spill_and_assemble_equal_direct_copies(
    tmp_path_factory: pytest.TempPathFactory,
    chosen: list[int],
    spilled: set[int],
    window_bytes: int,
) -> None:
    folder = tmp_path_factory.mktemp("copy")
    source = samples(12)
    shard = write_tar(folder / "in.tar", samples_tar(source))
    packed = write_tar(folder / "in.tar.gz", samples_tar(source))
    spill = str(folder / "spill.tar")
    moved = {entry.index: entry for entry in extract(packed, spilled, spill)}
    entries = entries_of(shard)
    picks = [Pick(spill, moved[n]) if n in moved else Pick(shard, entries[n]) for n in chosen]
    assemble(str(folder / "out.tar"), picks, window_bytes=window_bytes)
    assemble(str(folder / "direct.tar"), [Pick(shard, entries[n]) for n in chosen])
    assert (folder / "out.tar").read_bytes() == (folder / "direct.tar").read_bytes()
    assert list(content(str(folder / "out.tar"))) == [f"dir/s{n:03d}" for n in chosen]


def test_a_changed_image_is_an_error_never_a_wrong_image(tmp_path: Path) -> None:
    source = samples(3)
    shard = write_tar(tmp_path / "in.tar", samples_tar(source))
    entries = entries_of(shard)
    hashes = [xxhash.xxh3_128_digest(source[entry.key]["jpg"]) for entry in entries]
    picks = [Pick(shard, e, None, h) for e, h in zip(entries, hashes, strict=True)]
    out = str(tmp_path / "out.tar")
    assemble(out, picks)
    data = bytearray(Path(shard).read_bytes())
    data[entries[1].members[0].offset + 5] ^= 1
    Path(shard).write_bytes(data)
    Path(out).unlink()
    with pytest.raises(
        ShardError, match=r"sample 1 \('dir/s001'\) is not what was scored"
    ) as error:
        assemble(out, picks)
    assert error.value.shard == shard
    assert [path.name for path in tmp_path.iterdir()] == ["in.tar"]


def test_the_hash_is_of_the_image_that_was_scored(tmp_path: Path) -> None:
    shard = write_tar(tmp_path / "in.tar", samples_tar({"a": {"jpg": b"one", "png": b"two"}}))
    pick = Pick(shard, entries_of(shard)[0], None, xxhash.xxh3_128_digest(b"two"))
    assemble(str(tmp_path / "out.tar"), [pick], image_ext=("png",))
    with pytest.raises(ShardError, match="hashes to"):
        assemble(str(tmp_path / "out.tar"), [pick])
    with pytest.raises(ShardError, match="has no image"):
        assemble(str(tmp_path / "out.tar"), [pick], image_ext=("webp",))


def test_a_source_that_got_shorter_or_vanished(tmp_path: Path) -> None:
    shard = write_tar(tmp_path / "in.tar", samples_tar(samples(3)))
    picks = picks_of(shard, [0, 2])
    Path(shard).write_bytes(Path(shard).read_bytes()[:3000])
    with pytest.raises(ShardError, match="shorter than when it was indexed"):
        assemble(str(tmp_path / "out.tar"), picks)
    Path(shard).unlink()
    with pytest.raises(StorageError, match="does not exist"):
        assemble(str(tmp_path / "out.tar"), picks)
    assert list(tmp_path.iterdir()) == []


def test_picks_that_cannot_be_written(tmp_path: Path) -> None:
    shard = write_tar(tmp_path / "in.tar", samples_tar(samples(3)))
    packed = write_tar(tmp_path / "in.tar.gz", samples_tar(samples(3)))
    entry = entries_of(shard)[0]
    out = str(tmp_path / "out.tar")
    with pytest.raises(UsageError, match="'dir/s000' twice"):
        assemble(out, [Pick(shard, entry), Pick(shard, entry)])
    for key in ("../up", "/root", "a.b", ""):
        with pytest.raises(UsageError, match="expected a relative path"):
            assemble(out, [Pick(shard, entry, key)])
    with pytest.raises(StorageError, match="extract from it first"):
        assemble(out, [Pick(packed, entry)])
    with pytest.raises(ValueError, match="is not one of sample"):
        assemble(out, [Pick(shard, SampleEntry(0, "wrong", entry.members))])


def test_sources_and_outputs_may_be_remote() -> None:
    source = samples(30, size=6000)
    with s3_bucket("copy") as bucket:
        shard, packed = f"{bucket}/in.tar", f"{bucket}/in.tar.gz"
        atomic.write_bytes(shard, samples_tar(source))
        atomic.write_bytes(packed, gzip.compress(samples_tar(source)))
        spill, out = f"{bucket}/tmp/spill.tar", f"{bucket}/out/x.tar"
        moved = extract(packed, [4, 20], spill)
        entries = entries_of(shard)
        picks = [Pick(shard, entries[n]) for n in (29, 3, 17)] + [Pick(spill, e) for e in moved]
        written = assemble(out, picks, readers=4)
        keys = [f"dir/s{n:03d}" for n in (29, 3, 17, 4, 20)]
        assert [entry.key for entry in written] == keys
        assert written == entries_of(out)
        for entry in written:
            for member in entry.members:
                data = storage.read_range(out, member.offset, member.size)
                assert data == source[entry.key][member.name.partition(".")[2]]
        with pytest.raises(StorageError):
            assemble(f"{bucket}/never.tar", [Pick(f"{bucket}/none.tar", entries[0])])
        assert not storage.exists(f"{bucket}/never.tar")
