"""Text from untrusted files cannot command the terminal."""

from hypothesis import given
from hypothesis import strategies as st

from cluster.cli.text import printable, without_colours


def test_escape_sequences_are_shown_not_run():
    assert printable("a\x1b[2Jb\x9bc\rd") == "a\\x1b[2Jb\\x9bc\\rd"


def test_ordinary_text_stays():
    assert printable("Café/猫 0001.jpg\n\tline") == "Café/猫 0001.jpg\n\tline"


@given(st.text(st.characters(codec=None)))
def test_result_is_encodable_and_free_of_control_characters(text):
    result = printable(text)
    result.encode()
    assert all(char.isprintable() or char in "\n\t" for char in result)


def test_colours_go_and_other_commands_stay_to_be_shown():
    assert without_colours("\x1b[36m(pid=1)\x1b[0m a\x1b[2J") == "(pid=1) a\x1b[2J"
