from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from selector.scores.uncertainty import scores_from_logits
from selector.scoring.feature_spec import FeatureSpec
from selector.scoring.features import choose_taps, make_feature_plan
from selector.scoring.forward import Forward
from selector.scoring.rows import RowBatch
from selector.teachers.load import Teacher, load_teacher
from selector.teachers.open_runtime import open_runtime
from selector.teachers.runtime import EagerRuntime
from selector.teachers.spec import RuntimeName
from shards.sample import SampleEntry
from tests.support.models import tiny_teacher

NO_GPU = not torch.cuda.is_available()


def needs_gpu(test: Any) -> Any:
    return pytest.mark.gpu(pytest.mark.skipif(NO_GPU, reason="torch sees no CUDA device")(test))


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Teacher:
    return load_teacher(tiny_teacher(tmp_path_factory.mktemp("teacher"), "he/resnet8"))


def rows(*status: str) -> RowBatch:
    batch = RowBatch()
    for index, one in enumerate(status):
        batch.extend([SampleEntry(index, str(index), ())])
        if one != "ok":
            batch.fail(index, "undecodable", "broken")
    return batch


def test_scores_and_features_come_from_one_pass(teacher: Teacher) -> None:
    taps = choose_taps(FeatureSpec(), teacher)
    runtime = EagerRuntime(teacher, taps=taps)
    plan = make_feature_plan(teacher, runtime, taps)
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    reply = Forward(runtime, plan, device="cpu")([images], rows("ok", "bad"))
    reply.wait()
    assert reply.scores is not None
    assert reply.features is not None
    answer = runtime.answer(images)
    assert answer.features is not None
    for found, expected in zip(reply.scores, scores_from_logits(answer.logits), strict=True):
        assert torch.equal(found, expected)
    assert torch.equal(reply.features.values, answer.features.half())
    alone = Forward(EagerRuntime(teacher), None, device="cpu")([images], rows("ok"))
    assert alone.features is None
    assert alone.scores is not None
    assert torch.equal(alone.scores.noise_value, reply.scores.noise_value)


def test_a_batch_without_pixels_is_not_run(teacher: Teacher) -> None:
    images = torch.zeros((4, 3, 32, 32), dtype=torch.uint8)
    reply = Forward(EagerRuntime(teacher), None, device="cpu")([images], rows("bad", "bad"))
    assert (reply.scores, reply.features, reply.forward_s) == (None, None, 0)


@needs_gpu
@pytest.mark.parametrize("name", ["eager", "compile"])
def test_a_gpu_that_is_really_full_answers_in_halves(tmp_path: Path, name: RuntimeName) -> None:
    spec = tiny_teacher(tmp_path, "cifar/resnet18")
    teacher = load_teacher(spec, device="cuda")
    images = torch.randint(0, 256, (2048, 3, 32, 32), dtype=torch.uint8).pin_memory()
    whole = Forward(EagerRuntime(teacher), None, device="cuda")([images], rows("ok"))
    whole.wait()
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    held = torch.cuda.memory_reserved()
    # A pass of 2,048 images keeps several maps of 64 x 32 x 32 float32 at once: 0.5 GiB each.
    torch.cuda.set_per_process_memory_fraction((held + (600 << 20)) / total)
    try:
        forward = Forward(open_runtime(name, teacher, batch_size=2048), None, device="cuda")
        halved = forward([images], rows("ok"))
        halved.wait()
        sizes = forward.take_halvings()
        again = forward([images], rows("ok"))
        again.wait()
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert sizes
    assert forward.halved_to == sizes[-1] < 2048
    assert forward.take_halvings() == [], "the size is remembered"
    assert whole.scores is not None
    assert halved.scores is not None
    assert again.scores is not None
    tolerance = 1e-3 if name == "eager" else 0.1
    for found in (halved.scores, again.scores):
        error = (found.max_prob - whole.scores.max_prob).abs()
        assert error.max() < tolerance


@needs_gpu
def test_pixels_may_be_overwritten_as_soon_as_a_reply_has_arrived(teacher: Teacher) -> None:
    """The copy of the pixels is made to start late, behind half a second of other work."""
    on_gpu = replace(teacher, module=copy.deepcopy(teacher.module).cuda(), device="cuda")
    forward = Forward(EagerRuntime(on_gpu), None, device="cuda")
    images = torch.randint(0, 256, (64, 3, 32, 32), dtype=torch.uint8)
    slot = torch.empty_like(images, pin_memory=True)
    found = []
    for late in (False, True, True):
        slot.copy_(images)
        if late:
            with torch.cuda.stream(forward._uploads):
                torch.cuda._sleep(int(1e9))
        reply = forward([slot], rows("ok"))
        reply.wait()
        slot.fill_(255)
        assert reply.scores is not None
        found.append(reply.scores.noise_value.clone())
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


@needs_gpu
def test_the_copy_of_a_batch_does_not_wait_for_the_pass_before(teacher: Teacher) -> None:
    on_gpu = replace(teacher, module=copy.deepcopy(teacher.module).cuda(), device="cuda")
    forward = Forward(EagerRuntime(on_gpu), None, device="cuda")
    images = torch.zeros((64, 3, 32, 32), dtype=torch.uint8).pin_memory()
    forward([images], rows("ok")).wait()
    torch.cuda.synchronize()
    torch.cuda._sleep(int(1e9))  # the pass before
    arrived = torch.cuda.Event()
    forward([images], rows("ok"))
    arrived.record(forward._uploads)
    arrived.synchronize()
    assert not torch.cuda.current_stream().query(), "the pass before is over already"
    torch.cuda.synchronize()
