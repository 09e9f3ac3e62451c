"""Secrets in URIs are refused before anything is written, and never repeated."""

import pytest

from shards import storage
from shards.credentials import refuse_credentials, without_credentials
from shards.errors import UsageError

SECRET = "wJalrXUtnFEMI"


@pytest.mark.parametrize(
    "uri",
    [
        f"s3://AKIA:{SECRET}@bucket/pool",
        f"https://user:{SECRET}@host/pool/a.tar",
        f"https://{SECRET}@host/a.tar",
        f"gs://{SECRET}@bucket/a.tar",
        f"https://host/a.tar?X-Amz-Signature={SECRET}&X-Amz-Expires=60",
        f"https://host/a.tar?x=1&sig={SECRET}",
        f"ftp://user:{SECRET}@host/a.tar",
    ],
)
def test_a_secret_is_refused_and_not_repeated(uri):
    for refuse in (storage.normalize, lambda uri: storage.expand([uri])):
        with pytest.raises(UsageError) as told:
            refuse(uri)
        assert SECRET not in str(told.value)
    assert SECRET not in without_credentials(f"cannot read {uri} (403)")


@pytest.mark.parametrize(
    "uri",
    [
        "s3://bucket/a@b/c.tar",
        "https://host/a@b.tar?version=3&x=",
        "gs://bucket/sig=1/a.tar",
        "/data/user:pw@host/a.tar",
        "relative@path.tar",
    ],
)
def test_what_is_no_secret_passes(uri):
    refuse_credentials(uri)
    assert without_credentials(uri) == uri
