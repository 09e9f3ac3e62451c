"""`coursepack shards`: build, verify, info, resize; pools before any teacher sees them."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from cluster.cli.options import AsJson, Debug, MaxBad, OutPool, Overwrite, Pool, example
from cluster.cli.output import command
from cluster.cli.shard_text import fact_lines, problem_lines

app = typer.Typer(
    help="Build, check, describe and resize pools of WebDataset shards.", no_args_is_help=True
)


@app.command(
    epilog=example(
        "coursepack shards build photos/ --out pool/",
        "coursepack shards build torchvision:CIFAR10 --root data/ --split test --out pool/",
        "coursepack shards build train-images-idx3-ubyte.gz --labels train-labels-idx1-ubyte.gz"
        " --out pool/",
    )
)
def build(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            help="A folder of images, an .npz, .npy or idx file, torchvision:NAME, or tars.",
        ),
    ],
    out: OutPool,
    prefix: Annotated[
        str, typer.Option("--prefix", metavar="NAME", help="Begin of the shards' names.")
    ] = "shard",
    max_count: Annotated[
        int, typer.Option("--max-count", metavar="N", min=1, help="Samples per shard.")
    ] = 10_000,
    max_bytes: Annotated[
        int, typer.Option("--max-bytes", metavar="N", min=1, help="Bytes per shard.")
    ] = 1 << 30,
    class_folders: Annotated[
        Literal["auto", "yes", "no"] | None,
        typer.Option(
            "--class-folders", metavar="auto|yes|no", help="Folder: is the first folder the class?"
        ),
    ] = None,
    labels: Annotated[
        str | None, typer.Option("--labels", metavar="FILE", help="Array: file of class indexes.")
    ] = None,
    class_names: Annotated[
        str | None,
        typer.Option("--class-names", metavar="FILE", help="Array: names of classes, one a line."),
    ] = None,
    root: Annotated[
        str | None, typer.Option("--root", metavar="DIR", help="torchvision: where its data lies.")
    ] = None,
    split: Annotated[
        str | None, typer.Option("--split", metavar="NAME", help="torchvision: train, test, ...")
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="torchvision: fetch the data if it is missing.")
    ] = False,
    max_bad: MaxBad = "5%",
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Make shards from images of any kind.

    Image files keep their bytes, arrays become lossless PNG, labels become .cls members.

    The same input gives the same bytes.
    """
    with command("shards build", as_json=as_json, debug=debug) as output:
        from cluster.bad_budget import BadBudget
        from cluster.pool_loss import pool_loss
        from cluster.verbs.build import SourceOptions
        from cluster.verbs.build import build as run
        from shards.build import ShardLayout

        budget = BadBudget.parse(max_bad)
        options = SourceOptions(
            class_folders=class_folders,
            labels=labels,
            class_names=class_names,
            root=root,
            split=split,
            download=download or None,
        )
        layout = ShardLayout(prefix=prefix, max_count=max_count, max_bytes=max_bytes)
        with output.progress() as on_progress:
            report = run(
                sources,
                out=out,
                options=options,
                layout=layout,
                overwrite=overwrite,
                on_progress=on_progress,
            )
        output.finish(
            report,
            text=[
                *problem_lines(report.problems),
                f"{report.samples:,} samples in {len(report.shards):,} shards, "
                f"{report.num_bytes / 1e6:,.1f} MB: {out}",
            ],
            exit_code=pool_loss(report.problems).exit_code(written=report.samples, budget=budget),
        )


@app.command(epilog=example("coursepack shards verify pool/", "coursepack shards verify 'p-*.tar'"))
def verify(
    pool: Pool,
    decode: Annotated[
        bool, typer.Option("--decode", help="Decode every image too, to find damaged ones.")
    ] = False,
    threads: Annotated[
        int, typer.Option("--threads", metavar="N", min=1, help="Shards read at the same time.")
    ] = 2,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Read every byte of every shard and list what is wrong.

    Nothing is repaired; the exit code is 3 when there are problems.

    With --json, the hash of each shard is told too.
    """
    with command("shards verify", as_json=as_json, debug=debug) as output:
        from cluster.verbs.verify import verify as run

        with output.progress() as on_progress:
            report = run(pool, decode=decode, threads=threads, on_progress=on_progress)
        count = len(report.problems)
        output.finish(
            report,
            text=[
                *problem_lines(report.problems),
                f"{len(report.shards):,} shards, {report.samples:,} samples, "
                f"{report.num_bytes / 1e6:,.1f} MB: {count or 'no'} problem{'s'[: count != 1]}",
            ],
            exit_code=3 if count else 0,
        )


@app.command(epilog=example("coursepack shards info pool/", "coursepack shards info pool/ --json"))
def info(pool: Pool, as_json: AsJson = False, debug: Debug = False) -> None:
    """Describe shards: counts, bytes, extensions, sizes of images.

    Reads names and headers; decodes no image.
    """
    with command("shards info", as_json=as_json, debug=debug) as output:
        from cluster.verbs.info import info as run

        with output.progress() as on_progress:
            found = run(pool, on_progress=on_progress)
        output.finish(found, text=fact_lines(found))


@app.command(
    epilog=example(
        "coursepack shards resize pool/ --short-side 256 --out pool256/",
        "coursepack shards resize pool/ --exact 32 --encoding png --out pool32/",
    )
)
def resize(
    pool: Pool,
    out: OutPool,
    short_side: Annotated[
        int | None,
        typer.Option("--short-side", metavar="S", help="Shrink until the short side has S pixels."),
    ] = None,
    exact: Annotated[
        int | None, typer.Option("--exact", metavar="S", help="Resize to exactly S x S pixels.")
    ] = None,
    interpolation: Annotated[
        Literal["box", "bilinear", "bicubic", "lanczos"],
        typer.Option(
            "--interpolation", metavar="FILTER", help="box, bilinear, bicubic or lanczos."
        ),
    ] = "bilinear",
    encoding: Annotated[
        Literal["jpeg", "png"],
        typer.Option("--encoding", metavar="jpeg|png", help="png keeps the pixels exactly."),
    ] = "jpeg",
    quality: Annotated[
        int, typer.Option("--quality", metavar="Q", min=1, max=100, help="JPEG quality.")
    ] = 95,
    threads: Annotated[
        int | None,
        typer.Option("--threads", metavar="N", min=1, help="Shards at a time; one per core."),
    ] = None,
    max_bad: MaxBad = "5%",
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write a pool anew with smaller images, which every later pass decodes faster.

    All other members are kept.

    The same command continues where it was stopped.
    """
    with command("shards resize", as_json=as_json, debug=debug, continues=True) as output:
        from cluster.bad_budget import BadBudget
        from cluster.pool_loss import pool_loss
        from cluster.verbs.resize import resize as run
        from shards.resize import Resizing

        budget = BadBudget.parse(max_bad)
        how = Resizing(
            short_side=short_side,
            exact=exact,
            interpolation=interpolation,
            encoding=encoding,
            quality=quality,
        )
        with output.progress() as on_progress:
            report = run(
                pool,
                out=out,
                how=how,
                threads=threads,
                overwrite=overwrite,
                on_progress=on_progress,
            )
        before = sum(shard.num_bytes_in for shard in report.shards)
        after = sum(shard.num_bytes_out for shard in report.shards)
        output.finish(
            {"samples": report.samples, "num_bytes_in": before, "num_bytes_out": after}
            | {"problems": report.problems, "shards": report.shards},
            text=[
                *problem_lines(report.problems),
                f"{report.samples:,} samples in {len(report.shards):,} shards, "
                f"{before / 1e6:,.1f} MB -> {after / 1e6:,.1f} MB: {out}",
            ],
            exit_code=pool_loss(report.problems).exit_code(written=report.samples, budget=budget),
        )
