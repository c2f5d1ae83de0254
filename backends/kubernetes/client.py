"""Speaks HTTP to one API server through the official client: its credentials, its TLS, its transport.

The only importer of ``kubernetes`` and of what it brings. Objects are taken as JSON: its models would parse each object
three times and refuse what they do not know. Nothing here waits or retries; sizes and times are bounded.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import importlib
import json
import os
import ssl
import threading
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from backends.kubernetes import errors, kubeconfigs
from orchestrator.domain import errors as port_errors

CONNECT_S, READ_S = 3.0, 7.0
ANSWER_BYTES_MAX = 64 * 2**20
LINE_BYTES_MAX = 8 * 2**20
"""Of one event of a watch; an object is 1.5 MiB at most."""
CONNECTIONS_MAX = 16
EXEC_VARIABLE = "COMITY_KUBERNETES_EXEC"
_MERGE = "application/merge-patch+json"
_STRATEGIC = "application/strategic-merge-patch+json"
_ANY = "application/json, */*"
_META_OF_ONE = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1, application/json"
_META = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1, application/json"


class Stream:
    """A long answer, piece by piece. ``close`` ends it from any thread."""

    def __init__(self, response: Any, failure: Any) -> None:
        self._response = response
        self._failure = failure

    def pieces(self) -> Iterator[bytes]:
        """Yield bytes as they come; ends when the server ends it. Raises TransientError."""
        try:
            while piece := self._response.read1(64 * 1024, decode_content=True):
                yield piece
        except Exception as error:
            raise self._failure(error, sent=True) from error

    def lines(self) -> Iterator[bytes]:
        """Yield whole lines. Raises TransientError, also for a line that has no end."""
        left = bytearray()
        for piece in self.pieces():
            left += piece
            while (end := left.find(b"\n")) >= 0:
                yield bytes(left[:end])
                del left[: end + 1]
            if len(left) > LINE_BYTES_MAX:
                raise port_errors.TransientError("kubernetes.answer", "the API server sends an event without an end")

    def close(self) -> None:
        """End it; a thread that reads it is woken."""
        for end in (getattr(self._response, "shutdown", None), self._response.close):
            try:
                if end is not None:
                    end()
            except Exception:  # noqa: BLE001, S110 -- it is thrown away
                pass


class Client:
    """One API server with one set of credentials. Safe to call from several threads. The constructor does no I/O."""

    def __init__(self, access: kubeconfigs.Access | None, state_folder: str) -> None:
        self._access = access
        self._folder = state_folder
        self._lock = threading.Lock()
        self._api: Any = None

    # --- calls ----------------------------------------------------------------------------------------------------

    def get(self, path: str, *, meta_only: bool = False, **query: str | int) -> Mapping[str, Any]:
        """Read one object or one page of a list. Raises StatusError, BackendError.

        ``meta_only``: of each item of a list the metadata only.
        """
        return self._json("GET", path, query, accept=_META if meta_only else _ANY)

    def meta(self, path: str) -> Mapping[str, Any]:
        """Read the metadata of one object. Raises StatusError, BackendError."""
        return self._json("GET", path, {}, accept=_META_OF_ONE)

    def post(self, path: str, body: Mapping[str, Any], *, meta_only: bool = False) -> Mapping[str, Any]:
        """Create an object. ``meta_only``: only its metadata come back. Raises StatusError, BackendError."""
        return self._json("POST", path, {}, body, accept=_META_OF_ONE if meta_only else _ANY)

    def patch(self, path: str, body: Mapping[str, Any], **query: str | int) -> Mapping[str, Any]:
        """Merge into an object (RFC 7396). Raises StatusError, BackendError."""
        return self._json("PATCH", path, query, body, content=_MERGE)

    def merge(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Merge into an object, lists by their keys; return its metadata. Raises StatusError, BackendError."""
        return self._json("PATCH", path, {}, body, content=_STRATEGIC, accept=_META_OF_ONE)

    def delete(self, path: str, body: Mapping[str, Any] | None = None, **query: str | int) -> Mapping[str, Any]:
        """Delete an object, or those that a selector names. Raises StatusError, BackendError."""
        return self._json("DELETE", path, query, body)

    def items(
        self, path: str, *, meta_only: bool = False, **query: str | int
    ) -> tuple[Sequence[Mapping[str, Any]], str]:
        """Read a whole list, page by page; return it with its resourceVersion. Raises StatusError, BackendError."""
        found: list[Mapping[str, Any]] = []
        token = ""
        while True:
            page = self.get(path, meta_only=meta_only, limit=500, **query, **({"continue": token} if token else {}))
            items, meta = page.get("items"), page.get("metadata")
            found += [each for each in items if isinstance(each, Mapping)] if isinstance(items, list) else []
            meta = meta if isinstance(meta, Mapping) else {}
            token = str(meta.get("continue") or "")
            if not token:
                return found, str(meta.get("resourceVersion") or "")

    def text(self, path: str, limit: int, **query: str | int) -> bytes:
        """Read at most ``limit`` bytes of a plain answer. Raises StatusError, BackendError."""
        response = self._open("GET", path, query, {"Accept": _ANY})
        try:
            return bytes(response.read(limit, decode_content=True))
        except Exception as error:
            raise self._failure(error, sent=True) from error
        finally:
            _discard(response)

    def stream(self, path: str) -> Stream:
        """Begin to read a plain answer of any length. Raises StatusError, BackendError."""
        return Stream(self._open("GET", path, {}, {"Accept": "*/*"}), self._failure)

    def watch(self, path: str, silence_s: float, **query: str | int) -> Stream:
        """Open a watch; a connection that is silent for so long has failed. Raises StatusError, BackendError."""
        wanted = {"watch": "true", "allowWatchBookmarks": "true", **query}
        return Stream(self._open("GET", path, wanted, {"Accept": _ANY}, timeout=(CONNECT_S, silence_s)), self._failure)

    # --- who is there ---------------------------------------------------------------------------------------------

    @property
    def server(self) -> str:
        """Return the URL of the API server, as far as it is known without asking anybody."""
        if self._access is not None:
            return self._access.server
        host, port = os.environ.get("KUBERNETES_SERVICE_HOST", "?"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        return f"https://{f'[{host}]' if ':' in host else host}:{port}"

    def ca_digest(self) -> str:
        """Return SHA-256 of the certificates that vouch for the server, whatever their order and form; "" for none."""
        self._connected()
        if self._access is not None:
            pem = self._access.ca
        else:
            path = self._api.configuration.ssl_ca_cert
            pem = open(path, "rb").read() if path else None  # noqa: SIM115 -- a small file, read whole
        if not pem:
            return ""
        try:
            parts = sorted(one.public_bytes(serialization.Encoding.DER) for one in x509.load_pem_x509_certificates(pem))
        except ValueError:
            return ""
        return hashlib.sha256(b"".join(parts)).hexdigest()

    def close(self) -> None:
        """Let go of connections."""
        with self._lock:
            api, self._api = self._api, None
        if api is not None:
            api.rest_client.close()

    # --- underneath -----------------------------------------------------------------------------------------------

    def _json(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int],
        body: Mapping[str, Any] | None = None,
        *,
        content: str = "application/json",
        accept: str = _ANY,
    ) -> Mapping[str, Any]:
        headers = {"Accept": accept, **({"Content-Type": content} if body is not None else {})}
        response = self._open(method, path, query, headers, body)
        try:
            data = response.read(ANSWER_BYTES_MAX + 1, decode_content=True)
        except Exception as error:
            raise self._failure(error, sent=True) from error
        finally:
            _discard(response)
        if len(data) > ANSWER_BYTES_MAX:
            raise port_errors.TransientError("kubernetes.answer", "the API server answers with too much")
        return errors.body_of(_parsed(data))

    def _open(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int],
        headers: dict[str, str],
        body: Mapping[str, Any] | None = None,
        timeout: tuple[float, float] = (CONNECT_S, READ_S),
    ) -> Any:
        """Send a request and return the answer's head, with the body still to be read."""
        api = self._connected()
        if token := api.configuration.get_api_key_with_prefix("BearerToken"):
            headers["Authorization"] = token
        text = urllib.parse.urlencode({name: str(value) for name, value in query.items()})
        url = f"{api.configuration.host}{path}{'?' if text else ''}{text}"
        try:
            response = api.call_api(method, url, header_params=headers, body=body, _request_timeout=timeout).response
        except Exception as error:
            raise self._failure(error, sent=False) from error
        if 200 <= response.status < 300:
            return response
        try:
            said = response.read(2**20, decode_content=True)
        except Exception:  # noqa: BLE001 -- the status alone says enough
            said = b""
        finally:
            _discard(response)
        raise errors.status_of(response.status, _parsed(said))

    def _connected(self) -> Any:
        """Return the official client, made at first use. Raises TransientError for credentials that do not do."""
        with self._lock:
            if self._api is None:
                self._api = self._connect()
            return self._api

    def _connect(self) -> Any:
        try:
            sdk = importlib.import_module("kubernetes.client")
            loading = importlib.import_module("kubernetes.config")
        except ImportError:
            raise errors.access(
                "not-installed", "the Kubernetes client is not installed: pip install 'comity[kubernetes]'"
            ) from None
        configuration = sdk.Configuration()
        try:
            if self._access is None:
                loading.load_incluster_config(configuration)
            else:
                loader = importlib.import_module("kubernetes.config.kube_config").KubeConfigLoader(
                    dict(self._access.document), config_base_path=self._folder, temp_file_path=self._folder
                )
                loader.load_and_set(configuration)
        except Exception as error:  # noqa: BLE001 -- its own exceptions, OSError, KeyError, binascii ...
            raise errors.access(
                "credentials", f"its credentials cannot be used: {errors.plain(str(error), 200)}"
            ) from None
        if (
            self._access is not None
            and self._access.exec_command
            and not (configuration.api_key or configuration.cert_file)
        ):
            raise errors.access(
                "exec", f"exec plugin {self._access.exec_command} gave no credentials: run it by hand to see why"
            )
        configuration.retries = False
        configuration.keep_alive = True
        configuration.connection_pool_maxsize = CONNECTIONS_MAX
        try:
            return sdk.ApiClient(configuration)
        except (OSError, ValueError) as error:
            raise errors.access("credentials", f"its certificates cannot be used: {type(error).__name__}") from None

    def _failure(self, error: BaseException, *, sent: bool) -> port_errors.BackendError:
        """Return what a failure of the transport means. ``sent``: the request is certainly out."""
        if isinstance(error, port_errors.BackendError):
            return error
        chain: list[BaseException] = []
        at: BaseException | None = error
        while at is not None and len(chain) < 8:
            chain.append(at)
            at = (
                at.__cause__
                or at.__context__
                or (at.args[0] if at.args and isinstance(at.args[0], Exception) else None)
            )
        text = " ".join(f"{type(one).__name__} {one}" for one in chain)
        if any(isinstance(one, ssl.SSLCertVerificationError) for one in chain) or "CERTIFICATE_VERIFY_FAILED" in text:
            return errors.access(
                "certificate", f"{self.server} shows a certificate that the kubeconfig's CA does not vouch for"
            )
        if any(isinstance(one, ssl.SSLError) for one in chain) or type(error).__name__ == "SSLError":
            return errors.access("tls", f"{self.server}: {errors.plain(str(chain[-1]), 200)}{self.hint}")
        kinds = {type(one).__name__ for one in chain}
        before = kinds & {"NewConnectionError", "ConnectTimeoutError", "NameResolutionError", "ProxyError"}
        what = next(
            (str(one) for one in reversed(chain) if isinstance(one, OSError) and str(one)), type(error).__name__
        )
        if "ConnectTimeoutError" in kinds or "ReadTimeoutError" in kinds:
            what = "no answer in time"
        return errors.unreachable(self.server, what, sent=sent or not before)

    @property
    def hint(self) -> str:
        """Return what is known of why credentials may have ended, for a sentence."""
        ends = self._access.certificate_ends if self._access is not None else None
        if ends is None:
            return ""
        return f" (client certificate valid until {ends.astimezone(dt.UTC):%Y-%m-%d %H:%M}Z)"


def programs() -> frozenset[str]:
    """Return the exec plugins that the server's environment lets be started."""
    return frozenset(filter(None, os.environ.get(EXEC_VARIABLE, "").split(os.pathsep)))


def _parsed(data: bytes) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return data.decode(errors="replace")


def _discard(response: Any) -> None:
    """Give the connection back where the answer was read whole, else end it."""
    try:
        if response._original_response is not None and not response._original_response.isclosed():  # noqa: SLF001 -- urllib3 has no other way to ask
            response.close()
        response.release_conn()
    except Exception:  # noqa: BLE001, S110 -- it is thrown away
        pass
