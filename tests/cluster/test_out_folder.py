from pathlib import Path

import pytest

from cluster.out_folder import refuse_job_folder, refuse_no_folder
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
