"""A running average of the student's weights, which is often better than its last step.

    average <- decay * average + (1 - decay) * weights          after every update

Running statistics of batch norm are averaged along with the weights. The average starts as the
weights after the first update.
"""

from __future__ import annotations

from pydantic import Field
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from distiller.options import Options


class AverageOptions(Options):
    """Evaluate and keep an exponential moving average of the student in place of its last step."""

    decay: float = Field(default=0.999, gt=0, lt=1)
    """What an update leaves of the average, which looks back about 1 / (1 - decay) updates."""


def start_average(student: nn.Module, options: AverageOptions) -> AveragedModel:
    """A copy of `student` that `update_parameters(student)` moves towards it."""
    average = AveragedModel(
        student, multi_avg_fn=get_ema_multi_avg_fn(options.decay), use_buffers=True
    )
    average.eval()
    return average
