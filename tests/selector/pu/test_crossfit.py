import numpy as np

from selector.pu.crossfit import crossfitted_ranks
from selector.pu.prior import estimate_prior
from tests.support.pu import draw


def test_ranks_of_unseen_rows_lead_to_the_share() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(3000) < 0.2
    pool, few = draw(rng, truth, gap=5), draw(rng, np.ones(300, bool), gap=5)
    rows = pool.astype(np.float32)
    options = {"statistics": (rows.mean(axis=0), rows.std(axis=0)), "hidden": 4}
    ranks_p, ranks_u = crossfitted_ranks(few, pool, seed=0, **options)  # type: ignore[arg-type]
    again, _ = crossfitted_ranks(few, pool, seed=0, **options)  # type: ignore[arg-type]
    assert np.array_equal(ranks_p, again)
    assert ((ranks_p >= 0) & (ranks_p <= 1)).all()
    assert abs(ranks_u.mean() - 0.5) < 1e-6
    assert ranks_u[truth].mean() > 0.85 > 0.5 > ranks_u[~truth].mean()
    assert abs(estimate_prior(ranks_p, ranks_u, seed=0).value - 0.2) < 0.04
