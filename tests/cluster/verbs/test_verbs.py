"""Every verb of the command line is a function of the same name (`runs list`: `runs_list`)."""

import inspect

import pytest

import cluster
from cluster.cli.reference import commands

VERBS = {
    name.removeprefix("coursepack ").removeprefix("shards ").replace(" ", "_")
    for name, _ in commands()
} - {"demo"}


def test_the_package_exports_the_verbs():
    assert set(cluster.__all__) == VERBS | {"open_query", "open_tables"}


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_each_is_a_documented_function_of_that_name(verb):
    function = getattr(cluster, verb)
    assert inspect.isfunction(function)
    assert function.__name__ == verb
    assert "Raises:" in function.__doc__


def test_an_unknown_verb_is_no_attribute():
    with pytest.raises(AttributeError, match="scroe"):
        cluster.scroe  # noqa: B018
