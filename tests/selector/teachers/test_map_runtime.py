from __future__ import annotations

from pathlib import Path

import torch

from selector.teachers.load import load_teacher
from selector.teachers.map_runtime import MapRuntime
from selector.teachers.runtime import EagerRuntime
from selector.teachers.tapped_graph import TapPurpose
from selector.teachers.taps import parse_taps
from tests.support.models import tiny_teacher


def test_logits_are_the_plain_runtimes_and_maps_those_of_the_features(tmp_path: Path) -> None:
    teacher = load_teacher(tiny_teacher(tmp_path, "he/resnet8"))
    taps = parse_taps(["layer1", "layer3"])
    run = MapRuntime(teacher, taps, purpose=TapPurpose(option="taps", way_out="go without"))
    batch = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8)
    answer, plain = run(batch), EagerRuntime(teacher, taps=taps).answer(batch)
    assert plain.features is not None
    assert torch.equal(answer.logits, plain.logits)
    averages = torch.cat([one.mean(dim=(2, 3)) for one in answer.maps], dim=1)
    torch.testing.assert_close(averages, plain.features)
    assert run.network.shapes == ((16, 32, 32), (64, 8, 8))
    assert not any(one.requires_grad for one in answer.maps)
