"""PU verbs on a real run: images, a teacher with features, labelled few, bad input."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from cluster import pu_fit, pu_score, pu_show, query, score, select, truth
from cluster.cli.main import app
from cluster.execution import ExecutionConfig
from cluster.score_report import ScoreReport
from selector.scoring.feature_spec import FeatureSpec
from selector.scoring.spec import ScoreSpec
from selector.teachers.spec import TeacherSpec
from shards.errors import UsageError
from tests.support.pools import write_teacher

pytestmark = pytest.mark.xdist_group("pu")  # one worker makes the fixtures, once

EXECUTION = ExecutionConfig(executor="inline", threads=1, device="cpu", batch_size=32)
SETTINGS = {"steps": 60, "lr": 0.02, "batch_pool": 64, "check_every": 20}


def picture(rng: np.random.Generator, *, striped: bool) -> bytes:
    """Stripes of one direction, or blotches; 24 x 24 JPEG."""
    if striped:
        line = np.tile(rng.integers(0, 256, 2), 12)
        pixels = np.broadcast_to(line[None, :, None], (24, 24, 3)) * rng.uniform(0.5, 1, 3)
    else:
        pixels = np.kron(rng.integers(0, 256, (6, 6, 3)), np.ones((4, 4, 1)))
    noisy = np.clip(pixels + rng.normal(0, 10, pixels.shape), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noisy).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def write_shard(path: Path, *, seed: int, images: int = 100) -> None:
    """Every third image is striped and says so in its .json; image 5 is broken."""
    rng = np.random.default_rng(seed)
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for number in range(images):
            striped = number % 3 == 0
            data = b"junk" if number == 5 else picture(rng, striped=striped)
            kind = json.dumps({"kind": "stripes" if striped else "blotches"}).encode()
            for extension, content in (("jpg", data), ("json", kind)):
                info = tarfile.TarInfo(f"{path.stem}-{number:03d}.{extension}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))


@dataclass(frozen=True)
class World:
    """Folders of one pool, its run, and the labelled few."""

    pool: Path
    run: str
    few: str
    weights: str

    def score(self) -> ScoreReport:
        return score(
            [str(self.pool)],
            spec=ScoreSpec(teacher=TeacherSpec(name="he/resnet8", weights=self.weights)),
            out=self.run,
            features=FeatureSpec(),
            execution=EXECUTION,
        )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("pu")
    (root / "pool").mkdir()
    for seed in range(3):
        write_shard(root / "pool" / f"s{seed}.tar", seed=seed)
    rng = np.random.default_rng(77)
    for label in range(9):  # the tenth class has no image
        (root / "few" / str(label)).mkdir(parents=True)
        for number in range(5):
            file = root / "few" / str(label) / f"{number}.jpg"
            file.write_bytes(picture(rng, striped=True))
    (root / "few" / "0" / "broken.jpg").write_bytes((root / "few/0/0.jpg").read_bytes()[:200])
    weights = str(write_teacher(root / "teacher.safetensors"))
    found = World(root / "pool", str(root / "run"), str(root / "few"), weights)
    found.score()
    truth(found.run, member="json", field="kind", mapping={"stripes": 0})
    pu_fit(found.run, positives=[found.few], prior=0.33, name="third", settings=SETTINGS)
    return found


def test_a_fit_finds_the_striped_images_and_tells_what_it_knows(world: World) -> None:
    (report,) = pu_show(world.run, which="third")
    assert report.truth is not None
    assert report.truth["average_precision"] > 0.8
    assert report.num_pool == 300
    assert report.num_scored == 297
    assert 50 < report.num_selected < 150
    assert report.prior["given"]
    assert report.positives["total"] == 45
    assert report.positives["classes_without"] == [9]
    assert len(report.positives["misclassified"]) > 20  # a teacher of random weights
    assert [entry["stage"] for entry in report.attention] == ["layer1", "layer2", "layer3"]
    edges, pool = report.histograms["edges"], report.histograms["pool"]
    assert len(edges) == len(pool) + 1
    assert sum(pool) == 297
    told = " ".join(report.warnings)
    assert "no labelled image of 1 of 10 classes: 9" in told
    assert "the teacher misclassifies" in told
    assert "it is wrong on most of them" in told
    assert "1 of 46 labelled images were left out; the first, 0/broken" in told
    steps = [json.loads(line)["step"] for line in Path(report.curve).read_text().splitlines()]
    assert steps == sorted(steps)
    assert steps[0] == 20


def test_the_table_is_aligned_and_seen_by_sql_and_recipes(world: World) -> None:
    rows = query(
        world.run,
        "SELECT status, pu_score, pu_prob, is_positive FROM scores JOIN pu_third USING (row_id) "
        "JOIN truth USING (row_id) ORDER BY row_id",
    )
    assert rows.num_rows == 300
    missing = [score is None for score in rows["pu_score"].to_pylist()]
    assert missing == [status != "ok" for status in rows["status"].to_pylist()]
    found = np.nan_to_num(rows["pu_prob"].to_numpy())
    assert ((found >= 0) & (found <= 1)).all()
    first = select(world.run, recipe="pu-s1", name="s1").num_rows
    assert first == pu_show(world.run)[-1].num_selected
    second = select(world.run, recipe="pu-s2", n=20, name="s2")
    assert second.num_rows == 20
    best = select(world.run, recipe="pu-top", n=30, name="top").num_rows
    assert best == 30
    real = select(world.run, recipe="baseline-ground-truth", name="real").num_rows
    assert real == int((rows["is_positive"].to_numpy()[~np.array(missing)] == 1).sum())
    assert select(world.run, recipe="baseline-random", n=20, name="chance").num_rows == 20
    assert 0 < select(world.run, recipe="pu-noise", n=5, name="both").num_rows <= 50


def test_the_same_fit_again_is_there_already(world: World) -> None:
    again = pu_fit(world.run, positives=[world.few], prior=0.33, name="third", settings=SETTINGS)
    assert not again.written
    assert again.id == pu_show(world.run, which="third")[0].id
    with pytest.raises(UsageError, match="has pu called 'third' already"):
        pu_fit(world.run, positives=[world.few], prior=0.4, name="third", settings=SETTINGS)


def test_new_shards_are_scored_by_the_same_classifier(world: World, tmp_path: Path) -> None:
    moved = World(tmp_path / "pool", str(tmp_path / "run"), world.few, world.weights)
    shutil.copytree(world.pool, moved.pool)
    moved.score()
    fitted = pu_fit(moved.run, positives=[moved.few], prior=0.33, settings=SETTINGS)
    before = query(moved.run, "SELECT * FROM pu ORDER BY row_id")
    write_shard(moved.pool / "s3.tar", seed=3)
    moved.score()
    report = pu_score(moved.run)
    assert (report.id, report.parts, report.parts_made) == (fitted.id, 4, 1)
    assert report.num_pool == 400
    after = query(moved.run, "SELECT * FROM pu ORDER BY row_id")
    assert after.slice(0, 300).equals(before)
    assert pu_score(moved.run).parts_made == 0


def test_the_whole_network_is_trained_scored_and_scores_new_shards(
    world: World, tmp_path: Path
) -> None:
    mine = World(tmp_path / "pool", str(tmp_path / "run"), world.few, world.weights)
    mine.pool.mkdir()
    for seed in (1, 2):
        shutil.copy(world.pool / f"s{seed}.tar", mine.pool)
    mine.score()
    options = {"steps": 12, "lr": 0.01, "batch_pool": 32, "batch_positives": 16, "check_every": 6}
    report = pu_fit(
        mine.run,
        positives=[mine.few],
        prior=0.33,
        name="whole",
        mode="finetune",
        settings=options,
        execution=EXECUTION,
    )
    assert report.mode == "finetune"
    assert (report.num_pool, report.num_scored) == (200, 198)
    assert [json.loads(line)["step"] for line in Path(report.curve).read_text().splitlines()] == [
        6,
        12,
    ]
    again = pu_fit(
        mine.run,
        positives=[mine.few],
        prior=0.33,
        name="whole",
        mode="finetune",
        settings=options,
    )
    assert not again.written
    before = query(mine.run, "SELECT * FROM pu_whole ORDER BY row_id")
    shutil.copy(world.pool / "s0.tar", mine.pool)  # sorts before the others, comes after them
    mine.score()
    grown = pu_score(mine.run, which="whole", execution=EXECUTION)
    assert (grown.num_pool, grown.parts_made) == (300, 1)
    after = query(mine.run, "SELECT * FROM pu_whole ORDER BY row_id")
    assert after.slice(0, 200).equals(before)
    assert after.slice(200)["pu_score"].null_count == 1


def test_truth_by_class_names_and_what_is_unknown(world: World, tmp_path: Path) -> None:
    found = truth(world.run, member="json", field="colour", missing="unknown")
    assert (found.positives, found.negatives, found.unknown) == (0, 0, 300)
    again = truth(world.run, member="json", field="kind", mapping={"stripes": 0})
    assert (again.positives, again.negatives, again.unknown) == (102, 198, 0)
    for options in ({"member": "json"}, {"member": "cls", "field": "kind"}, {"member": "txt"}):
        with pytest.raises(UsageError, match="expected cls without a field, or json with"):
            truth(world.run, **options)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="is mapped to 'zebra', no class"):
        truth(world.run, member="json", field="kind", mapping={"stripes": "zebra"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--prior", "1.5"], "above 0 and below 1"),
        (["--prior", "much"], "expected a share such as 0.2, or auto"),
        (["--features", "nosuch"], "no features 'nosuch'; it has"),
        (["--set", "lr=fast"], "PU setting lr"),
        (["--set", "lr"], "expected FIELD=VALUE"),
        (["--sensitivity", "0.1;0.2"], "expected shares with commas between"),
        (["--recipe", "best"], "no PU recipe 'best'"),
    ],
)
def test_wrong_options_are_told(world: World, options: list[str], message: str) -> None:
    found = CliRunner().invoke(app, ["pu", "fit", world.run, "--positives", world.few, *options])
    assert found.exit_code == 2
    assert message in found.output


def test_the_command_line(world: World, tmp_path: Path) -> None:
    classes = tmp_path / "classes.yaml"
    classes.write_text(yaml.safe_dump({"stripes": 0}))
    options = ["--member", "json", "--field", "kind", "--map", str(classes), "--json"]
    done = CliRunner().invoke(app, ["truth", world.run, *options])
    assert json.loads(done.stdout)["positives"] == 102, done.output
    shown = CliRunner().invoke(app, ["pu", "show", world.run, "--which", "third"])
    assert "images have a score above 0" in shown.output
    assert "prior       0.33 given" in shown.output
    assert "average precision" in shown.output
    scored = CliRunner().invoke(app, ["pu", "score", world.run, "--which", "third"])
    assert "0 of 3 parts scored now" in scored.output


def test_a_run_without_features_says_how_to_get_them(tmp_path: Path, world: World) -> None:
    run = str(tmp_path / "run")
    score(
        [str(world.pool / "s0.tar")],
        spec=ScoreSpec(teacher=TeacherSpec(name="he/resnet8", weights=world.weights)),
        out=run,
        execution=EXECUTION,
    )
    with pytest.raises(UsageError, match=r"no features; .*--features full"):
        pu_fit(run, positives=[world.few])
    with pytest.raises(UsageError, match="no pu; `coursepack pu fit"):
        pu_show(run)


def test_too_few_positives(world: World, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(4):
        (tmp_path / f"{number}.jpg").write_bytes(picture(rng, striped=True))
    with pytest.raises(UsageError, match="4 labelled images with features; expected at least 10"):
        pu_fit(world.run, positives=[str(tmp_path)], prior=0.3)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="holds no images"):
        pu_fit(world.run, positives=[str(tmp_path / "empty")], prior=0.3)
