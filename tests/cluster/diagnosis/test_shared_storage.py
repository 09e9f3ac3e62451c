"""A shared place passes; one that is another place under the same name is found out."""

from pathlib import Path

import pytest

from cluster.diagnosis.shared_storage import answer, check_answer, question
from shards.errors import CoursepackError
from tests.support.servers import s3_bucket


def test_a_folder_is_asked_and_left_as_it_was(tmp_path: Path) -> None:
    with question(str(tmp_path)) as folder:
        assert check_answer(folder, "n1") != ""
        assert answer(folder, "n1") == ""
        assert check_answer(folder, "n1") == ""
    assert list(tmp_path.iterdir()) == []


def test_a_new_folder_does_not_stay(tmp_path: Path) -> None:
    with question(str(tmp_path / "run")) as folder:
        assert Path(folder).is_dir()
    assert list(tmp_path.iterdir()) == []


def test_another_place_of_the_same_name(tmp_path: Path) -> None:
    with question(str(tmp_path / "here")) as folder:
        elsewhere = folder.replace("here", "there")
        assert "cannot read" in answer(elsewhere, "n1")
        Path(elsewhere).mkdir(parents=True)
        Path(elsewhere, "question").write_text("of another driver")
        assert answer(elsewhere, "n1") == ""
        assert "does not arrive" in check_answer(folder, "n1")
        Path(folder, "n1").write_text("something else")
        assert "other content" in check_answer(folder, "n1")


def test_a_place_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CoursepackError, match="folder"), question(str(tmp_path / "file" / "x")):
        pass


def test_an_object_store() -> None:
    with s3_bucket() as bucket, question(f"{bucket}/run") as folder:
        assert answer(folder, "n1") == ""
        assert check_answer(folder, "n1") == ""
