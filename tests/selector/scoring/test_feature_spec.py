from __future__ import annotations

import pytest
from pydantic import ValidationError

from selector.scoring.feature_spec import FeatureSpec, parse_features
from shards.errors import UsageError


def test_modes() -> None:
    assert parse_features("full") == FeatureSpec()
    assert FeatureSpec().pca_dim is None
    assert parse_features("pca:64").pca_dim == 64


@pytest.mark.parametrize("text", ["", "all", "pca", "pca:0", "pca:-3", "pca:x", "full "])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected full, or pca:D"):
        parse_features(text)
    with pytest.raises(ValidationError, match="expected full, or pca:D"):
        FeatureSpec(mode=text)
