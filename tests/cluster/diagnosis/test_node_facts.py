"""A node tells the truth about itself."""

import os
import shutil

from cluster.code_fingerprint import code_fingerprint
from cluster.diagnosis.node_facts import node_facts


def test_this_machine() -> None:
    facts = node_facts(address="10.0.0.1")
    assert facts.node.endswith("(10.0.0.1)")
    assert facts.code == code_fingerprint()
    assert facts.versions["torch"]
    assert facts.cores == len(os.sched_getaffinity(0))
    assert abs(facts.temp_free - shutil.disk_usage(facts.temp_folder).free) < 1 << 32
    assert len(facts.gpus.names) <= facts.gpus.devices
