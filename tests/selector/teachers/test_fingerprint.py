from __future__ import annotations

import torch

from selector.teachers.fingerprint import digest_tensors


def test_order_and_step_counters_do_not_matter() -> None:
    first = {"a": torch.ones(2), "b.num_batches_tracked": torch.tensor(7)}
    second = {"b.num_batches_tracked": torch.tensor(9), "a": torch.ones(2)}
    assert digest_tensors(first) == digest_tensors(second) == digest_tensors({"a": torch.ones(2)})


def test_names_shapes_types_and_every_byte_matter() -> None:
    base = torch.arange(4, dtype=torch.float32)
    bumped = base.clone()
    bumped[3] = torch.nextafter(bumped[3], torch.tensor(9.0))
    states = [
        {"a": base},
        {"b": base},
        {"a": base.reshape(2, 2)},
        {"a": base.view(torch.int32)},
        {"a": bumped},
        {"a": base, "b": torch.tensor(0.0)},
        {},
    ]
    assert len({digest_tensors(state) for state in states}) == len(states)


def test_memory_layout_does_not_matter() -> None:
    weight = torch.rand(4, 3, 2, 2)
    last = weight.contiguous(memory_format=torch.channels_last)
    assert digest_tensors({"w": weight}) == digest_tensors({"w": last})
