#!/bin/sh
# Set up the course's environment, .venv/course, on top of the book's, which must be there already.
#
# otter-grader asks for wrapt < 2, which the book's environment does not have; and the sheets import
# hblib, with torch and all that it needs, which nobody should have to download twice.  So the
# course has an environment of its own through which the book's shines: a .pth file puts the book's
# packages behind its own, and pip adds those of course/requirements.lock that are not there or must
# be of another release (15 packages, 30 MB, some seconds).  This is robust because the one folder
# lies in the other: they have the same Python, move together, and whoever removes .venv removes both.
#
# .venv/course/.ready is written last and says what the environment was made from.  If it is missing
# or no longer agrees, the environment is made anew.

set -u
cd "$(dirname "$0")/.." || exit 1
LOCK=course/requirements.lock
BOOK=.venv/bin/python
VENV=.venv/course
PY=$VENV/bin/python
LOG=_build/course-setup.log

unset PYTHONPATH PYTHONHOME VIRTUAL_ENV __PYVENV_LAUNCHER__
unset PIP_TARGET PIP_PREFIX PIP_ROOT PIP_CONSTRAINT PIP_REQUIREMENT PIP_REQUIRE_VIRTUALENV
export PIP_USER=0 PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1

fail() { printf 'Set-up of the course stopped: %s\n' "$*" >&2; exit 1; }

described() { cat .venv/.hb-ready && cksum "$LOCK" tools/course_setup.sh; }

ready() {
    [ "$(cat "$VENV/.ready" 2>/dev/null)" = "$(described)" ] &&
        "$PY" -I -c 'import hblib, importlib.util as u, sys; sys.exit(not u.find_spec("otter"))' \
            2>/dev/null </dev/null
}

step() {
    # step WHAT COMMAND...: run with all output in the log.
    what=$1; shift
    printf '\n$ %s\n' "$*" >>"$LOG"
    "$@" >>"$LOG" 2>&1 </dev/null || {
        last=$(grep -iE 'error' "$LOG" | tail -n 1 | cut -c 1-160)
        fail "$what failed${last:+ ($last)}. Run the same command again to repair it; full log in $LOG."
    }
}

[ -f .venv/.hb-ready ] || fail "the book's environment is not complete; 'make setup' completes it."
ready && exit 0

# One lock for this and the book's set-up: of two at once the second waits for the first.
mkdir -p _build && exec 9>>_build/setup.lock && : >"$LOG" || fail "_build cannot be written to."
"$BOOK" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)' || fail "could not wait for another set-up."
ready && exit 0

echo "Setting up the course's environment in $VENV (once, some seconds; log: $LOG) ..."
rm -rf "$VENV" || fail "the old $VENV cannot be removed; delete it and run make again."
step "making $VENV" "$BOOK" -m venv --without-pip "$VENV"
# Not a plain path: `addsitedir` also reads the .pth files there, one of which is hblib's, and what is
# computed from sys.prefix depends neither on the folder's name nor on the locale that it is read in.
packages=$("$PY" -c 'import os, sys, sysconfig
print(os.path.relpath(sysconfig.get_path("purelib"), sys.prefix))')
printf 'import os, site, sys; site.addsitedir(os.path.join(os.path.dirname(sys.prefix), "%s"))\n' \
    "$packages" >"$VENV/$packages/book.pth" || fail "$VENV cannot be written to."
step "installing the packages of $LOCK" "$PY" -m pip install --progress-bar off -r "$LOCK"
# Without a kernel of its own, notebooks might find another Python's under the same name.
step "installing the kernel" "$PY" -m ipykernel install --sys-prefix
described >"$VENV/.ready.new" && mv "$VENV/.ready.new" "$VENV/.ready" ||
    fail "the disk is full or $VENV cannot be written to."
