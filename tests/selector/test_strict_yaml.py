import pytest

from selector.strict_yaml import MAX_CHARACTERS, parse_mapping
from shards.errors import UsageError


def test_plain_data_comes_back() -> None:
    text = "a: 1\nb: [x, 2.5, null, true]\nc: {d: '5'}\n"
    expected = {"a": 1, "b": ["x", 2.5, None, True], "c": {"d": "5"}}
    assert parse_mapping(text, where="f.yaml") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "f.yaml, line 3: key 'a' stands there twice"),
        ("a:\n  b: 1\n  b: 1\n", "f.yaml, line 3: key 'b' stands there twice"),
        ("a: &x [1]\nb: *x\n", "f.yaml, line 2: aliases are not allowed"),
        ("a: !!python/object/apply:os.system [true]\n", "f.yaml, line 1: could not determine"),
        ("1: a\n", "f.yaml, line 1: key 1 is no text"),
        ("- a\n", "f.yaml: found list"),
        ("", "f.yaml: found nothing"),
        ("a: [1\n", "f.yaml, line 2: "),
        ("a: b: c\n", "f.yaml, line 1: mapping values are not allowed here"),
        ("a: \x00\n", "f.yaml: no readable YAML"),
        ("[" * 5000, "f.yaml"),
        ("#" * (MAX_CHARACTERS + 1), "expected a few lines"),
    ],
)
def test_anything_else_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_mapping(text, where="f.yaml")
    assert message in str(caught.value)
