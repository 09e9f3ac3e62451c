from __future__ import annotations

import threading

import numpy as np

from selector.scoring.ring import Ring
from shards.sample import SampleEntry


def make_ring(slots: int = 2) -> Ring[None]:
    return Ring(num_slots=slots, batch_size=4, input_size=(3, 5, 6))


def test_a_slot_is_one_memory_seen_from_both_sides() -> None:
    slot = make_ring().take()
    assert slot is not None
    assert slot.batch_NCHW.shape == (4, 3, 5, 6)
    slot.pixels_NHWC[2, 1, 3] = (7, 8, 9)
    assert slot.batch_NCHW[2, :, 1, 3].tolist() == [7, 8, 9]


def test_whoever_is_ahead_waits_for_a_slot() -> None:
    ring = make_ring(1)
    slot = ring.take()
    taken = []
    thread = threading.Thread(target=lambda: taken.append(ring.take()))
    thread.start()
    thread.join(0.05)
    assert not taken
    assert slot is not None
    ring.give_back(slot)
    thread.join()
    assert taken == [slot]


def test_a_slot_begins_anew_but_rows_travel_on() -> None:
    ring = make_ring(1)
    slot = ring.take()
    assert slot is not None
    rows = slot.rows
    for index in range(3):
        rows.extend([SampleEntry(index, "k", ())])
    assert not slot.is_full
    slot.pixels_NHWC[:] = 1
    slot.pad()
    assert slot.pixels_NHWC[:3].min() == 1
    assert not slot.pixels_NHWC[3].any()
    ring.give_back(slot)
    again = ring.take()
    assert again is slot
    assert len(again.rows) == 0
    assert len(rows) == 3


def test_closing_wakes_the_one_who_waits_and_restoring_frees_all() -> None:
    ring = make_ring(2)
    slots = {id(ring.take()), id(ring.take())}
    ring.close()
    assert ring.take() is None
    ring.restore()
    assert {id(ring.take()), id(ring.take())} == slots == {id(slot) for slot in ring}


def test_new_memory_is_zero() -> None:
    assert all(not np.any(slot.pixels_NHWC) for slot in make_ring())
