#!/bin/sh
# All tests (`make test`): every stage runs even when an earlier one fails, and the last lines say
# how each went; the exit status is 0 only if all passed.
#
# Two worker processes, one thread each.  A notebook is one unit of work (--dist loadfile), since its cells need each other.
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

browser=
for name in chromium chromium-browser; do
    command -v "$name" >/dev/null 2>&1 && browser=$name && break
done
[ -n "$browser" ] || echo "No Chromium here: the tests that open the site in a browser will be" \
    "skipped. On Debian or Ubuntu 'sudo apt-get install chromium' brings one."

stage "site" sh tools/site.sh
stage "course" sh -c 'sh tools/course_setup.sh && .venv/course/bin/python -m course'
stage "course tests" .venv/course/bin/python -m pytest tests/test_course.py -n "$workers"
stage "library, set-up and site tests" \
    .venv/bin/python -m pytest tests -n "$workers" --dist loadfile --ignore=tests/test_course.py
stage "chapters rerun and compared" \
    .venv/bin/python -m pytest --nbval --nbval-current-env \
    -n "$workers" --dist loadfile notebooks

printf '\n%s' "$summary"
if [ "$status" -eq 0 ]; then echo "All tests passed."; else echo "Some tests FAILED."; fi
exit "$status"
