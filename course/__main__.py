"""Command line: ``python -m course [CHAPTER ...]`` builds, ``... check CHAPTER ...`` tries out.

Building makes the whole course in ``_build/course``, or the part that belongs to some chapters.
Checking grades the reference, the empty sheet and all mistakes, and prints what is amiss.
"""

import sys

from course import build

if sys.argv[1:2] == ["check"]:
    build.check(sys.argv[2:])
else:
    build.build(build.OUT, sys.argv[1:])
