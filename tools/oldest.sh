#!/bin/sh
# Try the oldest releases that pyproject.toml allows (`make test-oldest`): the tests of the library,
# then every chapter, whose verdicts must be the committed ones.
#
# All of it happens in a copy of the tracked files, with an environment of its own.  What the
# chapters gave is stored in book/reproductions/oldest.csv.
set -eu
cd "$(dirname "$0")/.."
root=$(pwd -P)
copy=_build/oldest

mkdir -p "$copy"
find "$copy" -mindepth 1 -maxdepth 1 ! -name .venv ! -name _build -exec rm -rf {} +
git ls-files -z --cached --others --exclude-standard | tar --null -T - -cf - | tar -xf - -C "$copy"
cd "$copy"
HB_LOCK=requirements-oldest.lock sh tools/setup.sh
status=0
# The pages are built by newer tools only: their tests are left to `make test`.
.venv/bin/python -m pytest tests -n "${WORKERS:-2}" --dist loadfile \
    --ignore-glob='tests/test_site*' --ignore=tests/test_course.py --ignore=tests/test_setup.py ||
    status=1
.venv/bin/python tools/reproduce.py oldest \
    --about "the oldest releases of the packages that the book allows" || status=1
mkdir -p "$root/book/reproductions"
cp book/reproductions/oldest.csv "$root/book/reproductions/"
exit "$status"
