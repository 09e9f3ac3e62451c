"""`coursepack pu fit|score|show`: the images of a few labelled ones' domain, found in a pool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cluster.cli.options import AllowCode, AsJson, Debug, Run, example
from cluster.cli.output import command

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cluster.pu_report import PUFitReport

app = typer.Typer(
    no_args_is_help=True,
    help="Find the images of a few labelled ones' domain: positive-unlabelled learning.",
)

Which = Annotated[
    str | None,
    typer.Option("--which", metavar="NAME|ID", help="The PU table; the newest unless given."),
]


@app.command(
    epilog=example(
        "coursepack pu fit run/ --positives few/",
        "coursepack pu fit run/ --positives few.tar --prior 0.2 --name fifth",
        "coursepack pu fit run/ --positives few/ --sensitivity 0.1,0.2,0.3",
    )
)
def fit(
    run: Run,
    positives: Annotated[
        list[str],
        typer.Option(
            "--positives",
            metavar="FOLDER|SHARDS",
            help="Labelled images: folders of class folders, or shards with .cls; repeatable.",
        ),
    ],
    prior: Annotated[
        str,
        typer.Option(
            "--prior", metavar="SHARE|auto", help="Share of such images in the pool; or estimated."
        ),
    ] = "auto",
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="Of the table: SQL sees pu_NAME.")
    ] = "",
    features: Annotated[
        str | None,
        typer.Option(
            "--features", metavar="NAME|ID", help="Features to use; the newest unless given."
        ),
    ] = None,
    mode: Annotated[
        Literal["head", "finetune"],
        typer.Option(
            "--mode", metavar="head|finetune", help="Cached features, or the whole network."
        ),
    ] = "head",
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe", metavar="NAME", help="default, paper or finetune; by the mode unless given."
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="FIELD=VALUE", help="Change a setting, e.g. surrogate=sigmoid."
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Of the training.")] = 0,
    sensitivity: Annotated[
        str | None,
        typer.Option(
            "--sensitivity", metavar="SHARE,...", help="Also fit with these priors, and compare."
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option("--weights", metavar="FILE", help="The teacher's weights, if they moved."),
    ] = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Fit a classifier on cached features and score every image of the pool.

    The run needs features: `coursepack score ... --features full`. In mode head no image of the
    pool is read again; finetune reads them to train and to score. The scores become pu.pu_score
    and pu.pu_prob, for recipes and SQL.
    """
    with command("pu fit", as_json=as_json, debug=debug, continues=True) as output:
        from cluster.verbs.pu_fit import pu_fit

        with output.progress() as on_progress:
            report = pu_fit(
                run,
                positives=positives,
                prior=_prior(prior),
                name=name,
                features=features,
                mode=mode,
                recipe=recipe,
                settings=_settings(changes or []),
                seed=seed,
                sensitivity=_shares(sensitivity),
                weights=weights,
                allow_code=allow_code,
                on_progress=on_progress,
            )
        for warning in report.warnings:
            output.say(f"warning: {warning}")
        output.finish(report, text=_report_lines(report))


@app.command(epilog=example("coursepack pu score run/", "coursepack pu score run/ --which fifth"))
def score(run: Run, which: Which = None, as_json: AsJson = False, debug: Debug = False) -> None:
    """Score images that came to the pool since the fit; nothing is fitted anew.

    Their features must be there: `coursepack score ... --features` adds them.
    """
    with command("pu score", as_json=as_json, debug=debug, continues=True) as output:
        from cluster.verbs.pu_score import pu_score

        with output.progress() as on_progress:
            report = pu_score(run, which=which, on_progress=on_progress)
        output.finish(
            report,
            text=[
                f"pu {report.name or report.id}: {report.num_pool:,} images, "
                f"{report.parts_made} of {report.parts} parts scored now"
            ],
        )


@app.command(epilog=example("coursepack pu show run/", "coursepack pu show run/ --which fifth"))
def show(run: Run, which: Which = None, as_json: AsJson = False, debug: Debug = False) -> None:
    """Tell what the PU classifiers of a run are: prior, rates, attention, warnings."""
    with command("pu show", as_json=as_json, debug=debug) as output:
        from cluster.verbs.pu_show import pu_show

        reports = pu_show(run, which=which)
        text: list[str | RenderableType] = []
        for report in reports:
            text += _report_lines(report)
            text += [f"  warning: {warning}" for warning in report.warnings]
        output.finish({"classifiers": [report.to_dict() for report in reports]}, text=text)


def _prior(text: str) -> Any:
    """`auto` or a number; what is no share, the verb tells."""
    from shards.errors import UsageError

    if text == "auto":
        return "auto"
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"--prior {text!r}: expected a share such as 0.2, or auto") from None


def _shares(text: str | None) -> list[float]:
    from shards.errors import UsageError

    try:
        return [float(part) for part in text.split(",")] if text else []
    except ValueError:
        raise UsageError(
            f"--sensitivity {text!r}: expected shares with commas between, such as 0.1,0.2,0.3"
        ) from None


def _settings(changes: list[str]) -> dict[str, Any]:
    import yaml

    from shards.errors import UsageError

    found: dict[str, Any] = {}
    for change in changes:
        field, equals, value = change.partition("=")
        if not equals:
            raise UsageError(f"--set {change!r}: expected FIELD=VALUE, such as steps=4000")
        found[field] = yaml.safe_load(value)
    return found


def _report_lines(report: PUFitReport) -> list[str | RenderableType]:
    from cluster.cli.tables import text_table

    prior, few = report.prior, report.positives
    origin = "given" if prior["given"] else "estimated"
    lines: list[str | RenderableType] = [
        f"pu {report.name or report.id}{'' if report.written else ' (there already)'}: "
        f"{report.num_selected:,} of {report.num_scored:,} images have a score above 0",
        f"  prior       {prior['value']:.3g} {origin}; estimate {prior['estimate']:.3g} "
        f"(95 %: {prior['low']:.3g} to {prior['high']:.3g}), at most {prior['upper_bound']:.3g}",
        f"  labelled    {few['total']:,}, of which {few['held_out']:,} held out; "
        f"{report.true_positive_rate:.1%} of those score above 0 "
        f"({report.true_positive_rate_low:.1%} to {report.true_positive_rate_high:.1%})",
    ]
    if report.attention:
        stages = ", ".join(
            f"{stage['stage']} {stage['positives']:.2f}" for stage in report.attention
        )
        lines.append(f"  attention   {stages}")
    if report.truth is not None:
        precision = report.truth["precision"]
        shown = "none taken" if precision is None else f"{precision:.1%}"
        lines.append(
            f"  truth       precision {shown}, recall {report.truth['recall']:.1%}, "
            f"average precision {report.truth['average_precision']:.3f}"
        )
    if report.sensitivity:
        columns = ["prior", "num_selected", "true_positive_rate", "precision", "recall"]
        rows = [[row[name] for name in columns] for row in report.sensitivity]
        lines += ["", text_table(columns, rows, right=columns)]
    lines.append(f"  classifier  {report.folder}")
    return lines
