from pathlib import Path

import pytest

from selector.recipe import load_recipe, ready_recipes, recipe_hash, recipe_text
from shards.errors import StorageError, UsageError

FULL = """
name: dfnd-quota                 # every step narrows or orders; steps run top to bottom
source: {where: "status = 'ok' AND width >= 32"}
steps:
  - exclude: {list: takedown.txt}                  # keys, row_ids or content hashes
  - exclude: {duplicates: semantic}                # a fact table by kind
  - quota: {by: pseudo_label, n: 600, order: noise_value, shortage: redistribute}
  - take: {n: 600000, order: noise_value}
  - sample: {n: 50000, seed: 0}
"""


def test_a_recipe_of_every_step_is_read() -> None:
    recipe = load_recipe(FULL)
    assert recipe.name == "dfnd-quota"
    assert recipe.source.where == "status = 'ok' AND width >= 32"
    assert [next(name for name, value in step if value) for step in recipe.steps] == [
        "exclude",
        "exclude",
        "quota",
        "take",
        "sample",
    ]


def test_file_text_data_and_name_are_the_same_recipe(tmp_path: Path) -> None:
    text = ready_recipes()["dfnd"]
    (tmp_path / "mine.yaml").write_text(text)
    recipe = load_recipe("dfnd")
    assert load_recipe(str(tmp_path / "mine.yaml")) == recipe
    assert load_recipe(text) == recipe
    data = {"name": "dfnd", "source": {"where": "status = 'ok'"}, "steps": [
        {"take": {"n": 600000, "order": "noise_value"}}
    ]}  # fmt: skip
    assert load_recipe(data) == recipe


@pytest.mark.parametrize("name", ["dfnd", "dfnd-quota", "random", "everything"])
def test_ready_recipes_are_valid_and_named_like_their_file(name: str) -> None:
    assert load_recipe(name).name == name
    assert set(ready_recipes()) == {
        "dfnd",
        "dfnd-quota",
        "random",
        "everything",
        "pu-s1",
        "pu-s2",
        "pu-noise",
        "pu-top",
        "baseline-ground-truth",
        "baseline-random",
    }


def test_written_back_it_is_the_same_recipe(tmp_path: Path) -> None:
    (tmp_path / "takedown.txt").write_text("x\n")
    (tmp_path / "full.yaml").write_text(FULL)
    recipe = load_recipe(str(tmp_path / "full.yaml"))
    assert load_recipe(recipe_text(recipe)) == recipe
    assert load_recipe(recipe_text(load_recipe("everything"))) == load_recipe("everything")


def test_lists_are_relative_to_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "full.yaml").write_text(FULL)
    assert f"list: {tmp_path}/takedown.txt" in recipe_text(load_recipe(f"{tmp_path}/full.yaml"))
    monkeypatch.chdir(tmp_path)
    assert f"list: {tmp_path}/takedown.txt" in recipe_text(load_recipe("full.yaml"))
    for path in ("/abs/list.txt", "s3://bucket/list.txt"):
        text = f"steps:\n- any:\n  - exclude: {{list: '{path}'}}\n"
        assert f"list: {path}" in recipe_text(load_recipe(text))


def test_n_can_be_given_from_outside() -> None:
    assert load_recipe("dfnd", n=10).steps[0].take.n == 10
    assert load_recipe("dfnd-quota", n=10).steps[0].quota.n == 10
    assert load_recipe("random", n=10).steps[0].sample.n == 10
    with pytest.raises(UsageError, match="exactly one step has an n, found none"):
        load_recipe("everything", n=10)
    with pytest.raises(UsageError, match=r"found steps\[2\]\.quota, steps\[3\]\.take"):
        load_recipe(FULL, n=10)
    with pytest.raises(UsageError, match="greater than 0, found 0"):
        load_recipe("dfnd", n=0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps:\n- take: {n: 5, odrer: x}\n", "recipe: steps[0].take: unknown key 'odrer'"),
        ("steps:\n- take: {n: '5', order: x}\n", "steps[0].take.n: Input should be a valid int"),
        ("steps:\n- take: {n: '5', order: x}\n", "found '5'"),
        ("steps:\n- any:\n  - where: 5\n", "steps[0].any[0].where: Input should be a valid str"),
        ("steps:\n- exclude: {list: 5}\n", "steps[0].exclude.list: "),
        ("stesp: []\n", "top: unknown key 'stesp'; did you mean 'steps'?"),
        ("name: x\n", "steps: missing, but required"),
        ("steps:\n- take\n", "steps[0]: Input should be a valid dictionary"),
        ("steps: []\nsteps: []\n", "recipe, line 2: key 'steps' stands there twice"),
        ("\n", "expected `name: value` lines"),
    ],
)
def test_wrong_recipes_name_the_place(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_recipe(text)
    assert message in str(caught.value)


def test_the_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("steps: 5\n")
    with pytest.raises(UsageError, match=r"r\.yaml: steps: .* found 5"):
        load_recipe(str(path))
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="UTF-8"):
        load_recipe(str(path))
    with pytest.raises(StorageError, match=r"gone\.yaml"):
        load_recipe(str(tmp_path / "gone.yaml"))


def test_an_unknown_ready_recipe_gets_a_suggestion() -> None:
    with pytest.raises(UsageError, match="did you mean 'dfnd'"):
        load_recipe("dnfd")
    with pytest.raises(
        UsageError,
        match="ready ones are baseline-ground-truth, baseline-random, dfnd, dfnd-quota, everything",
    ):
        load_recipe("zzzzzz")


def test_the_hash_is_that_of_what_is_selected() -> None:
    def hashed(text: str, content: str = "") -> str:
        recipe = load_recipe(text)
        return recipe_hash(recipe, list_hashes={"/a.txt": content, "/b.txt": content})

    take = "steps:\n- take: {n: 5, order: noise_value}\n"
    assert hashed(take) == hashed("name: other\n" + take)
    assert hashed(take) == hashed("steps:\n- take:\n    order: noise_value\n    n: 5\n")
    assert hashed(take) == hashed("steps:\n- take: {n: 5, order: noise_value, shortage: error}\n")
    assert hashed(take) != hashed(take.replace("5", "6"))
    assert hashed(take) != hashed("source: {status: any}\n" + take)
    listed = "steps:\n- exclude: {list: /a.txt}\n"
    assert hashed(listed, "same") == hashed(listed.replace("a.txt", "b.txt"), "same")
    assert hashed(listed, "one") != hashed(listed, "two")
