#!/bin/sh
# Compile requirements.lock and requirements-oldest.lock from pyproject.toml and constraints.txt, and
# course/requirements.lock from course/requirements.in (`make lock`).
#
# The resolver is uv, in an environment of its own, because it resolves for every platform and
# Python version at once: the lock says with markers what is needed where.  Pins that are still
# allowed are kept; delete requirements.lock first to move everything to its newest release.
set -eu
cd "$(dirname "$0")/.."
UV_VERSION=0.13.8
tools=_build/lock-tools
new=_build/requirements.new

mkdir -p _build
[ -x "$tools/bin/uv" ] || {
    .venv/bin/python -m venv "$tools"
    "$tools/bin/python" -m pip install -q --disable-pip-version-check "uv==$UV_VERSION"
}

# Two things are taken out.  A local version such as torch's "+cpu" exists in no public index, and
# "==2.13.0" is met by the CPU build all the same.  The CUDA libraries belong to torch's GPU build
# alone: pip adds them where that build is chosen, and nobody else should have to fetch them.
compile() {
    source=$1 lock=$2; shift 2
    "$tools/bin/uv" pip compile "$source" -q --universal --python-version 3.11 \
        -c constraints.txt --annotation-style line --no-header --no-emit-index-url \
        --no-emit-find-links "$@" -o "$new"
    {
        echo "# Compiled by 'make lock' from $source and constraints.txt; do not edit by hand."
        sed -e 's/^\([a-z0-9._-]*==[0-9a-z.]*\)+[a-z0-9.]*/\1/' \
            -e '/^nvidia-/d' -e '/^cuda-/d' -e '/^triton==/d' "$new"
    } > "$lock.tmp"
    mv "$lock.tmp" "$lock"
    rm -f "$new"
    echo "$(grep -c == "$lock") releases pinned in $lock"
}

if [ -f requirements.lock ]; then cp requirements.lock "$new"; else rm -f "$new"; fi
compile pyproject.toml requirements.lock --all-extras
# The oldest release of each package that pyproject.toml allows, for `make test-oldest`.
compile pyproject.toml requirements-oldest.lock --all-extras --resolution lowest-direct
# The course stands on the book's environment: it takes the book's releases where otter allows them,
# and else keeps its own.
cat requirements.lock $(ls course/requirements.lock 2>/dev/null) > "$new"
compile course/requirements.in course/requirements.lock
