from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.orientation import as_stored, upright
from shards.picture import choose_reduction, reduced_picture, reduced_size

sides = st.integers(1, 20_000)


@given(height=sides, width=sides, least_height=sides, least_width=sides)
def test_the_largest_reduction_that_leaves_enough(
    height: int, width: int, least_height: int, least_width: int
) -> None:
    def is_enough(reduction: int) -> bool:
        return height / reduction >= least_height and width / reduction >= least_width

    chosen = choose_reduction(height, width, (least_height, least_width))
    assert chosen == max([1, *(one for one in (2, 4, 8) if is_enough(one))])
    rows, columns = reduced_size(height, width, chosen)
    assert rows >= min(height, least_height)
    assert columns >= min(width, least_width)
    assert (rows - 1) * chosen < height <= rows * chosen
    assert (columns - 1) * chosen < width <= columns * chosen


@pytest.mark.parametrize("orientation", range(1, 9))
@given(height=st.integers(1, 90), width=st.integers(1, 90), reduction=st.sampled_from([2, 4, 8]))
def test_the_box_turns_with_the_pixels(
    orientation: int, height: int, width: int, reduction: int
) -> None:
    # Pixels that the decoder made up at the stored bottom and right are 0 in this weight of the
    # image's share in every pixel; wherever they come to lie, the box leaves them out.
    stored = as_stored(np.zeros((height, width), np.uint8), orientation).shape
    rows, columns = reduced_size(*stored, reduction)
    down = np.minimum(1.0, stored[0] / reduction - np.arange(rows))
    across = np.minimum(1.0, stored[1] / reduction - np.arange(columns))
    share = upright(np.outer(down, across), orientation)
    found = reduced_picture(share, height, width, reduction=reduction, orientation=orientation)
    assert (found.height, found.width) == (height, width)
    assert found.frame is not None
    assert found.frame[:2] == (height, width)
    left, top, right, bottom = found.frame.box
    assert found.frame.part(0, 0, height, width) == pytest.approx(found.frame.box)
    part = found.frame.part(height // 2, width // 3, 1, 1)
    place = (left + width // 3 / reduction, top + height // 2 / reduction)
    assert part == pytest.approx((*place, place[0] + 1 / reduction, place[1] + 1 / reduction))
    assert (right - left, bottom - top) == (width / reduction, height / reduction)
    rows_in_box = np.minimum(np.arange(len(share)) + 1, bottom) - np.maximum(
        np.arange(len(share)), top
    )
    columns_in_box = np.minimum(np.arange(share.shape[1]) + 1, right) - np.maximum(
        np.arange(share.shape[1]), left
    )
    np.testing.assert_array_equal(share, np.outer(rows_in_box, columns_in_box))
