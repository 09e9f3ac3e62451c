"""Every runtime against eager PyTorch: same noise values, same selection, same features."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor

from selector.scores.noise_value import noise_value
from selector.teachers.black_box import BlackBox
from selector.teachers.exported import Threads
from selector.teachers.fixed_batch import FixedBatchRuntime
from selector.teachers.load import Teacher, load_teacher
from selector.teachers.open_runtime import (
    RUNTIMES,
    describe_runtime,
    open_runtime,
    recorded_name,
    runtime_of,
    why_not,
)
from selector.teachers.probe_runtimes import probe_runtimes
from selector.teachers.runtime import Answer, EagerRuntime
from selector.teachers.spec import RuntimeName, TeacherSpec
from selector.teachers.taps import default_taps
from shards.errors import UsageError
from tests.support.models import tiny_teacher

BATCH = 32


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Teacher:
    spec = tiny_teacher(tmp_path_factory.mktemp("runtimes"), "he/resnet8", sharpness=5)
    return load_teacher(spec)


@pytest.fixture(scope="module")
def fixed_onnx(teacher: Teacher) -> bytes:
    """The teacher as an ONNX file of two images at a time."""
    pytest.importorskip("onnxscript")
    program = torch.onnx.export(
        teacher.module, (torch.zeros(2, 3, 32, 32),), dynamo=True, verbose=False
    )
    assert program is not None
    data: bytes = program.model_proto.SerializeToString()
    return data


@pytest.fixture(scope="module")
def free_onnx(teacher: Teacher) -> bytes:
    """The teacher as an ONNX file of any number of images."""
    pytest.importorskip("onnxscript")
    from selector.teachers.onnx_graph import to_float_onnx

    return to_float_onnx(teacher)


def images(num: int = BATCH, *, seed: int = 0) -> Tensor:
    """Of many kinds, so that noise values spread."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(num, 3, 4, 4, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=32, mode="bilinear")
    contrast = torch.rand(num, 1, 1, 1, generator=generator)
    return (255 * (0.5 + (smooth - 0.5) * contrast)).to(torch.uint8)


def packages(name: RuntimeName) -> None:
    for package in RUNTIMES[name].packages:
        pytest.importorskip(package)


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_it_ranks_and_selects_as_eager_does(teacher: Teacher, name: RuntimeName) -> None:
    packages(name)
    runtime = open_runtime(name, teacher, batch_size=BATCH)
    eager = EagerRuntime(teacher)
    found = torch.cat([noise_value(runtime(images(seed=seed))) for seed in range(8)])
    expected = torch.cat([noise_value(eager(images(seed=seed))) for seed in range(8)])
    assert torch.allclose(found, expected, rtol=1e-3, atol=1e-6)
    assert spearmanr(found, expected).statistic > 0.9999
    top = [set(values.argsort()[:64].tolist()) for values in (found, expected)]
    assert len(top[0] & top[1]) >= 63


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_features_come_from_the_same_pass(teacher: Teacher, name: RuntimeName) -> None:
    packages(name)
    taps = default_taps(teacher.name, teacher.module)
    runtime = open_runtime(name, teacher, taps=taps, batch_size=BATCH)
    found = runtime.answer(images())
    expected = EagerRuntime(teacher, taps=taps).answer(images())
    assert found.features is not None
    assert expected.features is not None
    assert torch.allclose(found.logits, expected.logits, rtol=1e-3, atol=1e-3)
    assert torch.allclose(found.features, expected.features, rtol=1e-3, atol=1e-4)
    described = describe_runtime(name, teacher, taps=taps, device="cpu")
    assert (described.name, described.stages) == (runtime.name, runtime.stages)


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_an_image_has_one_answer_in_any_batch_and_thread(
    teacher: Teacher, name: RuntimeName
) -> None:
    packages(name)
    runtime = open_runtime(name, teacher, batch_size=BATCH, threads=Threads(callers=2))
    batch = images(2 * BATCH + 5)
    whole = runtime(batch)
    assert whole.shape == (2 * BATCH + 5, 10)
    assert torch.equal(runtime(batch[:7]), runtime(torch.cat([batch[:7], batch[9:30]]))[:7])
    with ThreadPoolExecutor(2) as threads:
        parts = list(threads.map(runtime, batch[: 2 * BATCH].split(BATCH) * 5))
    for number, part in enumerate(parts):
        assert torch.equal(part, whole[: 2 * BATCH].split(BATCH)[number % 2])


def test_a_smaller_batch_makes_the_network_anew(teacher: Teacher) -> None:
    packages("onnxruntime")
    runtime = open_runtime("onnxruntime", teacher, batch_size=8)
    assert isinstance(runtime, FixedBatchRuntime)
    expected = runtime(images(21))
    runtime.fix_batch(4)
    asked: list[int] = []

    def run(batch: Tensor) -> Answer:
        asked.append(len(batch))
        return made.run(batch)

    made, runtime._network = runtime._network, runtime._network._replace(run=run)
    assert torch.allclose(runtime(images(21)), expected, rtol=1e-4, atol=1e-4)
    assert asked == [4] * 6, "the last one is padded to what the network takes now"


def bf16_is_here(teacher: Teacher) -> None:
    packages("openvino-bf16")
    if reason := why_not("openvino-bf16", teacher):
        pytest.skip(reason)


def test_bf16_ranks_and_selects_nearly_as_float32_does(teacher: Teacher) -> None:
    bf16_is_here(teacher)
    runtime, eager = open_runtime("openvino-bf16", teacher, batch_size=BATCH), EagerRuntime(teacher)
    assert runtime.name == "openvino-bf16"
    batches = [images(seed=seed) for seed in range(16)]
    found = torch.cat([noise_value(runtime(batch)) for batch in batches])
    expected = torch.cat([noise_value(eager(batch)) for batch in batches])
    assert runtime(batches[0]).dtype == torch.float32
    assert not torch.allclose(found, expected, rtol=1e-4), "it computed in float32 after all"
    assert spearmanr(found, expected).statistic > 0.995
    top = [set(values.argsort()[:128].tolist()) for values in (found, expected)]
    assert len(top[0] & top[1]) >= 120


def test_bf16_gives_the_same_features_nearly(teacher: Teacher) -> None:
    bf16_is_here(teacher)
    taps = default_taps(teacher.name, teacher.module)
    found = open_runtime("openvino-bf16", teacher, taps=taps, batch_size=BATCH).answer(images())
    expected = EagerRuntime(teacher, taps=taps).answer(images())
    assert found.features is not None
    assert expected.features is not None
    assert found.features.dtype == torch.float32
    cosine_N = torch.cosine_similarity(found.features, expected.features)
    assert float(cosine_N.min()) > 0.999


def test_a_processor_without_bf16_is_told_what_to_use(
    teacher: Teacher, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages("openvino-bf16")
    import openvino

    class OldCore(openvino.Core):
        def get_property(self, *args: str) -> object:
            found = super().get_property(*args)
            return [one for one in found if one != "BF16"] if isinstance(found, list) else found

    monkeypatch.setattr(openvino, "Core", OldCore)
    with pytest.raises(UsageError, match=r"no bf16 arithmetic .* use openvino"):
        open_runtime("openvino-bf16", teacher, batch_size=BATCH)


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_threads_of_one_call_do_not_change_its_answer(teacher: Teacher, name: RuntimeName) -> None:
    packages(name)
    alone = open_runtime(name, teacher, batch_size=BATCH)(images())
    both = open_runtime(name, teacher, batch_size=BATCH, threads=Threads(of_each=2))(images())
    assert torch.allclose(alone, both, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_the_compiled_network_answers_as_eager_does(tmp_path: Path) -> None:
    teacher = load_teacher(tiny_teacher(tmp_path, "lenet/5-half", sharpness=5))
    runtime = open_runtime("compile", teacher, batch_size=BATCH)
    assert runtime.name == "compile-fp32"
    grey = images()[:, :1]
    with torch.inference_mode():
        found, few = runtime(grey), runtime(grey[:5])
        many = runtime(torch.cat([grey, grey[:5]]))
    assert torch.allclose(found, EagerRuntime(teacher)(grey), rtol=1e-3, atol=1e-3)
    assert torch.equal(few, found[:5])
    assert torch.equal(many, torch.cat([found, few]))
    runtime.fix_batch(BATCH // 2)
    with torch.inference_mode():
        halved = runtime(grey)
    assert torch.allclose(halved, found, rtol=1e-3, atol=1e-3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")
def test_bf16_on_a_gpu_ranks_as_float32_does(tmp_path: Path) -> None:
    teacher = load_teacher(tiny_teacher(tmp_path, "he/resnet8", sharpness=5), device="cuda")
    compiled, eager = open_runtime("compile", teacher, batch_size=BATCH), EagerRuntime(teacher)
    assert compiled.name == "compile-bf16"
    batches = [images(seed=seed) for seed in range(8)]
    found = torch.cat([noise_value(compiled(batch)).cpu() for batch in batches])
    expected = torch.cat([noise_value(eager(batch)).cpu() for batch in batches])
    assert spearmanr(found, expected).statistic > 0.995


def test_recorded_names_lead_back_to_their_runtime() -> None:
    recorded = {
        recorded_name(name, device): name
        for name, kind in RUNTIMES.items()
        for device in kind.devices
    }
    assert len(recorded) == 6  # compile differs between devices, eager does not
    assert {name: runtime_of(name) for name in recorded} == recorded
    with pytest.raises(ValueError, match="'tpu-bf16' is unknown"):
        runtime_of("tpu-bf16")


def test_what_cannot_run_is_told_with_the_way_out(
    teacher: Teacher, fixed_onnx: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    from selector.teachers.exported import to_onnx

    (tmp_path / "model.onnx").write_bytes(fixed_onnx)
    preprocessing = {"preset": "he/resnet8"}
    black_box = load_teacher(
        TeacherSpec(name=f"file:{tmp_path}/model.onnx", preprocessing=preprocessing)
    )
    with pytest.raises(UsageError, match=r"brings its own runtime; .* ask for openvino"):
        open_runtime("onnxruntime", black_box, batch_size=BATCH)
    assert why_not("eager", black_box) == ""
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install 'coursepack[openvino]'" in why_not("openvino", teacher)
    branching = Teacher(
        "odd", _Odd(), teacher.preprocessing, 10, None, "print"
    )  # fmt: skip
    with pytest.raises(UsageError, match="odd cannot be written as ONNX"):
        to_onnx(branching, (), batch_size=2)


def file_teacher(path: Path, model: bytes) -> Teacher:
    path.write_bytes(model)
    return load_teacher(TeacherSpec(name=f"file:{path}", preprocessing={"preset": "he/resnet8"}))


@pytest.mark.parametrize("batch", ["any", "fixed"])
def test_openvino_runs_an_onnx_file_as_its_own_runtime_does(
    teacher: Teacher, free_onnx: bytes, fixed_onnx: bytes, tmp_path: Path, batch: str
) -> None:
    packages("openvino")
    pytest.importorskip("onnxruntime")
    box = file_teacher(tmp_path / "m.onnx", free_onnx if batch == "any" else fixed_onnx)
    assert box.module.input_shape[0] == (None if batch == "any" else 2)
    runtime = open_runtime("openvino", box, batch_size=8)
    found = runtime(images(21))
    assert found.shape == (21, 10)
    assert torch.allclose(found, EagerRuntime(box)(images(21)), rtol=1e-3, atol=1e-3)
    assert torch.allclose(found, EagerRuntime(teacher)(images(21)), rtol=1e-3, atol=1e-3)
    last = images(21).contiguous(memory_format=torch.channels_last)
    assert torch.equal(runtime(last), found), "as the threads hand batches over"
    described = describe_runtime("openvino", box, taps=(), device="cpu")
    assert (described.name, described.stages) == (runtime.name, runtime.stages)
    runtime.fix_batch(3)
    assert torch.allclose(runtime(images(21)), found, rtol=1e-4, atol=1e-4)


def test_openvino_reads_a_file_whose_weights_lie_in_a_second_one(
    teacher: Teacher, free_onnx: bytes, tmp_path: Path
) -> None:
    packages("openvino")
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(free_onnx)
    path = tmp_path / "m.onnx"
    onnx.save(model, path, save_as_external_data=True, location="m.onnx.data", size_threshold=512)
    box = file_teacher(path, path.read_bytes())
    found = open_runtime("openvino", box, batch_size=BATCH)(images())
    assert torch.allclose(found, EagerRuntime(teacher)(images()), rtol=1e-3, atol=1e-3)


def test_a_file_has_no_taps_by_any_runtime(
    teacher: Teacher, fixed_onnx: bytes, tmp_path: Path
) -> None:
    packages("openvino")
    box = file_teacher(tmp_path / "m.onnx", fixed_onnx)
    taps = default_taps(teacher.name, teacher.module)
    for name in ("eager", "openvino"):
        with pytest.raises(UsageError, match="of a model in a file"):
            open_runtime(name, box, taps=taps, batch_size=BATCH)


def test_auto_probes_a_file_by_what_can_run_it(fixed_onnx: bytes, tmp_path: Path) -> None:
    packages("openvino")
    box = file_teacher(tmp_path / "m.onnx", fixed_onnx)
    found = probe_runtimes(box, device="cpu", batch_size=2, seconds=0.01)
    assert {"eager", "openvino"} <= found.images_per_s.keys()
    assert "brings its own runtime" in found.left_out["onnxruntime"]


def test_a_program_stays_eager(teacher: Teacher) -> None:
    box = replace(teacher, name="file:m.pt2", module=BlackBox(teacher.module, (None,) * 4))
    for name in ("onnxruntime", "openvino", "compile"):
        with pytest.raises(UsageError, match=r"a program .* no ONNX; leave --runtime"):
            open_runtime(name, box, batch_size=BATCH)


class _Odd(torch.nn.Module):
    """Takes another way for other data, which no graph can hold."""

    def forward(self, x: Tensor) -> Tensor:
        logits = x.flatten(1)[:, :10]
        return -logits if float(logits.sum()) > 0 else logits
