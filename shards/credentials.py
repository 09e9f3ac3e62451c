"""Secrets inside URIs: refused where a place is named, and blotted out of any text that is shown.

A URI goes into manifests, provenance, tables and logs, which many people may read. So a password
or a signature never belongs in one: clouds take their credentials from the environment or from
profile files, web servers from ~/.netrc.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

from shards.errors import UsageError

_USER_INFO = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)(?P<secret>[^\s/?#]*)@")
_SIGNED = (
    "x-amz-signature", "x-amz-security-token", "x-amz-credential", "awsaccesskeyid", "signature",
    "x-goog-signature", "x-goog-credential", "sig", "token", "access_token", "api_key", "apikey",
    "password", "secret",
)  # fmt: skip
_QUERY_SECRET = re.compile(
    rf"(?P<name>[?&](?:{'|'.join(map(re.escape, _SIGNED))})=)[^&\s#'\"]*", re.IGNORECASE
)


def refuse_credentials(uri: str) -> None:
    """Return if `uri` names a place and nothing secret.

    Raises:
        UsageError: a user name, password or key stands before an @, or a signature in the query;
            the message does not repeat it.
    """
    if "://" not in uri:
        return
    if _USER_INFO.match(uri):
        raise UsageError(
            f"{without_credentials(uri)}: credentials inside a URI would be written into the run "
            "and its logs. Give them beside it: as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a "
            "profile or a role for s3://, as GOOGLE_APPLICATION_CREDENTIALS for gs://, in ~/.netrc "
            "for https://"
        )
    query = urlsplit(uri).query if "?" in uri else ""
    if any(name.lower() in _SIGNED for name, _ in parse_qsl(query, keep_blank_values=True)):
        raise UsageError(
            f"{without_credentials(uri)}: a signed address is a secret that would be written into "
            "the run and its logs, and it expires. Give the plain address and credentials beside "
            "it, or copy the file"
        )


def without_credentials(text: str) -> str:
    """`text` with what stands before the @ of a URI, and signatures in its query, as `***`.

    >>> without_credentials("s3://key:secret@bucket/pool and https://host/a.tar?sig=abc&x=1")
    's3://***@bucket/pool and https://host/a.tar?sig=***&x=1'
    """
    return _QUERY_SECRET.sub(r"\g<name>***", _USER_INFO.sub(r"\g<scheme>***@", text))
