#!/bin/sh
# Build the course into _build/course from exercises/ and the committed chapters (`make course`).
#
# The autograder is installed first, without its dependencies, which the environment has; pip asks
# no index for what is already there.
set -eu
cd "$(dirname "$0")/.."
.venv/bin/python -m pip install -q --no-deps --disable-pip-version-check -r course/requirements.txt
exec .venv/bin/python -m course "$@"
