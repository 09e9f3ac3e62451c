import json
from pathlib import Path

import pyarrow as pa
import pytest

from selector.recipe import load_recipe
from selector.selection import select
from selector.tables.query import query
from selector.tables.selections import read_selection
from selector.tables.write import write_table_list
from shards.errors import UsageError
from tests.selector.selecting.reference import select_reference
from tests.support.runs import SyntheticRun, write_facts, write_run
from tests.support.servers import s3_bucket

TOP = {"steps": [{"take": {"n": 20, "order": "noise_value"}}]}


@pytest.fixture
def run(tmp_path: Path) -> SyntheticRun:
    return write_run(tmp_path / "run")


def files(folder: str) -> dict[str, tuple[bytes, int]]:
    return {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in Path(folder).iterdir()}


def test_the_n_smallest_are_selected_and_stored(run: SyntheticRun) -> None:
    selection = select(run.root, TOP, "top")
    assert (selection.name, selection.num_rows, selection.written) == ("top", 20, True)
    expected = query(
        run.root,
        "SELECT row_id FROM scores WHERE status = 'ok' "
        "ORDER BY noise_value, content_hash, row_id LIMIT 20",
    )["row_id"].to_pylist()
    table = read_selection(run.layout, "top")
    assert table["row_id"].to_pylist() == sorted(expected)
    assert set(table["reason"].to_pylist()) == {"take 20 lowest noise_value"}
    assert table["weight"].type == pa.float32()
    assert sorted(p.name for p in Path(selection.path).iterdir()) == [
        "recipe.yaml",
        "selection.parquet",
        "stats.json",
    ]
    assert load_recipe(f"{selection.path}/recipe.yaml") == load_recipe(TOP)


def test_stats_tell_what_each_step_did(run: SyntheticRun) -> None:
    recipe = {
        "source": {"where": "width >= 32"},
        "steps": [
            {"exclude": {"list": ["s00000/img000000", "nobody"]}},
            {"quota": {"by": "pseudo_label", "n": 9, "order": "margin", "shortage": "accept"}},
            {"sample": {"n": 30}},
        ],
    }
    stats = select(run.root, recipe, "mixed").stats
    assert stats == json.loads(Path(run.layout.selection_dir("mixed"), "stats.json").read_text())
    assert stats["num_pool_rows"] == 300
    assert stats["num_rows"] == 30
    assert stats["tables"] == {"scores": 1}
    exclude, quota, sample = stats["steps"]
    assert exclude["rows_in"] == stats["num_candidates"]
    assert exclude["rows_in"] - exclude["rows_out"] in (0, 1)
    assert quota["rows_in"] == exclude["rows_out"]
    assert len(quota["cuts"]) == 10
    assert sum(cut["kept"] for cut in quota["cuts"]) == quota["rows_out"] == sample["rows_in"]
    assert quota["cuts"][0]["name"] == "0 (airplane)"
    assert quota["cuts"][0]["kept"] == 9
    assert any("1 of 2 entries" in warning for warning in stats["warnings"])
    assert any("left short" in warning for warning in stats["warnings"])


@pytest.mark.parametrize(
    "recipe",
    [
        "everything",
        {"steps": [{"sample": {"n": 50, "seed": 9}}]},
        {"steps": [{"take": {"quantile": 0.29, "order": "max_prob"}}]},
        {
            "steps": [
                {
                    "quota": {
                        "by": "pseudo_label",
                        "n": 15,
                        "order": "noise_value",
                        "shortage": "redistribute",
                    }
                }
            ]
        },
    ],
)
def test_recipes_select_what_the_plain_way_selects(run: SyntheticRun, recipe) -> None:
    select(run.root, recipe, "x")
    steps = [] if recipe == "everything" else recipe["steps"]
    expected = select_reference(run.scores.to_pylist(), steps)
    assert read_selection(run.layout, "x")["row_id"].to_pylist() == sorted(expected)


def test_the_same_again_rewrites_nothing(run: SyntheticRun) -> None:
    first = select(run.root, TOP, "top")
    before = files(first.path)
    again = select(run.root, {"name": "another", **TOP}, "top")
    assert not again.written
    assert again.stats == first.stats
    assert files(first.path) == before


def test_the_same_recipe_gives_the_same_bytes_in_any_run_directory(tmp_path: Path) -> None:
    contents = []
    for name, threads in (("a", 1), ("b", 2)):
        root = write_run(tmp_path / name).root
        select(root, "dfnd-quota", "q", n=12, threads=threads)
        path = Path(root, "selections", "q")
        contents.append({file.name: file.read_bytes() for file in path.iterdir()})
    assert contents[0] == contents[1]


def test_a_taken_name_is_refused_with_the_difference(run: SyntheticRun) -> None:
    select(run.root, TOP, "top")
    with pytest.raises(UsageError, match=r"another recipe \(- n: 20; \+ n: 21\).*--overwrite"):
        select(run.root, TOP, "top", n=21)
    assert select(run.root, TOP, "top", n=21, overwrite=True).num_rows == 21
    assert read_selection(run.layout, "top").num_rows == 21
    with pytest.raises(UsageError, match="by case alone"):
        select(run.root, TOP, "TOP")


def test_new_shards_make_another_selection(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    parts = [run.layout.scores_part(f"{shard:08d}-00000000") for shard in range(3)]
    write_table_list(run.layout, "scores", parts[:2])
    first = select(run.root, TOP, "top")
    assert first.stats["num_pool_rows"] == 200
    write_table_list(run.layout, "scores", parts)
    message = r"other tables \(there: \{'scores': 2\}, now: \{'scores': 3\}\)"
    with pytest.raises(UsageError, match=message):
        select(run.root, TOP, "top")
    assert select(run.root, TOP, "top", overwrite=True).stats["num_pool_rows"] == 300


def test_a_changed_takedown_list_is_another_recipe(run: SyntheticRun, tmp_path: Path) -> None:
    takedown = tmp_path / "takedown.txt"
    takedown.write_text("s00000/img000001\n")
    recipe = {"steps": [{"exclude": {"list": str(takedown)}}]}
    select(run.root, recipe, "rest")
    takedown.write_text("# reordered\n\ns00000/img000001\n")
    assert not select(run.root, recipe, "rest").written
    takedown.write_text("s00000/img000002\n")
    with pytest.raises(UsageError, match="the content of its lists"):
        select(run.root, recipe, "rest")


def test_failed_images_never_get_in_unless_asked_for(run: SyntheticRun) -> None:
    where = {"where": "status <> 'ok' OR width >= 0"}
    assert select(run.root, {"source": where, "steps": []}, "a").num_rows == 285
    recipe = {"source": {"status": "any"}, "steps": []}
    assert select(run.root, recipe, "b").num_rows == 300
    recipe = {"source": {"status": "any"}, "steps": TOP["steps"]}
    stats = select(run.root, recipe, "c", n=285).stats
    assert stats["steps"][0]["unranked"] == 15


def test_facts_rank_and_exclude(run: SyntheticRun) -> None:
    ids = run.scores["row_id"].to_pylist()
    write_facts(run, "pu", {"row_id": pa.array(ids[:50]), "pu_prob": pa.array(range(50))})
    duplicate_of = [None, ids[0], ids[0]] + [None] * 47
    write_facts(
        run,
        "semantic",
        {"row_id": pa.array(ids[:50]), "duplicate_of": pa.array(duplicate_of, pa.int64())},
    )
    recipe = {
        "steps": [
            {"exclude": {"duplicates": "semantic"}},
            {"take": {"n": 5, "order": "pu.pu_prob"}},
        ]
    }
    selection = select(run.root, recipe, "x")
    assert read_selection(run.layout, "x")["row_id"].to_pylist() == [
        ids[0],
        ids[3],
        ids[4],
        ids[5],
        ids[6],
    ]
    assert selection.stats["tables"] == {"pu": 1, "scores": 1, "semantic": 1}
    assert selection.stats["steps"][1]["unranked"] == 285 - 2 - 48 + 2


def test_a_selection_can_build_on_another(run: SyntheticRun) -> None:
    select(run.root, TOP, "top")
    where = "row_id NOT IN (SELECT row_id FROM selection_top)"
    recipe = {"source": {"where": where}, "steps": TOP["steps"]}
    other = select(run.root, recipe, "second")
    assert set(other.stats["tables"]) == {"scores", "selection_top"}
    both = {*read_selection(run.layout, "top")["row_id"].to_pylist()}
    assert not both & {*read_selection(run.layout, "second")["row_id"].to_pylist()}
    with pytest.raises(UsageError, match="which it would replace"):
        select(run.root, recipe, "top", overwrite=True)
    select(run.root, TOP, "top", n=30, overwrite=True)
    with pytest.raises(UsageError, match="other tables"):
        select(run.root, recipe, "second")


def test_names(run: SyntheticRun) -> None:
    assert select(run.root, "random", n=5).name == "random"
    with pytest.raises(UsageError, match="has no name"):
        select(run.root, TOP)
    with pytest.raises(UsageError, match="choose another --name"):
        select(run.root, TOP, "../escape")
    recipe = load_recipe("random")
    assert select(run.root, recipe, "five", n=5).num_rows == 5


def test_a_failed_selection_leaves_nothing(run: SyntheticRun) -> None:
    with pytest.raises(UsageError, match="600000 rows wanted, 285 there"):
        select(run.root, "dfnd", "x")
    with pytest.raises(UsageError, match="no row passes the source"):
        select(run.root, {"source": {"where": "width > 9999"}, "steps": []}, "x")
    assert not Path(run.layout.selection_dir("x")).exists()


def test_an_interrupted_overwrite_does_not_look_finished(
    run: SyntheticRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(select(run.root, TOP, "top").path)
    # A folder under the name of the file: the write in the middle fails like a full disk.
    (folder / "recipe.yaml").unlink()
    (folder / "recipe.yaml").mkdir()
    with pytest.raises(Exception, match=r"recipe\.yaml"):
        select(run.root, TOP, "top", n=21, overwrite=True)
    with pytest.raises(UsageError, match="no selection 'top'"):
        read_selection(run.layout, "top")
    (folder / "recipe.yaml").rmdir()
    assert select(run.root, TOP, "top", n=21).num_rows == 21


def test_a_run_on_s3() -> None:
    with s3_bucket() as bucket:
        run = write_run(f"{bucket}/run", num_shards=2, per_shard=30)
        assert select(run.root, TOP, "top").num_rows == 20
        assert not select(run.root, TOP, "top").written
        assert read_selection(run.layout, "top").num_rows == 20
