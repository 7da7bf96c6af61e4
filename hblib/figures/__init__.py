"""One look for figures, tables and the parameters of a run."""

from hblib.figures._echo import echo
from hblib.figures._plotting import *  # noqa: F403
