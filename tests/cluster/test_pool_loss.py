"""What counts as lost when a pool is built or resized."""

import pytest

from cluster.bad_budget import BadBudget
from cluster.pool_loss import PoolLoss, pool_loss
from shards.sample import Problem


def _problem(kind, member="a/b.jpg"):
    return Problem(kind, "pool.tar", member, "")


def test_images_and_shards_are_counted_apart():
    problems = [
        _problem("undecodable"),
        _problem("read_error"),
        _problem("truncated"),
        _problem("unreadable_shard", ""),
        _problem("renamed_key"),
        _problem("duplicate_key"),
    ]
    assert pool_loss(problems) == PoolLoss(images=2, shards=2)


def test_an_image_of_an_unsupported_kind_is_no_damaged_shard():
    assert pool_loss([_problem("unsupported")]) == PoolLoss(images=1, shards=0)
    assert pool_loss([_problem("unsupported_tar", "")]) == PoolLoss(images=0, shards=1)


@pytest.mark.parametrize(("member", "images"), [("a/text.JPG", 1), ("README.txt", 0), ("x", 0)])
def test_only_what_claims_to_be_an_image_is_one(member, images):
    assert pool_loss([_problem("not_an_image", member)]).images == images


@pytest.mark.parametrize(
    ("loss", "code"),
    [(PoolLoss(0, 0), 0), (PoolLoss(5, 0), 0), (PoolLoss(6, 0), 3), (PoolLoss(0, 1), 3)],
)
def test_exit_code(loss, code):
    assert loss.exit_code(written=95, budget=BadBudget.parse("5%")) == code
