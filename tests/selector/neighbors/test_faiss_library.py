import sys

import pytest

from selector.neighbors.faiss_library import load_faiss, num_gpus
from shards.errors import UsageError


def test_without_faiss_the_message_names_both_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(UsageError, match=r"coursepack\[cpu\].*coursepack\[gpu\]"):
        load_faiss()


def test_gpus_are_counted() -> None:
    pytest.importorskip("faiss", reason="needs the extra `cpu`")
    assert num_gpus() >= 0
