"""What does a PU head lose when features are kept as 64 or 128 principal components?

    python -m benchmarks.pca_loss --teacher he/resnet20 --weights W.npz --dims 16 32 64 --work DIR
    python -m benchmarks.pca_loss --teacher efficientnet-lite/0 --wild 3000 --dims 64 128 --work DIR

The pool: CIFAR-10 training images hidden at a known share in wild images (Tiny-ImageNet, brought
to 32 x 32 like the others, so that resolution does not tell them apart). The positives: 100 other
CIFAR images a class. The pool is scored once with all features; components are fitted on its first
4,096 images and features projected as `score --features pca:D` does. A head is fitted on each, with
the true share given, over several seeds, and ranks the pool.

Prints one JSON line per set of features: average precision of the hidden images, and precision at
as many as there are, mean and standard deviation over seeds, with the paired difference to all
features; the ranking by noise value beside it. Truth serves this evaluation alone.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from benchmarks.cifar_data import CifarImages, data_folder, encode_png, load_cifar
from benchmarks.mnist_data import write_samples
from cluster import score
from cluster.execution import ExecutionConfig
from cluster.provenance import hardware, now, versions
from selector.pu.fit import fit_head
from selector.pu.labelled import Labelled
from selector.pu.settings import PUSettings
from selector.scoring.feature_spec import FeatureSpec
from selector.scoring.features import KIND
from selector.scoring.pca import fit_pca
from selector.scoring.positives import open_extractor
from selector.scoring.spec import ScoreSpec
from selector.tables.facts import (
    FactTable,
    find_fact,
    iter_vectors,
    make_fact_id,
    write_fact_table,
)
from selector.tables.layout import RunLayout
from selector.tables.read import read
from selector.tables.schema import fact_schema
from selector.tables.vectors import encode_vectors, vector_column
from selector.tables.write import write_part
from selector.teachers.spec import TeacherSpec
from shards import storage
from shards.reader import open_shard

SAMPLE_ROWS = 4096


def wild_images(count: int) -> list[np.ndarray]:
    """The first wild images, 32 x 32 RGB."""
    found: list[np.ndarray] = []
    for info in storage.expand([str(data_folder() / "wild")]):
        with open_shard(info.uri) as shard:
            for sample in shard.samples():
                image = sample.image()
                if image is not None:
                    pixels = Image.open(io.BytesIO(bytes(image[1]))).convert("RGB")
                    found.append(np.asarray(pixels.resize((32, 32), Image.Resampling.BOX)))
                if len(found) == count:
                    return found
    return found


def write_pool(folder: Path, hidden: np.ndarray, wild: list[np.ndarray]) -> str:
    """Shards in random order; the truth is in the keys: h... is hidden, w... is wild."""
    named = [("h", image) for image in hidden] + [("w", image) for image in wild]
    order = np.random.default_rng(0).permutation(len(named))
    return write_samples(
        folder,
        (
            (f"{named[at][0]}{place:06d}", {"png": encode_png(named[at][1])})
            for place, at in enumerate(order)
        ),
    )


def labelled_images(run: str, images: CifarImages) -> Labelled:
    """The positives with features of the run."""
    with open_extractor(run, which="all") as extract:
        found = extract([encode_png(image) for image in images.images])
    assert found.valid.all()
    return Labelled(
        keys=[str(place) for place in images.places],
        vectors_PD=found.vectors,
        label_P=images.labels,
        predicted_P=found.logits.argmax(axis=1).astype(np.int64),
        confidence_P=np.ones(len(found.vectors), np.float32),
    )


def reduce(layout: RunLayout, whole: FactTable, labelled: Labelled, dim: int) -> tuple:
    """The table and the positives as `dim` principal components, and the variance they keep."""
    chunks = list(iter_vectors(whole))
    pca = fit_pca(np.concatenate([chunk.vectors for chunk in chunks])[:SAMPLE_ROWS], dim)
    about = {**whole.about, "mode": "pca", "dim": dim, "pca": {"digest": pca.digest}}
    fact_id = make_fact_id(about)
    schema = fact_schema(KIND, [vector_column(KIND, dim, "principal components")])
    uris = []
    for chunk in chunks:
        uri = layout.facts_part(KIND, fact_id, storage.name(chunk.part).removesuffix(".parquet"))
        columns = [pa.array(chunk.row_ids), encode_vectors(pca.project(chunk.vectors), chunk.valid)]
        write_part(uri, pa.Table.from_arrays(columns, schema=schema))
        uris.append(uri)
    fact = write_fact_table(layout, KIND, fact_id, uris, about=about)
    projected = pca.project(labelled.vectors_PD).astype(np.float16)
    return fact, Labelled(**{**vars(labelled), "vectors_PD": projected}), pca.explained


def average_precision(score_N: np.ndarray, truth_N: np.ndarray) -> float:
    """Mean precision at each true one, best first."""
    ranked = truth_N[np.argsort(-score_N, kind="stable")]
    return float((np.cumsum(ranked) / np.arange(1, len(ranked) + 1))[ranked].mean())


def precision_at_truth(score_N: np.ndarray, truth_N: np.ndarray) -> float:
    """Share of true ones among as many as there are: precision and recall at once."""
    best = np.argsort(-score_N, kind="stable")[: truth_N.sum()]
    return float(truth_N[best].mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--weights")
    parser.add_argument("--wild", type=int, default=10_000)
    parser.add_argument("--share", type=float, default=0.2)
    parser.add_argument("--dims", type=int, nargs="+", required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--work", required=True)
    options = parser.parse_args()
    work = Path(options.work)
    train = load_cifar("train")
    positives = train.per_class(100, seed=0)
    others = train.take(~np.isin(train.places, positives.places))
    count = round(options.wild * options.share / (1 - options.share))
    chosen = np.random.default_rng(1).permutation(len(others.labels))[:count]
    pool = write_pool(work / "pool", others.images[chosen], wild_images(options.wild))
    run = str(work / "run")
    score(
        [pool],
        spec=ScoreSpec(teacher=TeacherSpec(name=options.teacher, weights=options.weights)),
        out=run,
        execution=ExecutionConfig(executor="inline", threads=1),
        features=FeatureSpec(name="all"),
    )
    layout = RunLayout(run)
    table = read(layout, "scores", ["key", "noise_value"])
    truth_N = np.array([key.startswith("h") for key in table["key"].to_pylist()])
    noise_N = table["noise_value"].to_numpy()
    whole, labelled = find_fact(layout, KIND, "all"), labelled_images(run, positives)
    base: np.ndarray | None = None
    for dim in (None, *sorted(options.dims, reverse=True)):
        fact, known, kept = (
            (whole, labelled, 1.0) if dim is None else reduce(layout, whole, labelled, dim)
        )
        vectors = np.concatenate([chunk.vectors for chunk in iter_vectors(fact)])
        begun, found = time.process_time(), []
        for seed in range(options.seeds):
            fitted = fit_head(
                fact, known, prior=float(truth_N.mean()), settings=PUSettings(), seed=seed
            )
            score_N, _ = fitted.classifier(vectors)
            found.append(
                (average_precision(score_N, truth_N), precision_at_truth(score_N, truth_N))
            )
        values = np.array(found)
        base = values if base is None else base
        lost = base - values
        result = {
            "benchmark": "pca_loss",
            "teacher": options.teacher,
            "features": "full" if dim is None else f"pca:{dim}",
            "dim": vectors.shape[1],
            "explained_variance": round(kept, 4),
            "pool": len(truth_N),
            "share": round(float(truth_N.mean()), 4),
            "labelled": len(known),
            "seeds": options.seeds,
            "average_precision": round(float(values[:, 0].mean()), 4),
            "average_precision_sd": round(float(values[:, 0].std(ddof=1)), 4),
            "precision_at_truth": round(float(values[:, 1].mean()), 4),
            "average_precision_lost": round(float(lost[:, 0].mean()), 4),
            "average_precision_lost_sd": round(float(lost[:, 0].std(ddof=1)), 4),
            "by_noise_value": round(average_precision(-noise_N, truth_N), 4),
            "fit_cpu_s": round((time.process_time() - begun) / options.seeds, 1),
        }
        stamp = {"at": now(), "hardware": hardware(), "versions": versions()}
        print(json.dumps(result | stamp), flush=True)


if __name__ == "__main__":
    main()
