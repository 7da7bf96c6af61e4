"""Every world through one call."""

from __future__ import annotations

from functools import partial
from typing import Any

from hblib._checks import choice
from hblib.worlds._data import digits, draw_matrices
from hblib.worlds._faces import FACE_SOURCES, draw_faces, load_faces
from hblib.worlds._letters import draw_letters
from hblib.worlds._scenes import draw_scenes
from hblib.worlds._speech import draw_speech
from hblib.worlds._texts import analogies, wikipedia_text

_LOADERS = {
    "digits": digits,
    "letters": draw_letters,
    "wikipedia": wikipedia_text,
    "analogies": analogies,
    "matrices": draw_matrices,
    "faces": draw_faces,
    "scenes": draw_scenes,
    "speech": draw_speech,
    **{name: partial(load_faces, name) for name in FACE_SOURCES if name != "generated"},
}


def load(name: str, **options: Any) -> Any:
    """Give a world by its name.

    Parameters
    ----------
    name : str
        A key of `catalogue`.
    **options
        Passed on to what makes or reads the world: `digits`, `draw_letters`, `wikipedia_text`,
        `analogies`, `draw_matrices`, `draw_faces`, `draw_scenes`, `draw_speech`; for photographs
        `load_faces`.

    Returns
    -------
    Digits, Letters, Text, Analogies, Matrices, Faces, Scenes or Speech

    Raises
    ------
    ValueError
        If the name is unknown.

    Examples
    --------
    >>> load("digits").X.shape, load("scenes", n=2, rng=0).images.shape
    ((1797, 64), (2, 64, 64, 3))
    """
    return _LOADERS[choice("name", name, _LOADERS)](**options)
