"""Amounts read well at any size."""

import pytest

from cluster.cli.units import byte_text, duration, plural


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (3599, "59:59"), (3661, "1:01:01")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1.5e9, "1.5 GB"), (2e15, "2000.0 TB")],
)
def test_bytes(count, text):
    assert byte_text(count) == text


def test_plurals():
    assert [plural(n, "shard") for n in (0, 1, 12000)] == ["0 shards", "1 shard", "12,000 shards"]
