import pytest

from distiller.data.bad_images import BadImages
from shards.errors import CoursepackError


@pytest.mark.parametrize(
    ("max_bad", "bad", "raises"),
    [(0.05, 5, False), (0.05, 6, True), (0, 0, False), (0, 1, True), (3, 3, False), (3, 4, True)],
)
def test_the_budget_is_a_share_below_one_and_a_count_from_one_on(
    max_bad: float, bad: int, raises: bool
) -> None:
    counted = BadImages(100, max_bad=max_bad)
    counted.add_samples("damaged", bad)
    if raises:
        with pytest.raises(CoursepackError, match=f"{bad} of 100 samples are unusable"):
            counted.check()
    else:
        counted.check()


def test_the_message_has_counts_by_status_and_the_first_examples() -> None:
    counted = BadImages(10, max_bad=0.1)
    for number in range(5):
        counted.add_image(number, "undecodable", example=f"a.tar sample {number}: broken")
    counted.add_samples("no_image", 2)
    with pytest.raises(CoursepackError, match="2 no_image, 5 undecodable") as error:
        counted.check()
    assert "sample 2" in str(error.value)
    assert "sample 3" not in str(error.value)
    assert "coursepack shards verify" in str(error.value)


def test_an_image_counts_once() -> None:
    counted = BadImages(10, max_bad=0.1)
    for _ in range(3):
        counted.add_image(4, "undecodable", example="")
    assert counted.counts == {"undecodable": 1}
    assert counted.status_of == {4: "undecodable"}
    counted.check()
