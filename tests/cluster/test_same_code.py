from __future__ import annotations

import pytest

from cluster.code_fingerprint import code_fingerprint
from cluster.same_code import check_code
from shards.errors import UsageError


def test_other_code_is_told_with_the_cure() -> None:
    check_code(code_fingerprint(), node="here")
    with pytest.raises(UsageError, match=r"on node-7 .* not the driver's \(ffffffffffff\).*every"):
        check_code("f" * 64, node="node-7")
