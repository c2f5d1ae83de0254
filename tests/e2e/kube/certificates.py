"""One certificate authority a cluster, and the certificates and kubeconfigs that its parts and its users hold."""

import base64
import dataclasses
import datetime as dt
import ipaddress
import json
import pathlib
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from orchestrator.telemetry import clocks

VALID = dt.timedelta(days=2)
SKEW = dt.timedelta(hours=1)
"""How far back certificates begin: the clock may be set back during a run."""


@dataclasses.dataclass(frozen=True)
class Pair:
    """A certificate and its key, as files."""

    certificate: pathlib.Path
    key: pathlib.Path


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    """Return an unencrypted PEM of a private key."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _keep(path: pathlib.Path, text: bytes) -> pathlib.Path:
    """Write a file that only its owner reads."""
    path.touch(mode=0o600)
    path.write_bytes(text)
    return path


class Authority:
    """A certificate authority whose files lie in one folder."""

    def __init__(self, folder: pathlib.Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._start = clocks.SystemClock().now() - SKEW
        extension = x509.BasicConstraints(ca=True, path_length=0)
        signed = self._begin(self._name, self._key.public_key()).add_extension(extension, critical=True)
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        certificate = signed.add_extension(usage, critical=True).sign(self._key, hashes.SHA256())
        self.pair = Pair(
            _keep(folder / "ca.crt", certificate.public_bytes(serialization.Encoding.PEM)),
            _keep(folder / "ca.key", _pem(self._key)),
        )

    def _begin(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        """Return a certificate with everything but its purpose."""
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._start)
            .not_valid_after(self._start + VALID)
        )

    def issue(
        self,
        stem: str,
        *,
        user: str,
        group: str | None = None,
        addresses: Sequence[str] = (),
        names: Sequence[str] = (),
    ) -> Pair:
        """Issue a certificate: for a client always, and for a server where there is an address or a name.

        :param user: the user that Kubernetes sees (common name); ``group`` its group (organisation).
        """
        attributes = [x509.NameAttribute(NameOID.COMMON_NAME, user)]
        if group is not None:
            attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
        key = ec.generate_private_key(ec.SECP256R1())
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = self._begin(x509.Name(attributes), key.public_key())
        if addresses or names:
            usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
            known: list[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_address(text)) for text in addresses]
            known += [x509.DNSName(text) for text in names]
            builder = builder.add_extension(x509.SubjectAlternativeName(known), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return Pair(
            _keep(self.folder / f"{stem}.crt", certificate.public_bytes(serialization.Encoding.PEM)),
            _keep(self.folder / f"{stem}.key", _pem(key)),
        )


def service_account_keys(folder: pathlib.Path) -> Pair:
    """Write the key pair by which service account tokens are signed (RSA: what every client library verifies)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return Pair(_keep(folder / "sa.pub", public), _keep(folder / "sa.key", _pem(key)))


def kubeconfig(path: pathlib.Path, *, cluster: str, server: str, authority: pathlib.Path, user: Pair) -> pathlib.Path:
    """Write a kubeconfig that needs no other file (JSON, which is YAML too)."""

    def text(file: pathlib.Path) -> str:
        return base64.b64encode(file.read_bytes()).decode()

    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": cluster,
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": cluster}}],
        "clusters": [{"name": cluster, "cluster": {"server": server, "certificate-authority-data": text(authority)}}],
        "users": [
            {
                "name": cluster,
                "user": {"client-certificate-data": text(user.certificate), "client-key-data": text(user.key)},
            }
        ],
    }
    return _keep(path, json.dumps(document, indent=1).encode())
