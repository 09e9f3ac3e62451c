"""`coursepack score` and `export`: a small pool scored, continued, exported."""

import json
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from cluster.cli.main import app
from tests.support.pools import run_command, write_pool, write_shard, write_teacher


def _invoke(*arguments):
    return CliRunner().invoke(app, [str(one) for one in arguments])


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_teacher(tmp_path_factory.mktemp("teacher") / "t.safetensors")


@pytest.fixture
def pool(tmp_path):
    return write_pool(tmp_path / "pool", shards=2, images=6)


@pytest.fixture
def command(pool, weights, tmp_path):
    """A complete scoring command; one worker in this process, so that a test takes no start-up."""
    config = tmp_path / "score.yaml"
    config.write_text(
        f"pool: ['{pool}']\n"
        f"teacher: {{name: he/resnet8, weights: '{weights}'}}\n"
        "execution: {executor: inline, device: cpu, batch_size: 4}\n"
    )
    return ("score", "--config", config, "--out", tmp_path / "run")


def test_fast_equals_exact_where_nothing_is_reduced_and_is_never_mixed_with_it(
    command, pool, weights, tmp_path
):
    assert _invoke(*command).exit_code == 0
    config = tmp_path / "fast.yaml"
    text = (tmp_path / "score.yaml").read_text()
    config.write_text(text + "preprocessing: {decode: fast}\n")
    fast_command = ("score", "--config", config, "--out", tmp_path / "fast")
    assert _invoke(*fast_command).exit_code == 0
    (exact, fast) = (
        [pq.read_table(part) for part in sorted((tmp_path / run / "scores").glob("*.parquet"))]
        for run in ("run", "fast")
    )
    assert len(exact) == 2
    assert all(one.equals(other) for one, other in zip(exact, fast, strict=True))
    for wrong in ((*command, "--decode", "fast"), (*fast_command, "--decode", "exact")):
        refused = _invoke(*wrong)
        old, new = ("exact", "fast") if wrong[-1] == "fast" else ("fast", "exact")
        assert refused.exit_code == 2
        assert f'preprocessing.decode: "{old}" -> "{new}"' in refused.stderr
        assert "use another --out, or ask for the stored configuration" in refused.stderr
    write_shard(pool / "shard-002.tar", images=3, seed=9, size=450)
    assert json.loads(_invoke(*command, "--json").stdout)["rows"] == 15
    assert json.loads(_invoke(*fast_command, "--json").stdout)["rows"] == 15
    (exact, fast) = (
        pq.read_table(tmp_path / run / "scores" / "00000002-00000000.parquet")
        for run in ("run", "fast")
    )
    same = ["height", "width", "num_bytes", "content_hash", "status"]
    assert exact.select(same).equals(fast.select(same))
    assert fast["height"].to_pylist() == [450] * 3
    assert fast["noise_value"].to_pylist() != exact["noise_value"].to_pylist()
    assert fast["noise_value"].to_pylist() == pytest.approx(exact["noise_value"].to_pylist(), 0.1)


def test_a_pool_is_scored_continued_and_exported(command, pool, tmp_path):
    run = tmp_path / "run"
    first = _invoke(*command)
    assert first.exit_code == 0, first.stderr
    assert "12 rows (12 ok)" in first.stdout
    assert "images/s" in first.stdout

    write_shard(pool / "shard-002.tar", images=3, seed=9)
    second = json.loads(_invoke(*command, "--json").stdout)
    assert (second["exit_code"], second["parts_done"], second["rows"]) == (0, 1, 15)

    third = _invoke(*command)
    assert "nothing to do" in third.stdout

    assert _invoke("select", run, "--recipe", "dfnd", "--n", 5, "--name", "top").exit_code == 0
    report = _invoke("report", run, "--selection", "top", "--json")
    assert report.exit_code == 0, report.stderr
    assert "<html" in Path(json.loads(report.stdout)["report"]).read_text()
    out = tmp_path / "selected"
    exported = _invoke("export", run, "--selection", "top", "--out", out, "--json")
    assert exported.exit_code == 0, exported.stderr
    assert json.loads(exported.stdout)["images"] == 5
    with tarfile.open(next(out.glob("*.tar"))) as tar:
        assert len(tar.getnames()) == 10  # each image with its .json


def test_options_make_a_run_without_a_file(pool, weights, tmp_path):
    done = run_command(
        "score", pool, "--teacher", "he/resnet8", "--weights", weights, "--out", tmp_path / "run",
        "--actors", 1, "--threads", 1, "--batch-size", 4, "--device", "cpu", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["rows"], answer["statuses"]) == (12, {"ok": 12})
    assert "12 rows" not in done.stderr


def test_bad_images_beyond_the_budget_end_with_code_3(command, pool):
    with tarfile.open(pool / "shard-001.tar", "a") as tar:
        for number in range(4):
            tar.addfile(tarfile.TarInfo(f"empty{number}.jpg"))
    result = _invoke(*command, "--json")
    assert result.exit_code == 3
    answer = json.loads(result.stdout)
    assert (answer["exit_code"], answer["statuses"]["undecodable"]) == (3, 4)
    assert any("--max-bad" in warning for warning in answer["warnings"])
    assert "warning: " in result.stderr
    assert _invoke(*command, "--max-bad", "50%").exit_code == 0


def test_missing_options_are_named_as_options():
    result = _invoke("score", "pool")
    assert result.exit_code == 2
    assert "missing: --out, --teacher" in result.stderr


def test_every_wrong_field_of_a_file_is_told_at_once(tmp_path):
    config = tmp_path / "score.yaml"
    config.write_text("pool: [p]\nout: run\nteacher:\n  nam: x\nexecution: {actors: many}\n")
    result = _invoke("score", "--config", config)
    assert result.exit_code == 2
    assert "line 4: teacher.nam: unknown key; did you mean 'name'?" in result.stderr
    assert "line 5: execution.actors: found 'many'" in result.stderr


def test_code_is_allowed_by_the_option_alone(command):
    result = _invoke(*command, "--teacher", "py:json:loads")
    assert result.exit_code == 2
    assert "--allow-code" in result.stderr


def test_wrong_weights_name_the_first_mismatch(command):
    result = _invoke(*command, "--teacher", "he/resnet20")
    assert result.exit_code == 2
    assert "layer" in result.stderr
    assert "Traceback" not in result.stderr


def test_another_teacher_in_the_same_run_is_refused(command, tmp_path):
    assert _invoke(*command).exit_code == 0
    other = write_teacher(tmp_path / "other.safetensors", num_classes=7)
    result = _invoke(*command, "--weights", other)
    assert result.exit_code == 2
    assert "num_classes" in result.stderr


def test_features_are_added_to_a_scored_run(command, tmp_path):
    assert _invoke(*command).exit_code == 0
    added = _invoke(*command, "--features", "pca:4", "--taps", "layer2,layer3")
    assert added.exit_code == 0, added.stderr
    assert "4 numbers an image" in added.stdout
    assert "of their variance, 2 parts" in added.stdout
    told = json.loads(_invoke(*command, "--features", "full", "--json").stdout)
    assert told["parts_done"] == 0
    assert (told["features"]["dim"], told["features"]["missing"]) == (112, 0)


def test_senseless_features_are_refused(command, pool, weights, tmp_path):
    wrong = _invoke(*command, "--features", "all")
    assert wrong.exit_code == 2
    assert "features.mode: expected full, or pca:D" in wrong.stderr
    alone = _invoke(
        "score", pool, "--teacher", "he/resnet8", "--weights", weights, "--out", tmp_path / "r",
        "--taps", "layer1",
    )  # fmt: skip
    assert alone.exit_code == 2
    assert "--taps says where features are read; add --features" in alone.stderr


def test_scores_over_several_views_are_told_and_never_mixed_with_others(command, tmp_path):
    run = tmp_path / "run"
    assert _invoke(*command, "--views", "ten").exit_code == 0
    again = _invoke(*command)
    assert again.exit_code == 2
    assert 'views: "ten" -> "one"' in again.stderr
    other = _invoke(*command, "--set", "views=five")
    assert 'views: "ten" -> "five"' in other.stderr
    for name, n in (("a", 5), ("b", 7)):
        _invoke("select", run, "--recipe", "dfnd", "--n", n, "--name", name)
    told = "scores: averages over 10 views of an image (ten)"
    diff = _invoke("diff", run, "a", "b")
    assert told in diff.stdout
    assert json.loads(_invoke("diff", run, "a", "b", "--json").stdout)["views"] == "ten"
    explained = _invoke("explain", run, "s00-0001", "--selection", "a")
    assert explained.stdout.startswith(told)
    report = _invoke("report", run, "--selection", "a", "--json")
    page = Path(json.loads(report.stdout)["report"]).read_text()
    assert "averages over the views" in page


@pytest.mark.parametrize("given", [("--views", "7"), ("--set", "views=crops")])
def test_views_that_there_are_not_are_refused(command, tmp_path, given):
    answer = _invoke(*command, *given)
    assert answer.exit_code == 2
    assert all(name in answer.stderr for name in ("one", "flip", "five", "ten"))
    assert not (tmp_path / "run").exists()
