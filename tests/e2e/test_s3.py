"""The S3 server of the tests is a real one: it checks signatures, keeps what it is given, and comes back with it."""

import datetime as dt
import secrets
import sys

import httpx
import pytest

from tests.doubles.akash import markets, server
from tests.e2e import test_akash_double
from tests.e2e.s3 import signing, stores


def name() -> str:
    """Return the name of an object that no other test has."""
    return f"attempts/{secrets.token_hex(8)}/end"


def test_what_is_put_is_got(s3: stores.Store) -> None:
    """An object has the bytes it was given, until it is deleted."""
    key = name()

    assert s3.call("GET", key).status_code == 404
    assert s3.call("PUT", key, b"0\n").status_code == 200
    assert s3.call("GET", key).content == b"0\n"
    assert s3.call("DELETE", key).status_code == 204
    assert s3.call("GET", key).status_code == 404


@pytest.mark.parametrize("spoilt", ["access", "secret", "body", "time"])
def test_a_wrong_signature_is_refused(s3: stores.Store, spoilt: str) -> None:
    """Another key, another secret, another body, another hour: nothing is kept."""
    key, body, now = name(), b"one", stores.moment()
    access = "AKother" if spoilt == "access" else s3.access
    secret = "other" if spoilt == "secret" else s3.secret
    when = now - dt.timedelta(hours=2) if spoilt == "time" else now
    told = signing.headers("PUT", s3.url(key), access, secret, s3.region, when, body)
    sent = b"two" if spoilt == "body" else body

    refused = httpx.put(s3.url(key), headers=told, content=sent, timeout=stores.CALL_S, trust_env=False)

    unknown = 404  # what this server says of a key that nobody has; Amazon's says 403
    assert refused.status_code in ({unknown} if spoilt == "access" else {400, 403}), refused.text
    assert s3.call("GET", key).status_code == 404


def test_a_presigned_url_does_one_thing(s3: stores.Store) -> None:
    """Whoever has the URL may put this object, and may not get it or put another."""
    key = name()
    url = s3.presigned("PUT", key)

    with httpx.Client(timeout=stores.CALL_S, trust_env=False) as client:
        assert client.get(url).status_code == 403
        assert client.put(url.replace("/end?", "/other?"), content=b"0").status_code == 403
        assert client.put(f"{url[:-1]}{'0' if url[-1] != '0' else '1'}", content=b"0").status_code == 403
        assert s3.call("GET", key).status_code == 404
        assert client.put(url, content=b"0").status_code == 200
    assert s3.call("GET", key).content == b"0"


def test_a_service_of_akash_leaves_its_end_there(s3: stores.Store) -> None:
    """The one whole path: a command in a lease puts an end marker by a presigned URL, and is started again after."""
    key = name()
    program = "import os, urllib.request as u; u.urlopen(u.Request(os.environ['END'], b'7', method='PUT'))"
    text = test_akash_double.sdl([sys.executable, "-S", "-c", program], [f"END={s3.presigned('PUT', key)}"])

    with server.serve() as akash:
        akash.network.providers.append(markets.Provider("alpha", price=5.0))
        test_akash_double.started(akash, text)
        test_akash_double.until(lambda: s3.call("GET", key).status_code == 200)
        workload = next(lease.workload for _, lease in akash.network.deployments[0].live())
        assert workload is not None
        test_akash_double.until(lambda: workload.services[0].starts > 1)

    assert s3.call("GET", key).content == b"7"
