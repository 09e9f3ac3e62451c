import numpy as np

from selector.pu.ranks import ranking_quality, ranks_among


def test_ranks_and_quality_count_pairs() -> None:
    p, u = np.array([1.0, 3]), np.array([2.0, 0, 5, 1])
    pairs = [[1.0 if a > b else 0.5 if a == b else 0.0 for b in u] for a in p]
    assert ranks_among(p, u).tolist() == np.mean(pairs, axis=1).tolist()
    assert ranking_quality(p, u) == np.mean(pairs)
