"""Compiles the passes when leepjax is built, if there is a C++ compiler; without one leepjax does without them."""

import importlib.util
import os
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# Sums may be reordered, so that they use vectors; NaN and infinity keep their meaning.
_FLAGS = ["-std=c++17", "-O3", "-fopenmp-simd", "-fno-math-errno"]
_FLAGS += ["-fassociative-math", "-fno-signed-zeros", "-fno-trapping-math"]
_FLAGS += ["-fPIC", "-shared", "-w"]  # the warnings are those of XLA's headers


class CustomBuildHook(BuildHookInterface):
    """Hatch calls `initialize` before it builds a wheel, which an editable installation is, too."""

    def initialize(self, version, build_data):
        here = Path(self.root, "leepjax/kernels/native")
        library = (here if version == "editable" else Path(self._folder())) / "passes.cpu.so"
        reason = _compile(here / "handlers.cc", library)
        if reason:
            self.app.display_warning(f"leepjax is built without its C++ passes, and uses JAX's loops: {reason}")
            return
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
        if version != "editable":
            build_data["force_include"][str(library)] = "leepjax/kernels/native/passes.cpu.so"

    def _folder(self):
        self._temporary = tempfile.TemporaryDirectory()
        return self._temporary.name

    def finalize(self, version, build_data, artifact_path):
        if version != "editable":
            self._temporary.cleanup()


def _compile(source: Path, library: Path) -> str | None:
    """Why there is no library, if there is none."""
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        return "no C++ compiler was found."
    jaxlib = importlib.util.find_spec("jaxlib")
    if jaxlib is None or jaxlib.origin is None:
        return "jaxlib, which has the headers, isn't installed."
    headers = Path(jaxlib.origin).with_name("include")
    try:
        library.unlink(missing_ok=True)
        done = subprocess.run(
            [*compiler.split(), *_FLAGS, f"-I{headers}", str(source), "-o", str(library)],
            capture_output=True,
            text=True,
        )
    except OSError as error:
        return str(error)
    lines = done.stderr.splitlines()
    return None if done.returncode == 0 else next((line for line in lines if "error" in line), "the compiler failed.")
