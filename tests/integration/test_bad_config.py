"""Wrong weights, configurations, recipes and queries: refused with exit code 2, place and cure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.support.command import coursepack, score
from tests.support.pools import write_pool, write_teacher


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Path:
    """A pool and a run that scored it."""
    folder = tmp_path_factory.mktemp("config")
    write_pool(folder / "pool", shards=1, images=6)
    assert score(folder / "pool", weights, folder / "run").exit_code == 0
    return folder


def bytes_writer(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


WEIGHTS: dict[str, tuple[Callable[[Path], object], int, str]] = {
    # name: (how it comes to be, exit code, what the message says)
    "missing.safetensors": (lambda path: None, 1, "does not exist; check the path"),
    "deeper.safetensors": (
        lambda path: write_teacher(path, name="he/resnet20"),
        2,
        "unexpected (60): layer1.1.bn1.bias, layer1.1.bn1.running_mean, layer1.1.bn1.running_var",
    ),
    "other.safetensors": (
        lambda path: write_teacher(path, name="lenet/5"),
        2,
        "missing (45): conv1.weight",
    ),
    "empty.safetensors": (bytes_writer(b""), 2, "no readable safetensors file"),
    "torn.safetensors": (bytes_writer(b"\x10\0\0\0\0\0\0\0{"), 2, "no readable safetensors file"),
    "junk.pt": (bytes_writer(b"junk" * 100), 2, "does not load as plain tensors"),
    "model.pt": (
        lambda path: torch.save(torch.nn.Linear(2, 2), path),
        2,
        "Unsupported global: GLOBAL torch.nn.modules.linear.Linear)",
    ),
    "numbers.pt": (lambda path: torch.save({"a": 1}, path), 2, "holds more than tensors: a"),
    "junk.npz": (bytes_writer(b"junk" * 100), 2, "no .npz archive of plain arrays; save it again"),
    "weights.txt": (bytes_writer(b"0.5"), 2, "end in '.txt'; expected .safetensors"),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_wrong_weights(workplace: Path, tmp_path: Path, name: str) -> None:
    write, exit_code, told = WEIGHTS[name]
    write(tmp_path / name)
    answer = score(workplace / "pool", tmp_path / name, tmp_path / "run")
    assert answer.exit_code == exit_code
    message = answer.json["error"]["message"]
    assert str(tmp_path / name) in message
    if name != "other.safetensors":
        assert told in message
    else:
        assert "missing (" in message
        assert "unexpected (" in message
    assert "allow_pickle" not in message
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "exit_code", "told"),
    [
        (["--teacher", "he/resnet9"], 2, "did you mean he/resnet8"),
        (["--teacher", "resnet8"], 2, "expected he/..."),
        (["--teacher", "py:os:getcwd"], 2, "--allow-code"),
        (["--class-names", "{here}/three.txt"], 2, "3 class names, he/resnet8 has 10 classes"),
        (["--class-names", "{here}/none.txt"], 1, "none.txt does not exist"),
        (["--set", "teacher.num_classes=7"], 2, "linear.weight (file (10, 64), model (7, 64))"),
        (["--device", "tpu"], 2, "expected cpu or cuda"),
        (["--max-bad", "150%"], 2, "max_bad: a share lies between 0% and 100%"),
        (["--max-bad", "few"], 2, "expected a share like 5%"),
        (["--image-ext", ","], 2, "expected extensions such as jpg"),
        (["--set", "execution.actor=2"], 2, "did you mean 'actors'?"),
        (["--set", "pool"], 2, "expected path=value"),
        (["--config", "{here}/none.yaml"], 2, "none.yaml does not exist"),
    ],
)
def test_wrong_options(
    workplace: Path, weights: Path, tmp_path: Path, options: list[str], exit_code: int, told: str
) -> None:
    (workplace / "three.txt").write_text("a\nb\nc\n")
    given = [option.format(here=workplace) for option in options]
    answer = score(workplace / "pool", weights, tmp_path / "run", *given)
    assert answer.exit_code == exit_code
    assert told in answer.json["error"]["message"]
    assert not (tmp_path / "run").exists()


SCORE = (
    "pool: [{here}/pool]\nout: {here}/other\nteacher: {{name: he/resnet8, weights: w.npz}}\n"
    "execution: {{executor: inline}}\n"
)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("out:", "outt:", "line 2: outt: unknown key; did you mean 'out'?"),
        ("{{name:", "{{nme:", "line 3: teacher.name: missing, but required"),
        ("inline", "slurm", "line 4: execution.executor: found 'slurm', expected 'local'"),
        ("[{here}/pool]", "3", "line 1: pool: found 3, expected a list"),
        ("weights: w.npz", "weights: [w]", "line 3: teacher.weights: found ['w']"),
        ("w.npz", "w.npz, allow_code: true", "teacher.allow_code cannot be set in a file"),
        ("execution:", "out: x\nexecution:", "line 4: key 'out' stands there twice"),
        ("execution: {{", "execution: [", "line 4: expected ',' or ']'"),
        ("inline", "!!python/name:os.system x", "line 4: could not determine a constructor"),
        ("{{executor: inline}}", "{{threads: two}}", "execution.threads: found 'two'"),
        ("{{executor: inline}}", "{{}}\nmax_bad: [1]", "max_bad: expected a share"),
        ("{{executor: inline}}", "{{}}\nlimits: {{max_pixels: 0}}", "limits.max_pixels: found 0"),
        ("{{executor: inline}}", "{{}}\nimage_ext: jpg", "image_ext: found 'jpg', expected a list"),
        (SCORE, "- a\n- b\n", "found list, expected `name: value` lines"),
        (SCORE, "a\0b", "no readable YAML"),
    ],
)
def test_a_wrong_score_yaml(workplace: Path, old: str, new: str, told: str) -> None:
    path = workplace / "score.yaml"
    path.write_text(SCORE.replace(old, new).format(here=workplace))
    answer = coursepack("score", "--config", path)
    assert answer.exit_code == 2
    assert str(path) in answer.errors
    assert told in answer.errors
    assert not (workplace / "other").exists()


DISTILL = (
    "teacher: {{name: he/resnet8, weights: {weights}}}\nstudent: {{name: he/resnet8}}\n"
    "data: {{train: [{here}/pool]}}\nobjective: {{kind: kd}}\nbatch_size: 4\nsteps: 1\n"
    "out: {here}/student\n"
)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("steps:", "step:", "line 6: step: unknown key; did you mean 'steps'?"),
        ("steps: 1", "steps: 0", "line 6: steps: found 0, expected greater than or equal to 1"),
        ("kind: kd", "kind: kdd", "line 4: objective.kind: found 'kdd', expected one of 'kd'"),
        ("kind: kd", "kind: kd, temprature: 2", "objective.temprature: unknown key; did you mean"),
        ("kind: kd", "kind: kd, temperature: -1", "found -1, expected greater than 0"),
        ("objective: {{kind: kd}}\n", "", "objective: missing, but required"),
        ("student: {{name: he/resnet8}}", "student: {{name: he/resnet9}}", "he/resnet8"),
        ("steps: 1", "steps: 1\noptimizer: {{lr: fast}}", "optimizer.lr: found 'fast'"),
        ("steps: 1", "steps: 1\ndevice: tpu", "device"),
        ("out: {here}/student", "out: s3://bucket/student", "out: expected a local folder"),
    ],
)
def test_a_wrong_distill_yaml(
    workplace: Path, weights: Path, old: str, new: str, told: str
) -> None:
    path = workplace / "distill.yaml"
    path.write_text(DISTILL.replace(old, new).format(here=workplace, weights=weights))
    answer = coursepack("distill", path)
    assert answer.exit_code == 2
    assert told in answer.errors
    assert not (workplace / "student" / "student.safetensors").exists()


RECIPE = "name: x\nsteps:\n  - take: {n: 3, order: noise_value}\n"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("order:", "ordr:", "steps[0].take: unknown key 'ordr'; did you mean 'order'?"),
        ("take", "tke", "steps[0]: unknown key 'tke'; did you mean 'take'?"),
        ("name:", "nam:", "unknown key 'nam'"),
        ("n: 3", "n: three", "steps[0].take.n: Input should be a valid integer, found 'three'"),
        ("n: 3", "n: 0", "steps[0].take.n"),
        ("n: 3", "n: 7", "7 rows wanted, 6 there; lower n, or set shortage: accept"),
        ("noise_value", "noise", "scores has no column 'noise'; did you mean 'noise_value'?"),
        ("steps:", "source: {where: \"statu = 'ok'\"}\nsteps:", 'column "statu" not found'),
        ("steps:", 'source: {where: "true; drop table scores"}\nsteps:', "more than one statement"),
        ("steps:", "source: {where: \"key IN (FROM read_csv('/etc/passwd'))\"}\nsteps:", "Cannot"),
        ("steps:", "steps:\n  - exclude: {duplicates: semantic}", "no fact table 'semantic'"),
        ("name: x", "name: ../x", "selection name '../x'"),
        (RECIPE, "name: x\n", "steps: missing, but required"),
        (RECIPE, "", "found nothing, expected `name: value` lines"),
    ],
)
def test_a_wrong_recipe(workplace: Path, old: str, new: str, told: str) -> None:
    path = workplace / "recipe.yaml"
    path.write_text(RECIPE.replace(old, new))
    answer = coursepack("select", workplace / "run", "--recipe", path)
    assert answer.exit_code == 2
    assert told in answer.errors
    assert not (workplace / "run" / "selections").exists()


def test_an_exclusion_list_that_is_not_there(workplace: Path) -> None:
    path = workplace / "excluding.yaml"
    path.write_text("name: x\nsteps:\n  - exclude: {list: takedown.txt}\n")
    answer = coursepack("select", workplace / "run", "--recipe", path)
    assert answer.exit_code == 1
    assert f"{workplace / 'takedown.txt'} does not exist" in answer.errors


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("", "expected one SQL statement"),
        ("SELECT nothing FROM scores", "scores has row_id, shard_id"),
        ("SELECT * FROM images", "the tables are classes, members, scores"),
        ("DROP TABLE scores", "expected a SELECT"),
        ("COPY scores TO '/tmp/x.csv'", "expected a SELECT"),
        ("SELECT 1; SELECT 2", "found 2; ask one at a time"),
        ("SELECT * FROM read_csv('/etc/passwd')", "only the tables of the run can be read"),
        ("SELECT * FROM scores WHERE key = '", "unterminated"),
    ],
)
def test_a_wrong_query(workplace: Path, sql: str, told: str) -> None:
    answer = coursepack("query", workplace / "run", sql)
    assert answer.exit_code == 2
    assert told in answer.errors


@pytest.mark.parametrize(
    ("name", "content", "exit_code", "told"),
    [
        ("a.npz", b"PK torn", 1, "expected a .npz or .npy of plain numbers"),
        ("images-ubyte", b"\0\0\x08\x03torn", 1, "fetch it again"),
        ("photo.jpg", b"\xff\xd8\xff", 2, "expected a folder of images"),
        ("torchvision:NoSuchThing", None, 2, "torchvision.datasets lists them"),
        ("nowhere", None, 1, "does not exist"),
    ],
)
def test_a_source_that_nothing_can_be_built_from(
    tmp_path: Path, name: str, content: bytes | None, exit_code: int, told: str
) -> None:
    source = name if name.startswith("torchvision:") else str(tmp_path / name)
    if content is not None:
        Path(source).write_bytes(content)
    answer = coursepack("shards", "build", source, "--out", tmp_path / "out")
    assert answer.exit_code == exit_code
    assert source.partition(":")[2] in answer.errors
    assert told in answer.errors
    assert "allow_pickle" not in answer.errors
    assert not (tmp_path / "out").exists()
