#!/bin/sh
# All tests (`make test`): every stage runs even when an earlier one fails, and the last lines say
# how each went; the exit status is 0 only if all passed.
#
# Two worker processes, one thread each.  A file is one unit of work (--dist loadfile), since the
# cells of a notebook need each other; files start in the order that conftest.py gives them.
set -u
cd "$(dirname "$0")/.." || exit 1
workers=${WORKERS:-2}
status=0
summary=

stage() {
    name=$1; shift
    printf '\n== %s\n' "$name"
    began=$(date +%s)
    if "$@"; then result=passed; else result=FAILED status=1; fi
    summary="$summary$(printf '  %-34s %s (%s s)' "$name" "$result" "$(($(date +%s) - began))")
"
}

tests() {
    .venv/bin/python -m pytest -n "$workers" --dist loadfile --no-loadscope-reorder "$@"
}

built() {
    wait "$building"; code=$?
    cat _build/built.log
    return "$code"
}

browser=
for name in chromium chromium-browser; do
    command -v "$name" >/dev/null 2>&1 && browser=$name && break
done
[ -n "$browser" ] || echo "No Chromium here: the tests that open the site in a browser will be" \
    "skipped. On Debian or Ubuntu 'sudo apt-get install chromium' brings one."

# Site and course are built beside the tests that need neither, in a process group of their own,
# so that nothing is left of them when this script is interrupted.
mkdir -p _build
.venv/bin/python -c 'import os; os.setpgid(0, 0); os.execvp("sh", ["sh", "-c", """
    sh tools/site.sh; site=$?
    sh tools/course_setup.sh && .venv/course/bin/python -m course && exit "$site"
"""])' >_build/built.log 2>&1 </dev/null &
building=$!
trap 'kill -- "-$building" 2>/dev/null' EXIT
trap 'exit 130' INT TERM

stage "library and set-up tests" \
    tests tests --ignore-glob="*/test_site*.py" --ignore=tests/test_course.py
stage "site and course, built meanwhile" built
stage "site tests" tests tests/test_site*.py
stage "course tests" \
    .venv/course/bin/python -m pytest tests/test_course.py -n "$workers" --dist loadfile
stage "chapters rerun and compared" tests --nbval --nbval-current-env notebooks

printf '\n%s' "$summary"
if [ "$status" -eq 0 ]; then echo "All tests passed."; else echo "Some tests FAILED."; fi
exit "$status"
