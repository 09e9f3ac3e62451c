import threading

import pytest

from selector.neighbors.workers import ranges, workers

faiss = pytest.importorskip("faiss", reason="needs the extra `cpu`")


def test_results_come_in_order_and_faiss_is_single_threaded_inside() -> None:
    before = faiss.omp_get_max_threads()
    with workers(3) as pool:
        seen = list(pool.map(lambda n: (n, faiss.omp_get_max_threads()), range(50)))
    assert seen == [(n, 1) for n in range(50)]
    assert faiss.omp_get_max_threads() == before


def test_an_error_reaches_the_caller_and_ends_the_threads() -> None:
    def fail(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        return number

    before = set(threading.enumerate())  # other tests may have left some
    with pytest.raises(ValueError, match="three"), workers(2) as pool:
        list(pool.map(fail, range(10)))
    left = set(threading.enumerate()) - before
    assert not [t for t in left if t.name.startswith("ThreadPoolExecutor")]


def test_ranges_cover_everything_once() -> None:
    assert [(r.start, r.stop) for r in ranges(7, 3)] == [(0, 3), (3, 6), (6, 7)]
    assert list(ranges(0, 3)) == []
