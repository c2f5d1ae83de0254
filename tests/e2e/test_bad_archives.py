"""Working folders of strangers: an archive harms its own job only, and an output never leads out of one."""

import gzip
import hashlib
import io
import json
import pathlib
import tarfile
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e import _strangers as strangers
from tests.e2e._planes import Plane, job


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """Give a control plane that must be alive, small and silent about bugs when all is over."""
    with strangers.guarded(tmp_path_factory.mktemp("bad")) as found:
        yield found


def _tar(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", content: bytes = b"") -> tuple[Any, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mode = kind, link, 0o6755
    return member, content


def _sparse() -> bytes:
    """Return an archive whose one file claims to be of a tebibyte."""
    member = tarfile.TarInfo("big")
    member.size = 2**40
    return member.tobuf(tarfile.GNU_FORMAT) + b"\0" * 1024


ARCHIVES = {
    "traversal": _tar(_entry("../../../../../../tmp/comity-evil", content=b"x")),
    "absolute": _tar(_entry("/tmp/comity-evil", content=b"x")),
    "through a link": _tar(_entry("d", tarfile.SYMTYPE, "/tmp"), _entry("d/comity-evil", content=b"x")),
    "link outside": _tar(_entry("l", tarfile.SYMTYPE, "../../../../../../../etc/shadow")),
    "absolute link": _tar(_entry("l", tarfile.SYMTYPE, "/etc/shadow")),
    "link over links": _tar(_entry("a", tarfile.SYMTYPE, "b"), _entry("b", tarfile.SYMTYPE, "../..")),
    "hard link": _tar(_entry("h", tarfile.LNKTYPE, "/etc/shadow")),
    "device": _tar(_entry("d", tarfile.BLKTYPE)),
    "character device": _tar(_entry("d", tarfile.CHRTYPE)),
    "pipe": _tar(_entry("p", tarfile.FIFOTYPE)),
    "backslash": _tar(_entry("..\\..\\evil", content=b"x")),
    "file and folder": _tar(_entry("a", content=b"x"), _entry("a/b", content=b"x")),
    "too many": _tar(*(_entry(f"f{number}", tarfile.DIRTYPE) for number in range(100_100)))[: 63 * 2**20],
    "terabyte": _sparse(),
    "garbage": b"\xff" * 4096,
    "cut": _tar(_entry("f", content=b"x" * 100_000))[:50_000],
    "gzip bomb": gzip.compress(b"\0" * (64 * 2**20)),
}


@pytest.mark.parametrize("name", sorted(ARCHIVES))
def test_a_hostile_archive_harms_its_own_job_only(plane: Plane, name: str) -> None:
    """An archive that reaches outside, or is none, ends its job or its upload with a reason, and writes nothing."""
    content = ARCHIVES[name]
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    headers = {"Content-Type": "application/octet-stream"}
    kept = plane.call("POST", f"/v1/blobs?digest={digest}", content, headers=headers)
    evil = pathlib.Path("/tmp/comity-evil")
    if kept.status >= 400:
        strangers.refused(kept)
        return
    assert kept.status == 201, kept
    made = plane.submit(job("archive", "ls", "-lR", workdir={"digest": digest}))
    assert made.status == 202, made
    status = plane.ended(made.json["id"])["status"]
    assert status["phase"] == "FAILED", status
    assert "local.workdir-refused" in json.dumps(status) or "refused" in json.dumps(status), status
    assert not evil.exists()


def test_an_archive_under_another_name_is_refused(plane: Plane) -> None:
    """The name of an archive is its content; another digest, a path or too much of it is refused."""
    for digest in (f"sha256:{'0' * 64}", "sha256:../../x", "sha512:00", f"sha256:{'0' * 64}%0a", "", "%2e%2e"):
        strangers.refused(plane.call("POST", f"/v1/blobs?digest={digest}", b"x"))
    wanted = f"/v1/blobs?digest=sha256:{'0' * 64}"
    strangers.refused(plane.call("POST", wanted, b"\0" * (65 * 2**20)), 413)


@pytest.mark.parametrize(
    "path",
    [
        "../../../../etc/passwd",
        "%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "%252e%252e/x",
        "..%2f..%2f..%2fstate%2fadmin.token",
        "..%5c..%5cx",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "a%00b",
        "link",
        "folder/../link",
        "kept/../../attempt.json",
        "%c0%ae%c0%ae/x",
        "kept;x=y",
        "",
    ],
)
def test_an_output_path_never_leaves(plane: Plane, output_job: str, path: str) -> None:
    """No spelling of a path reaches what the job did not name as an output, a link's target included."""
    answer = plane.call("GET", f"/v1/jobs/{output_job}/outputs/{path}", headers={"Accept": "*/*"})
    assert answer.status in (400, 404, 409, 422) or (answer.status == 200 and path == ""), answer
    assert b"root:" not in answer.body
    assert plane.token.encode() not in answer.body


@pytest.fixture(scope="module")
def output_job(plane: Plane) -> str:
    """Give a job whose outputs are a file and a link to what it may not have."""
    code = "echo x > kept; ln -s /etc/passwd link; ln -s . folder"
    made = plane.submit(job("out", "sh", "-c", code, outputs=[{"path": "kept"}, {"path": "link"}])).json["id"]
    plane.ended(made)
    return str(made)
