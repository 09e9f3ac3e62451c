"""What an int8 file is worth: how it agrees with its teacher, how fast it is, how to use it."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass
from typing import Any

from selector.teachers.agreement import GATE, Agreement

WAYS_OUT = (
    "--float-layers N keeps more of the first layers in float32; --images N with more of them "
    "gives better ranges and a surer verdict; --runtime openvino-bf16, on a processor that has "
    "bf16, needs no file; --accept writes it all the same"
)


@dataclass(frozen=True)
class Way:
    """The int8 file by one runtime, on the images that it was not calibrated on.

    Attributes:
        runtime: that a user names; eager runs an ONNX file by onnxruntime.
        agreement: with the original, eager in float32.
        images_per_s: of one thread, by its processor time.
    """

    runtime: str
    agreement: Agreement
    images_per_s: float

    def to_dict(self) -> dict[str, Any]:
        return {
            "runtime": self.runtime,
            **self.agreement.to_dict(),
            "holds": self.agreement.holds,
            "images_per_s": round(self.images_per_s, 1),
        }


@dataclass(frozen=True)
class QuantizeReport:
    """What was made, and how it agrees with what it was made of.

    Attributes:
        out, report, config: the int8 file, this report as JSON, and a file for `--config`.
        teacher, file: fingerprints; name and weights; bytes and layers that stayed in float32.
        images: calibration, held_out, skipped, and shards that they are from.
        images_per_s: of the original, eager in float32, by one thread.
        ways: the int8 file by each runtime that is installed.
        stamp: time, hardware, versions, commit.
    """

    out: str
    report: str
    config: str
    teacher: dict[str, Any]
    file: dict[str, Any]
    images: dict[str, int]
    images_per_s: float
    ways: tuple[Way, ...]
    stamp: dict[str, Any]

    @property
    def holds(self) -> bool:
        """Whether every way that the file can be run here agrees with the original."""
        return all(way.agreement.holds for way in self.ways)

    @property
    def accepted(self) -> bool:
        """Written although the gate does not hold."""
        return not self.holds

    @property
    def fastest(self) -> Way:
        return max(self.ways, key=lambda way: way.images_per_s)

    def to_dict(self) -> dict[str, Any]:
        return {
            **{name: value for name, value in self.__dict__.items() if name != "ways"},
            "images_per_s": round(self.images_per_s, 1),
            "accepted": self.accepted,
            "int8": [way.to_dict() for way in self.ways],
            "gate": asdict(GATE),
            "holds": self.holds,
        }

    def lines(self) -> list[str]:
        """The figures for a reader, and the command that uses the file."""
        verdict = "holds" if self.holds else "does not hold, accepted"
        return [
            f"{self.teacher['name']} in int8, {self.file['num_bytes'] / 1e6:,.1f} MB: {self.out}",
            f"calibrated on {self.images['calibration']:,} images, compared on "
            f"{self.images['held_out']:,} others; the gate {verdict}",
            *figure_lines(self),
            f"report: {self.report}",
            "use it:",
            f"  coursepack score POOL --config {shlex.quote(self.config)} "
            f"--runtime {self.fastest.runtime} --out RUN",
        ]


def figure_lines(report: QuantizeReport) -> list[str]:
    """One line for the original, one for each way."""
    lines = [f"  {'float32, eager':24}{report.images_per_s:>9,.0f} images/s of one thread"]
    for way in report.ways:
        found = way.agreement
        ratio = way.images_per_s / report.images_per_s
        lines.append(
            f"  {'int8, ' + way.runtime:24}{way.images_per_s:>9,.0f} ({ratio:.2f} x); rank "
            f"correlation {found.rank:.4f}, same argmax {found.argmax:.1%}, Jaccard "
            f"{found.jaccard:.3f}"
        )
    return lines


def refusal(report: QuantizeReport) -> str:
    """What a user reads whose file was not kept."""
    return "\n".join(
        [
            f"int8 does not stand for {report.teacher['name']} on this pool; nothing was written. "
            f"Expected a rank correlation of {GATE.rank}, the same argmax for {GATE.argmax:.0%} "
            f"and a Jaccard index of {GATE.jaccard}; found on {report.images['held_out']:,} images",
            *figure_lines(report),
            WAYS_OUT,
        ]
    )
