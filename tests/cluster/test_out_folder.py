from pathlib import Path

import pytest

from cluster.out_folder import refuse_file, refuse_job_folder, refuse_no_folder
from shards.errors import UsageError


def test_a_folder_and_what_is_not_there_yet_pass(tmp_path: Path) -> None:
    refuse_no_folder(str(tmp_path))
    refuse_no_folder(str(tmp_path / "new"))
    refuse_no_folder("s3://bucket/run")


def test_a_file_and_a_web_address_do_not(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(UsageError, match="is a file; give a new or empty folder"):
        refuse_no_folder(str(tmp_path / "a"))
    with pytest.raises(UsageError, match="read only"):
        refuse_no_folder("https://host/run")


def test_a_folder_that_ray_deletes_with_its_job_is_refused() -> None:
    refuse_job_folder("/data/run")
    copied = "/tmp/ray/session_1/runtime_resources/working_dir_files/_ray_pkg_1/run"
    with pytest.raises(UsageError, match="deletes after it"):
        refuse_job_folder(copied)


def test_a_new_file_passes_and_one_that_is_there_only_if_it_may_be_replaced(tmp_path: Path) -> None:
    out, beside = str(tmp_path / "new" / "a.onnx"), [str(tmp_path / "a.json")]
    refuse_file(out, suffix=".onnx", beside=beside, overwrite=False)
    (tmp_path / "a.json").touch()
    with pytest.raises(UsageError, match=r"a\.json is there already; .*--overwrite"):
        refuse_file(out, suffix=".onnx", beside=beside, overwrite=False)
    refuse_file(out, suffix=".onnx", beside=beside, overwrite=True)


def test_what_is_no_place_for_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").mkdir()
    for out, told in (
        (str(tmp_path / "a.pt"), r"ends in \.onnx"),
        (str(tmp_path / "a.onnx"), "is a folder"),
        ("https://host/a.onnx", "read only"),
    ):
        with pytest.raises(UsageError, match=told):
            refuse_file(out, suffix=".onnx", overwrite=True)
