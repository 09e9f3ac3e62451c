"""Fitting as a whole, on features whose answer is known; the files of a classifier; scoring."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from selector.pu.calibrate import calibration_error
from selector.pu.doubts import choose_prior
from selector.pu.fit import Fitted, fit_head
from selector.pu.prior import PriorEstimate
from selector.pu.settings import make_settings
from shards.errors import UsageError
from tests.support.pu import Pool, labelled, write_pool

pytestmark = pytest.mark.xdist_group("pu-fit")  # one worker makes the fixtures, once

SETTINGS = make_settings("default", {"steps": 200, "lr": 0.01, "batch_pool": 256})


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    return write_pool(tmp_path_factory.mktemp("fit"), per_shard=1000, gap=4)


@pytest.fixture(scope="module")
def fitted(pool: Pool) -> Fitted:
    truth = dict(zip(pool.row_id_N.tolist(), pool.positive_N.tolist(), strict=True))

    def look_up(row_ids: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        return np.array([float(truth[row]) for row in row_ids.tolist()])

    return fit_head(
        pool.features,
        labelled(300, gap=4),
        prior=None,
        settings=SETTINGS,
        sensitivity=[0.1, 0.6],
        truth=look_up,
    )


def test_the_prior_and_the_rates(fitted: Fitted) -> None:
    prior = fitted.report["prior"]
    assert prior["value"] == pytest.approx(0.3, abs=0.05)
    assert prior["low"] <= prior["estimate"] <= prior["high"]
    assert not prior["given"]
    assert fitted.report["true_positive_rate"] > 0.8
    assert fitted.report["true_positive_rate_low"] < fitted.report["true_positive_rate"]
    assert fitted.report["selected_share"] == pytest.approx(0.3, abs=0.06)
    assert fitted.report["positives"] == {"total": 300, "train": 240, "held_out": 60}


def test_attention_is_told_per_stage(fitted: Fitted) -> None:
    assert [entry["stage"] for entry in fitted.report["attention"]] == ["layer1", "layer2"]
    assert all(0 < entry["positives"] < 1 for entry in fitted.report["attention"])


def test_more_is_selected_with_a_higher_prior(fitted: Fitted) -> None:
    rows = fitted.report["sensitivity"]
    assert [row["prior"] for row in rows] == sorted(row["prior"] for row in rows)
    shares = [row["selected_share"] for row in rows]
    assert shares[0] <= shares[1] <= shares[2]
    assert rows[0]["precision"] >= rows[2]["precision"] > 0.3
    assert rows[0]["recall"] <= rows[2]["recall"]


def test_probabilities_fit_the_truth(fitted: Fitted, pool: Pool) -> None:
    known = dict(zip(pool.row_id_N.tolist(), pool.positive_N.tolist(), strict=True))
    from selector.pu.pool_rows import FeatureRows

    rows = FeatureRows(pool.features)
    _, probabilities = fitted.classifier(rows.held_out_MD)
    truth = np.array([known[row] for row in rows.held_out_ids.tolist()])
    assert calibration_error(probabilities, truth, bins=5) < 0.06


def test_fewer_positives_than_a_batch_is_told(fitted: Fitted) -> None:
    assert any("fewer than the 256 of a batch" in warning for warning in fitted.warnings)


def quick(pool: Pool, **changes: object) -> Fitted:
    options: dict[str, object] = {"prior": 0.3, "settings": make_settings("default", {"steps": 1})}
    few = changes.pop("few", labelled(40, gap=4))
    return fit_head(pool.features, few, **(options | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("prior", [0.0, 1.0, -0.2, 1.5])
def test_a_prior_is_a_share(pool: Pool, prior: float) -> None:
    with pytest.raises(UsageError, match="above 0 and below 1"):
        quick(pool, prior=prior)
    with pytest.raises(UsageError, match="above 0 and below 1"):
        quick(pool, sensitivity=[prior])


def test_too_few_labelled_images(pool: Pool) -> None:
    with pytest.raises(UsageError, match="9 labelled images with features; expected at least 10"):
        quick(pool, few=labelled(9))


def test_a_prior_against_the_data_is_told(pool: Pool) -> None:
    few = labelled(300, gap=4)
    assert not [w for w in quick(pool, few=few).warnings if "contradicted" in w]
    told = [w for w in quick(pool, prior=0.9, few=few).warnings if "contradicted by the data" in w]
    assert len(told) == 1
    assert "could not exceed" in told[0]


def test_features_of_another_width(pool: Pool) -> None:
    few = labelled(40)
    narrow = dataclasses.replace(few, vectors_PD=few.vectors_PD[:, :5])
    with pytest.raises(UsageError, match="have 5 features, the pool 12"):
        quick(pool, few=narrow)


def test_labelled_images_like_the_whole_pool_make_a_fragile_prior(tmp_path: Path) -> None:
    whole = write_pool(tmp_path / "run", share=1.0, per_shard=1000)
    found = quick(whole, prior=None, few=labelled(300))
    assert found.report["prior"]["fragile"]
    assert "hardly differ from the pool" in " ".join(found.warnings)


def test_an_estimate_of_everything_is_no_prior() -> None:
    everything = PriorEstimate(0.995, 0.9, 1.0, 1.0, 1.0, 0.5, ("alike",))
    with pytest.raises(UsageError, match=r"cannot be told from the pool .* give --prior"):
        choose_prior(None, everything)
