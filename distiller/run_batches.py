"""Which images the steps of a run see, in segments where they are chosen anew on the way.

Legend: B = images in a batch, n = images of the current choice.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing

from torch import Tensor

from distiller.data.image_batch import ImageBatch
from distiller.data.order import index_batches, mixed_batches
from distiller.measure import evaluating, student_logits
from distiller.session import Session


def run_batches(
    session: Session, *, start: int, on_choice: Callable[[int, Mapping[str, float]], None]
) -> Generator[ImageBatch, None, None]:
    """The batches of the steps that are missing.

    Where images are chosen anew, a set that reads ahead must not read past the next choice.
    """
    reselection, steps = session.reselection, session.config.steps
    while start < steps:
        stop = steps
        if reselection is not None:
            stop = reselection.next_stop(start)
            session.team.average_statistics_(session.student)  # so that all choose alike
            with evaluating(session.student):
                figures = reselection.choose(start, student_logits(session, session.student))
            if figures:
                on_choice(start, figures)
        order = _order(session, start=start, stop=stop)
        with closing(session.train.images.batches(order)) as batches:
            yield from batches
        start = stop


def _order(session: Session, *, start: int, stop: int) -> Iterator[Tensor]:
    """Image indices of the steps start <= step < stop."""
    config, train, reselection = session.config, session.train, session.reselection
    if config.data.labelled_share is not None:
        yield from mixed_batches(
            train.images.num_images - train.num_labelled,
            train.num_labelled,
            labelled_share=config.data.labelled_share,
            batch_size=config.batch_size,
            start=start,
            stop=stop,
            seed=config.seed,
        )
        return
    subset = None if reselection is None else reselection.subset_n
    for indices_B in index_batches(
        train.images.num_images if subset is None else len(subset),
        batch_size=config.batch_size,
        start=start,
        stop=stop,
        seed=config.seed,
    ):
        yield indices_B if subset is None else subset[indices_B]
