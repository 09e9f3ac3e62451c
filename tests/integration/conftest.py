"""What several integration tests share: the weights of a small teacher."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.pools import write_teacher


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of he/resnet8 with ten classes."""
    return write_teacher(tmp_path_factory.mktemp("weights") / "t.safetensors")
