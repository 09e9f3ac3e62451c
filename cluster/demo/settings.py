"""The demo's numbers. Chosen on digits of the training set; the held-out ones had no say."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DemoSettings:
    """Sizes and training of the demo; a smaller copy serves as a test.

    Attributes:
        num_glyphs: Images in the pool.
        glyphs_per_shard: Images in a shard of it.
        num_selected: Images that DFND and random choose.
        num_drawn: Images of the pool on the report's map.
        teacher_steps, steps: Updates of the teacher and of every student.
        batch_size: Images per update, so that each student sees `steps * batch_size` samples.
        teacher_lr, lr: Initial rates; cosine to zero.
        temperature: T of KD.
    """

    num_glyphs: int = 20_000
    glyphs_per_shard: int = 2_500
    num_selected: int = 2_000
    num_drawn: int = 4_000
    teacher_steps: int = 1_000
    steps: int = 400
    batch_size: int = 128
    teacher_lr: float = 0.05
    lr: float = 0.02
    temperature: float = 2.0


DEMO = DemoSettings()
