import numpy as np
import pytest
import torch

from selector.pu.network import MIN_DEVIATION, PUHead, new_head


def head(dim: int = 6, hidden: int = 2, seed: int = 0) -> PUHead:
    return new_head(dim, hidden=hidden, generator=torch.Generator().manual_seed(seed))


def test_the_logit_is_that_of_the_paper_written_out() -> None:
    net = head()
    mean, deviation = torch.arange(6.0), torch.tensor([1.0, 2, 3, 4, 5, 0])
    net.set_statistics(mean, deviation)
    o = torch.randn(5, 6, generator=torch.Generator().manual_seed(1))
    z = ((o - mean) / deviation.clamp(min=MIN_DEVIATION)).double().numpy()
    w1, b1 = net.squeeze.weight.detach().double().numpy(), net.squeeze.bias.detach().numpy()
    w2, b2 = net.excite.weight.detach().double().numpy(), net.excite.bias.detach().numpy()
    v, c = net.linear.weight.detach().double().numpy()[0], net.linear.bias.item()
    w = 1 / (1 + np.exp(-(np.maximum(z @ w1.T + b1, 0) @ w2.T + b2)))
    # A channel that never moves is divided by the least deviation: 1,000 times as large.
    torch.testing.assert_close(
        net(o).double(), torch.from_numpy((w * z) @ v + c), rtol=1e-4, atol=1e-3
    )
    torch.testing.assert_close(net.attention(o).double(), torch.from_numpy(w), rtol=1e-4, atol=1e-6)


def test_weights_follow_from_the_generator() -> None:
    same, other = head(seed=0).state_dict(), head(seed=1).state_dict()
    for name, value in head(seed=0).state_dict().items():
        assert torch.equal(value, same[name])
    assert not torch.equal(same["squeeze.weight"], other["squeeze.weight"])
    assert head().linear.weight.abs().max() < 0.02  # F starts near 0


def test_statistics_are_part_of_what_is_saved() -> None:
    assert {"mean_D", "scale_D"} <= head().state_dict().keys()


@pytest.mark.parametrize(("dim", "hidden"), [(0, 1), (3, 0)])
def test_sizes(dim: int, hidden: int) -> None:
    with pytest.raises(ValueError, match="expected at least 1"):
        PUHead(dim, hidden=hidden)
