from __future__ import annotations

import pytest
import torch

from selector.scores.uncertainty import scores_from_logits
from selector.scoring.feature_spec import FeatureSpec
from selector.scoring.features import choose_taps, make_feature_plan
from selector.scoring.forward import Forward
from selector.scoring.rows import RowBatch
from selector.teachers.load import Teacher, load_teacher
from selector.teachers.runtime import EagerRuntime
from shards.sample import SampleEntry
from tests.support.models import tiny_teacher


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Teacher:
    return load_teacher(tiny_teacher(tmp_path_factory.mktemp("teacher"), "he/resnet8"))


def rows(*status: str) -> RowBatch:
    batch = RowBatch()
    for index, one in enumerate(status):
        batch.add(SampleEntry(index, str(index), ()))
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
