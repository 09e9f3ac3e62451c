"""What may run as a job: known verbs with right options and paths that mean the same elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.jobs.arguments import check_verb
from shards.errors import UsageError

SCORE = ["score", "/data/pool", "--teacher", "he/resnet8", "--out", "s3://bucket/run"]


def test_an_address_is_added_where_the_verb_has_one_and_none_is_given() -> None:
    assert check_verb(SCORE).words == (*SCORE, "--address", "auto")
    assert check_verb(["coursepack", *SCORE]).words[0] == "score"
    for given in (["--address", "auto"], ["--executor", "local"], ["--config", "/data/s.yaml"]):
        assert check_verb([*SCORE, *given]).words == (*SCORE, *given)
    assert check_verb(["query", "/run", "SELECT 1"]).notes == ()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "no verb given"),
        (["submit", "--", "score"], "does not run as a job"),
        (["scroe", "/pool"], "no verb 'scroe'"),
        (["shards"], "no verb ''"),
        ([*SCORE, "--actor", "3"], "--actor"),
        ([*SCORE, "--actors", "many"], "--actors"),
        (["query", "/run"], "SQL"),
        (["score", "pool/", *SCORE[2:]], "pool/ is a relative path"),
        ([*SCORE[:-1], "run"], "--out run is a relative path"),
        ([*SCORE, "--weights", "t.safetensors"], "t.safetensors is a relative path"),
        ([*SCORE[:3], "file:m.onnx", *SCORE[4:]], "m.onnx is a relative path"),
        (["distill", "distill.yaml"], "--working-dir"),
        (["select", "/run", "--recipe", "my/r.yaml", "--name", "x"], "my/r.yaml"),
        (["score", "s3://key:hush@bucket/pool", *SCORE[2:]], r"s3://\*\*\*@bucket"),
        ([*SCORE, "--weights", "https://host/t.pt?sig=hush"], r"sig=\*\*\*"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_sent(words: list[str], told: str) -> None:
    with pytest.raises(UsageError, match=told) as refused:
        check_verb(words)
    assert "hush" not in str(refused.value)


def test_names_are_no_paths() -> None:
    check_verb(["select", "/run", "--recipe", "dfnd-quota", "--name", "x"])
    check_verb(["score", "/pool", "--teacher", "he/resnet20", "--out", "/run"])


def test_inputs_may_lie_in_the_working_directory_that_goes_along(tmp_path: Path) -> None:
    (tmp_path / "distill.yaml").write_text("")
    assert check_verb(["distill", "distill.yaml"], shipped=tmp_path).words[1] == "distill.yaml"
    with pytest.raises(UsageError, match=r"other\.yaml"):
        check_verb(["distill", "other.yaml"], shipped=tmp_path)
    with pytest.raises(UsageError, match="deletes afterwards"):
        check_verb([*SCORE[:-1], "run"], shipped=tmp_path)


def test_a_path_that_is_right_here_is_told_in_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pool").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=str(tmp_path / "pool")):
        check_verb(["score", "pool", *SCORE[2:]])
