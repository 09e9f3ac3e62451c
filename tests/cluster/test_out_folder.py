from pathlib import Path

import pytest

from cluster.out_folder import refuse_no_folder
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
