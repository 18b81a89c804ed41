"""Builds preload.c; see there."""

import os
import subprocess
import tempfile

from harness import ROOT


def build(test_class):
    """The library's path; it is gone after the class's tests."""
    folder = tempfile.TemporaryDirectory()
    test_class.addClassCleanup(folder.cleanup)
    so = os.path.join(folder.name, "preload.so")
    subprocess.run(["cc", "-O1", "-Wall", "-Werror", "-D_GNU_SOURCE",
                    "-shared", "-fPIC", "-o", so,
                    os.path.join(ROOT, "tests/e2e/preload.c"), "-ldl"],
                   check=True)
    return so
