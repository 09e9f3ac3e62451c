import itertools

import torch

from distiller.randomness import Purpose, numpy_generator, torch_generator, torch_seed


def test_equal_arguments_give_equal_numbers() -> None:
    first, again = (numpy_generator(3, Purpose.ORDER, 7).integers(1 << 62, size=4) for _ in "ab")
    assert first.tolist() == again.tolist()
    first, again = (torch.rand(4, generator=torch_generator(3, Purpose.AUGMENT, 7)) for _ in "ab")
    assert torch.equal(first, again)


def test_seed_purpose_and_position_each_give_other_numbers() -> None:
    seeds = {
        torch_seed(seed, purpose, position)
        for seed, purpose, position in itertools.product(range(10), Purpose, range(10))
    }
    assert len(seeds) == 10 * len(Purpose) * 10
    assert all(0 <= seed < 1 << 63 for seed in seeds)


def test_the_numbers_are_those_of_every_release() -> None:
    """A run begun with one version is resumed by the next: the streams are part of the format."""
    assert torch_seed(0, Purpose.INITIAL_WEIGHTS) == 7896617691693857887
    assert numpy_generator(1, Purpose.ORDER, 2).permutation(6).tolist() == [5, 0, 1, 2, 4, 3]
