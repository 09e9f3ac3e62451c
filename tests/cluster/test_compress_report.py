from __future__ import annotations

from cluster.compress_report import CompressReport

REPORT = CompressReport(
    out="work",
    student="work/students/pu/student.safetensors",
    pu={"prior": {"value": 0.21, "given": False}, "true_positive_rate": 0.95},
    num_selected={"pu": 10_074, "random": 10_074},
    precision={"pu": 0.675, "random": 0.2},
    accuracy={"pu": {"top1": 0.9712, "worst_class_accuracy": 0.941}},
    teacher_accuracy=0.989,
    class_weights=None,
    unselected=[],
    report="work/report.html",
    warnings=[],
)


def test_a_reader_gets_prior_precision_and_accuracies() -> None:
    text = "\n".join(REPORT.lines())
    for part in ("prior 0.210 (estimated)", "10,074 images", "95.0%", "random 20.0%", "98.90%"):
        assert part in text
    assert "97.12%, worst class 94.10%" in text


def test_without_labelled_test_images_there_are_no_accuracies() -> None:
    bare = CompressReport(
        **{**REPORT.to_dict(), "accuracy": {}, "teacher_accuracy": None, "precision": {}}
    )
    text = "\n".join(bare.lines())
    assert "accuracy" not in text
    assert "ground truth" not in text
    assert "student: work/students/pu/student.safetensors" in text
