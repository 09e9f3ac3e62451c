"""Examples survive rich markup."""

from rich.text import Text

from cluster.cli.options import example


def test_brackets_of_an_example_are_text():
    epilog = example("coursepack shards info 'p-[0-9].tar'", "coursepack demo")
    shown = Text.from_markup(epilog).plain
    assert shown.split("\n\n") == [
        "Example:",
        "$ coursepack shards info 'p-[0-9].tar'",
        "$ coursepack demo",
    ]
