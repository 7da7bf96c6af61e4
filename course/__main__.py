"""Command line of the course.

``python -m course [CHAPTER ...]`` makes the whole course in ``_build/course``, or the part that
belongs to some chapters. ``... check CHAPTER ...`` grades the reference, the empty sheet and all
mistakes, and prints what is amiss. ``... grade CHAPTER FOLDER`` grades the sheets in a folder.
"""

import sys
from pathlib import Path

from course import build, submitted

match sys.argv[1:]:
    case ["check", *names]:
        build.check(names)
    case ["grade", chapter, folder]:
        sys.exit(submitted.grade_folder(chapter, Path(folder), build.OUT) > 0)
    case names:
        build.build(build.OUT, names)
