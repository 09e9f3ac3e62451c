"""YAML becomes plain data with lines; what it would lose or run is an error."""

import pytest

from cluster.yaml_file import parse_yaml, read_yaml
from shards.errors import UsageError


def test_data_and_lines():
    file = parse_yaml("a: 1\nb:\n  c: [x, y]\n  d:\n  - e: 1e-3\n", name="f.yaml")
    assert file.data == {"a": 1, "b": {"c": ["x", "y"], "d": [{"e": 0.001}]}}
    assert file.lines["a",] == 1
    assert file.lines["b", "c", 1] == 3
    assert file.lines["b", "d", 0, "e"] == 5


def test_an_empty_file_is_an_empty_mapping():
    assert parse_yaml("", name="f").data == {}


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\nb: {c: 1}\na: 2\n",
        "a: [1, 2\n",
        "a: !!python/object/apply:os.system ['true']\n",
        "- a\n- b\n",
        "just text\n",
        "a: 1\n---\nb: 2\n",
        "a: &a [*a]\n",
        "a: " + "[" * 50_000,
        "a: 2026-13-01\n",
    ],
)
def test_what_cannot_be_a_configuration_is_refused(text):
    with pytest.raises(UsageError, match=r"^f\.yaml"):
        parse_yaml(text, name="f.yaml")


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(UsageError, match=r"missing\.yaml"):
        read_yaml(str(tmp_path / "missing.yaml"))
    (tmp_path / "latin.yaml").write_bytes(b"a: caf\xe9\n")
    with pytest.raises(UsageError, match=r"not UTF-8 text .* at byte 6"):
        read_yaml(str(tmp_path / "latin.yaml"))
    (tmp_path / "ok.yaml").write_text("a: é\n", encoding="utf-8")
    assert read_yaml(str(tmp_path / "ok.yaml")).data == {"a": "é"}
