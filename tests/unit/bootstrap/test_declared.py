"""The folder of documents, as it is found on a disk and as Kubernetes mounts it."""

import pathlib

from orchestrator.bootstrap import declared


def test_a_mounted_configmap_is_read_once(tmp_path: pathlib.Path) -> None:
    """Of files that stand twice, once below a folder with dots, the plain one is read; editors' leftovers are not."""
    real = tmp_path / "..2026_11_22"
    real.mkdir()
    (real / "place.yaml").write_text("{}")
    (tmp_path / "..data").symlink_to(real)
    (tmp_path / "place.yaml").symlink_to(pathlib.Path("..data") / "place.yaml")
    (tmp_path / ".place.yaml.swp.yaml").write_text("{}")
    below = tmp_path / "more"
    below.mkdir()
    (below / "other.json").write_text("{}")
    assert [path.relative_to(tmp_path).as_posix() for path in declared._files(tmp_path)] == [
        "more/other.json",
        "place.yaml",
    ]
