"""Work in fixed blocks on several threads: the number of threads changes no bit of a result.

FAISS's own threads cut a matrix product into pieces that hang on their number, and so does the
rounding. Here the pieces are the caller's, each is computed by one thread from start to end, and
the results come back in order.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from selector.neighbors.faiss_library import load_faiss

Item = TypeVar("Item")
Result = TypeVar("Result")


def default_threads() -> int:
    """As many as this process may use cores."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def workers(threads: int | None = None) -> Iterator[Workers]:
    """A pool of threads in which every FAISS call runs single-threaded."""
    faiss = load_faiss()
    count = threads or default_threads()
    before = faiss.omp_get_max_threads()
    # OpenMP keeps this number per thread: the pool's threads and this one are all told.
    faiss.omp_set_num_threads(1)
    try:
        with ThreadPoolExecutor(count, initializer=lambda: faiss.omp_set_num_threads(1)) as pool:
            yield Workers(pool, count)
    finally:
        faiss.omp_set_num_threads(before)


class Workers:
    """Threads of a pool; see `workers`."""

    def __init__(self, pool: ThreadPoolExecutor, threads: int) -> None:
        self._pool = pool
        self.threads = threads

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """The results in the order of the items, few of which are waiting at any time."""
        waiting: deque[Future[Result]] = deque()
        for item in items:
            waiting.append(self._pool.submit(work, item))
            if len(waiting) > 2 * self.threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def ranges(total: int, size: int) -> Iterator[slice]:
    """`total` rows in slices of `size`, the last one shorter."""
    for start in range(0, total, size):
        yield slice(start, min(start + size, total))
