"""Every GPU of a machine is tried; a machine without any answers at once."""

import torch

from cluster.diagnosis.gpu_probe import GpuFacts, probe_gpus


def test_gpus_of_this_machine() -> None:
    found = probe_gpus()
    if not torch.cuda.is_available() and not found.devices:
        assert found == GpuFacts()
    else:
        assert len(found.names) + len(found.broken) >= 1
