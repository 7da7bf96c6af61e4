#!/bin/sh
# Are the packages in order (`make audit`)?  deptry compares what is imported with what pyproject.toml
# declares; pip-audit asks PyPI for known vulnerabilities of the pinned releases.
#
# Exit status: 0 nothing found, 1 something found, 2 PyPI could not be asked.
set -u
cd "$(dirname "$0")/.." || exit 1
log=_build/audit.log answer=_build/audit.txt found=0

could_not_ask() {
    echo "The known vulnerabilities could not be looked up: $1 did not answer for every package;" \
        "full log in $log." >&2
    [ "$found" -eq 0 ] || exit 1
    exit 2
}

mkdir -p _build
rm -f "$answer"
.venv/bin/python -m pip install -q --no-deps --disable-pip-version-check \
    -r tools/requirements.txt >"$log" 2>&1 || could_not_ask "the package index"

.venv/bin/python -m deptry benchmarks book/_ext course examples hblib notebooks runner tests tools || found=1

# Without --strict, a package that PyPI does not answer for would count as harmless.
set -- --strict --no-deps --disable-pip --progress-spinner off -o "$answer"
for lock in requirements.lock benchmarks/requirements.txt course/requirements.lock; do
    set -- "$@" -r "$lock"
done
if .venv/bin/python -m pip_audit "$@" >"$log" 2>&1; then
    echo "No known vulnerability in the pinned releases."
    exit "$found"
fi
[ -s "$answer" ] || could_not_ask "pypi.org"
cat "$answer"
exit 1
