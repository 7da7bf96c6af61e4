"""`make audit` says what it could not ask, and never takes silence for a good answer."""

import os
import shutil
import subprocess

import pytest
from scripts import PATIENCE, ROOT

# Stands in for the environment's Python; PIP, DEPTRY and PIP_AUDIT are what these programs do.
PYTHON = """#!/bin/sh
while [ $# -gt 0 ]; do
    case $1 in pip) program=$PIP ;; deptry) program=$DEPTRY ;; pip_audit) program=$PIP_AUDIT ;; esac
    [ "$1" = -o ] && answer=$2
    shift
done
eval "$program"
"""
LISTED = 'echo "numpy 2.2.0 PYSEC-1 9.0" >"$answer"; exit 1'


@pytest.mark.parametrize(
    "status, said, outcomes",
    [
        (0, "No known vulnerability", {}),
        (1, "PYSEC-1", {"PIP_AUDIT": LISTED}),
        (1, "No known vulnerability", {"DEPTRY": "exit 1"}),
        (2, "pypi.org did not answer", {"PIP_AUDIT": "echo Traceback >&2; exit 1"}),
        (2, "the package index did not answer", {"PIP": "echo Traceback >&2; exit 1"}),
        (1, "pypi.org did not answer", {"DEPTRY": "exit 1", "PIP_AUDIT": "exit 1"}),
    ],
)
def test_the_audit_says_what_came_out(tmp_path, status, said, outcomes):
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "audit.sh", tmp_path / "tools")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    python = tmp_path / ".venv" / "bin" / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    done = subprocess.run(
        ["sh", "tools/audit.sh"],
        cwd=tmp_path,
        env={**os.environ, "PIP": "", "DEPTRY": "", "PIP_AUDIT": "", **outcomes},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == status
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert len(done.stderr.splitlines()) == ("did not answer" in said)
