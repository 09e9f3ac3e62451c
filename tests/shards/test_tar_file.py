from __future__ import annotations

import io
import tarfile

from hypothesis import given, settings
from hypothesis import strategies as st

from shards.tar_file import TarFile
from shards.tar_walk import walk

NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\:"), min_size=1
).map(lambda name: f"folder/x{name}")


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(NAMES, st.binary(max_size=1500)), max_size=5))
def test_members_lie_where_it_says(files: list[tuple[str, bytes]]) -> None:
    buffer = io.BytesIO()
    tar = TarFile(buffer)
    members = [tar.add(name, data) for name, data in files]
    tar.end()
    written = buffer.getvalue()
    assert tar.num_bytes == len(written)
    assert list(walk(written)) == members
    for member, (_, data) in zip(members, files, strict=True):
        assert written[member.offset : member.offset + member.size] == data
    with tarfile.open(fileobj=io.BytesIO(written)) as reference:
        assert [info.name for info in reference] == [name for name, _ in files]
