"""Build hook: compiles the job runner of the `local` backend into each wheel, editable ones included.

A hook and not a setup step of the product, so that a machine which installs a wheel needs no compiler.
The compiling itself is `backends/local/runner/build.py`, which the tests use too.
"""

import importlib.util
import pathlib
import sysconfig
import types
import typing

from hatchling.builders.hooks.plugin import interface

RUNNER = "backends/local/runner"


def _load(path: pathlib.Path) -> types.ModuleType:
    """Import by path: while a wheel is built the package is not importable yet."""
    spec = importlib.util.spec_from_file_location("comity_runner_build", path)
    if spec is None or spec.loader is None:
        raise RuntimeError(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class CustomBuildHook(interface.BuildHookInterface):  # type: ignore[type-arg]
    """Compiles the runner and marks the wheel as one of this platform."""

    def initialize(self, version: str, build_data: dict[str, typing.Any]) -> None:
        """Called by hatchling before each target is built; `version` is `standard` or `editable`."""
        if self.target_name != "wheel":
            return  # a source distribution carries sources
        build = _load(pathlib.Path(self.root, RUNNER, "build.py"))
        try:
            build.ensure_runner()
        except build.CompilerError as error:
            raise SystemExit(str(error)) from error  # the person at the terminal needs the text, not a traceback
        build_data["artifacts"].append(f"{RUNNER}/comity-runner")
        build_data["pure_python"] = False
        # Any Python 3 of this platform: the binary is no extension module, so `infer_tag`, which would
        # also pin the interpreter, says too much.
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"

    def clean(self, versions: list[str]) -> None:
        """`hatch clean` removes the binary."""
        pathlib.Path(self.root, RUNNER, "comity-runner").unlink(missing_ok=True)
