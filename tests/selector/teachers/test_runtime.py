from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from selector.scores.noise_value import noise_value
from selector.teachers.load import Teacher, load_teacher
from selector.teachers.runtime import EagerRuntime, normalize_in_cache
from selector.teachers.zoo import default_preprocessing
from tests.support.models import tiny_model, tiny_teacher


@pytest.mark.parametrize("name", ["he/resnet8", "lenet/5", "cifar/resnet18"])
def test_agrees_with_the_teacher_in_noise_values(tmp_path: Path, name: str) -> None:
    teacher = load_teacher(tiny_teacher(tmp_path, name, sharpness=5))
    generator = torch.Generator().manual_seed(0)
    size = (16, *teacher.preprocessing.input_size)
    batch = torch.randint(0, 256, size, dtype=torch.uint8, generator=generator)
    reference = tiny_model(name, sharpness=5).double()
    with torch.no_grad():
        expected = noise_value(reference(teacher.preprocessing.normalize(batch).double()))
    found = noise_value(EagerRuntime(teacher)(batch))
    assert torch.allclose(found, expected, rtol=1e-3, atol=0)


def test_memory_layout_does_not_change_the_answer(tmp_path: Path) -> None:
    runtime = EagerRuntime(load_teacher(tiny_teacher(tmp_path, "he/resnet8")))
    batch = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    last = batch.contiguous(memory_format=torch.channels_last)
    assert torch.equal(runtime(batch), runtime(last))


def test_a_row_does_not_depend_on_its_neighbours(tmp_path: Path) -> None:
    runtime = EagerRuntime(load_teacher(tiny_teacher(tmp_path, "he/resnet8")))
    batch = torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8)
    others = batch.clone()
    others[:3] = 0
    others[4:] = 255
    assert torch.equal(runtime(batch)[3], runtime(others)[3])


class Deceptive(nn.Module):
    """Looks different to a tracer than it is."""

    def __init__(self) -> None:
        super().__init__()
        self.model = tiny_model("he/resnet8")

    def forward(self, x: Tensor) -> Tensor:
        logits = self.model(x)
        return -logits if isinstance(x, torch.fx.Proxy) else logits


def test_a_trace_that_lies_is_not_used() -> None:
    model = Deceptive().eval()
    teacher = Teacher("it", model, default_preprocessing("he/resnet8"), 10, None, "print")
    batch = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    assert torch.allclose(EagerRuntime(teacher)(batch), teacher.logits(batch), atol=1e-4)


@pytest.mark.parametrize("side", [8, 32, 224, 600])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_normalised_in_pieces_is_normalised_at_once(side: int, layout: torch.memory_format) -> None:
    preprocessing = default_preprocessing("torchvision/resnet18")
    generator = torch.Generator().manual_seed(side)
    pixels = torch.randint(0, 256, (7, 3, side, side), dtype=torch.uint8, generator=generator)
    pixels = pixels.contiguous(memory_format=layout)
    before = pixels.clone()
    found = normalize_in_cache(preprocessing, pixels, preprocessing.constants("cpu"))
    assert torch.equal(found, preprocessing.normalize(pixels))
    assert found.is_contiguous(memory_format=layout)
    assert torch.equal(pixels, before)
