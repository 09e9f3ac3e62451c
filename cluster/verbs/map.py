"""`map`: a place in the plane for each image, near where the teacher sees them alike."""

from __future__ import annotations

from collections.abc import Sequence

from cluster.progress import OnProgress, Progress
from selector.maps.embed import Method
from selector.maps.make import MAX_POINTS, MapResult, make_map
from shards import storage


def map(
    run: str,
    *,
    method: Method = "tsne",
    features: str | None = None,
    selections: Sequence[str] = (),
    points: int = MAX_POINTS,
    originals: Sequence[str] = (),
    name: str = "",
    seed: int = 0,
    on_progress: OnProgress | None = None,
) -> MapResult:
    """Make the map of a run, the fact table `map`; see `selector.maps.make.make_map`.

    Args:
        run: Run directory, scored with features.
        method: `tsne` or `umap`.
        features: Id or name of a table of features; None = the newest.
        selections: Drawn as far as they have images, where the pool has more than `points`.
        points: Images of the pool drawn at most.
        originals: Pool of images that the teacher was trained on, drawn beside it.
        name: Of the map, to be told from others of the run.

    Raises:
        UsageError: no features, an unknown name, a package that is missing, too few images.
        StorageError: a table or shard cannot be read, or the map cannot be written.
    """
    shards = [info.uri for info in storage.expand(originals)] if originals else []

    def told(done: float, total: float, note: str) -> None:
        if on_progress is not None:
            on_progress(Progress(done, total, unit="steps", note=note))

    return make_map(
        run,
        method=method,
        features=features,
        selections=selections,
        points=points,
        originals=shards,
        name=name,
        seed=seed,
        on_step=told,
    )
