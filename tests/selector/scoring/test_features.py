from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from selector.scoring.feature_spec import FeatureSpec
from selector.scoring.features import (
    FeaturePlan,
    FeatureStore,
    choose_taps,
    features_table,
    make_feature_plan,
)
from selector.scoring.pca import fit_pca
from selector.scoring.rows import RowBatch
from selector.tables.schema import row_id
from selector.tables.vectors import decode_vectors
from selector.teachers.load import Teacher, load_teacher
from selector.teachers.runtime import EagerRuntime
from selector.teachers.stage_features import Stage
from selector.teachers.taps import Tap
from shards.sample import SampleEntry
from tests.support.models import tiny_teacher


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Teacher:
    return load_teacher(tiny_teacher(tmp_path_factory.mktemp("teacher"), "he/resnet8"))


def plan_of(teacher: Teacher, *taps: str) -> FeaturePlan:
    chosen = choose_taps(FeatureSpec(taps=taps or None), teacher)
    return make_feature_plan(teacher, EagerRuntime(teacher, taps=chosen), chosen)


def test_plan_says_what_the_features_are(teacher: Teacher) -> None:
    plan = plan_of(teacher)
    assert plan.dim == plan.about["dim"] == 112
    assert plan.about["mode"] == "full"
    assert plan.about["stages"][2] == {"name": "layer3", "dim": 64}
    assert plan.about["teacher_fingerprint"] == teacher.fingerprint
    field = plan.schema().field("features")
    assert field.metadata[b"dim"] == b"112"
    assert field.type.byte_width == 224


def test_id_follows_from_what_decides_the_values(teacher: Teacher) -> None:
    plan = plan_of(teacher)
    data = np.random.default_rng(0).normal(size=(200, 112))
    taps, runtime = plan.taps, EagerRuntime(teacher, taps=plan.taps)
    reduced = [make_feature_plan(teacher, runtime, taps, pca=fit_pca(data, d)) for d in (4, 8)]
    other = make_feature_plan(teacher, runtime, taps, pca=fit_pca(data[1:], 4))
    ids = [plan.fact_id, plan_of(teacher, "layer3").fact_id, other.fact_id]
    ids += [one.fact_id for one in reduced]
    assert len(set(ids)) == 5
    assert plan_of(teacher, "layer1", "layer2", "layer3").fact_id == plan.fact_id
    assert reduced[0].dim == 4
    assert reduced[0].about["pca"]["sample_rows"] == 200


def test_store_marks_what_is_not_finite_and_clips_what_is_too_large(teacher: Teacher) -> None:
    features = torch.zeros(5, 112)
    features[1, 3] = torch.nan
    features[2, 4] = -torch.inf
    features[3, 5] = 1e6
    features[4, 6] = -70000
    found = FeatureStore(plan_of(teacher), device="cpu")(features)
    assert found.values.dtype == torch.float16
    assert found.valid.tolist() == [True, False, False, True, True]
    assert (found.clipped & found.valid).tolist() == [False, False, False, True, True]
    assert found.values[3, 5] == 65504
    assert found.values[4, 6] == -65504


def test_store_projects_as_the_basis_does(teacher: Teacher) -> None:
    data = np.random.default_rng(0).normal(size=(200, 112)).astype(np.float32)
    pca = fit_pca(data, 6)
    runtime = EagerRuntime(teacher, taps=(Tap("layer1"), Tap("layer2"), Tap("layer3")))
    plan = make_feature_plan(teacher, runtime, choose_taps(FeatureSpec(), teacher), pca=pca)
    found = FeatureStore(plan, device="cpu")(torch.from_numpy(data[:7]))
    assert np.allclose(found.values.numpy(), pca.project(data[:7]), atol=2e-3)


def test_table_is_aligned_and_null_where_an_image_failed() -> None:
    plan = FeaturePlan("id", (Tap("a"),), (Stage("a", 3),), {})
    batches = []
    for first in (4, 6):
        batch = RowBatch()
        for index in (first, first + 1):
            batch.extend([SampleEntry(index, str(index), ())])
        batches.append(batch)
    batches[0].fail(1, "undecodable", "broken")
    values = np.arange(9, dtype=np.float16).reshape(3, 3)
    null = batches[0].set_features(values, np.array([True, True, False]))
    assert not null.any()
    assert batches[1].set_features(values, np.array([False, True, True])).tolist() == [True, False]
    table = features_table(batches, plan.schema(), shard_id=2)
    assert table["row_id"].to_pylist() == [row_id(2, 0) + i for i in (4, 5, 6, 7)]
    found, valid = decode_vectors(table["features"])
    assert valid.tolist() == [True, False, False, True]
    assert found[0].tolist() == [0, 1, 2]
    assert found[3].tolist() == [3, 4, 5]


def test_a_batch_without_pixels_is_null() -> None:
    plan = FeaturePlan("id", (Tap("a"),), (Stage("a", 3),), {})
    batch = RowBatch()
    batch.extend([SampleEntry(0, "k", ())])
    batch.fail(0, "no_image", "none")
    assert features_table([batch], plan.schema(), shard_id=0)["features"].null_count == 1


def test_taps_of_the_user_win(teacher: Teacher) -> None:
    assert choose_taps(FeatureSpec(taps=("layer2",)), teacher) == (Tap("layer2"),)
    assert len(choose_taps(FeatureSpec(), teacher)) == 3


def test_plan_travels(teacher: Teacher) -> None:
    plan = plan_of(teacher)
    back = pickle.loads(pickle.dumps(plan))
    assert (back.fact_id, back.dim, back.taps) == (plan.fact_id, plan.dim, plan.taps)
