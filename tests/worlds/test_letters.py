"""Letters: what is said of a picture is seen in it."""

import numpy as np
import pytest

from hblib import worlds

letters = worlds.draw_letters(1500, rng=1)


def picture(letter="H", face=0, height=18.0, right=0.0, down=0.0, turn=0.0):
    """One letter as `draw_letters` draws it, all but one thing at rest."""
    from hblib.worlds._letters import _picture

    return _picture(letter, face, 28, height, right, down, turn).astype(float) / 255


def middle(image):
    """Mean column and row of the ink."""
    rows, columns = np.indices(image.shape)
    return np.array([(columns * image).sum(), (rows * image).sum()]) / image.sum()


def test_tables_and_pictures_agree_in_shape_and_range():
    assert letters.X.shape == (1500, 784) and len(letters) == 1500
    np.testing.assert_array_equal(letters.X, letters.images.reshape(1500, -1))
    assert letters.X.min() == 0 and 0.9 < letters.X.max() <= 1
    assert letters.attributes.shape == (1500, 9)
    assert set(letters.labels) == set(range(26)) and set(letters.faces) == set(range(21))


def test_attributes_of_a_typeface_are_those_of_its_face():
    for name in ("serif", "bold", "slanted", "monospace"):
        told = [getattr(worlds.FACES[face], name) for face in letters.faces]
        np.testing.assert_array_equal(letters.attributes[name], told)


def test_no_letter_is_empty_or_cut_off():
    edge = np.concatenate([letters.images[:, [0, -1]], letters.images[:, :, [0, -1]].mT], axis=1)
    assert letters.images.sum(axis=(1, 2)).min() > 10
    touching = edge.max(axis=(1, 2)) > 0.2
    assert touching.mean() < 0.03


@pytest.mark.parametrize("face", range(len(worlds.FACES)))
def test_every_face_has_every_letter(face):
    pictures = [picture(letter, face) for letter in worlds.LETTERS]
    assert min(p.sum() for p in pictures) > 10
    # A face without a glyph draws the same box for all.
    assert len({p.tobytes() for p in pictures}) == 26


def test_bold_faces_have_more_ink():
    faces = worlds.FACES
    for i, face in enumerate(faces):
        if face.bold:
            twins = [
                j for j, other in enumerate(faces)
                if not other.bold and other[1] == face[1] and other[3:] == face[3:]
                and other.file[:8] == face.file[:8]
            ]  # fmt: skip
            for j in twins:
                assert picture("H", i).sum() > 1.15 * picture("H", j).sum(), (face, faces[j])


def test_slanted_faces_lean_to_the_right():
    for face, tells in enumerate(worlds.FACES):
        image = picture("I", face, height=20.0)
        rows, columns = np.indices(image.shape)
        at = middle(image)
        lean = (image * (columns - at[0]) * (at[1] - rows)).sum() / image.sum()
        assert (lean > 1) == tells.slanted, tells


def test_letters_grow_move_and_turn_as_told():
    def height(image):
        return np.ptp(np.flatnonzero(image.max(axis=1) > 0.5))

    assert height(picture(height=21.0)) - height(picture(height=14.0)) in range(6, 9)
    still = middle(picture())
    np.testing.assert_allclose(still, 13.5, atol=0.7)
    np.testing.assert_allclose(middle(picture(right=2.0)) - still, [2, 0], atol=0.1)
    np.testing.assert_allclose(middle(picture(down=2.0)) - still, [0, 2], atol=0.1)
    # Counter-clockwise: the right end of a bar goes up.
    bar = picture("T", turn=8.0)[:12]
    assert middle(bar[:, 18:])[1] < middle(bar[:, :10])[1]


def test_grey_is_the_level_of_the_strokes():
    bold = letters.attributes["bold"].to_numpy() == 1
    peak = letters.images[bold].max(axis=(1, 2))
    assert np.all(peak <= letters.attributes["grey"][bold] + 1e-9)
    assert np.median(peak / letters.attributes["grey"][bold]) > 0.99


def test_same_seed_same_letters():
    again = worlds.draw_letters(20, rng=3, names="ab", size=16)
    loaded = worlds.load("letters", n=20, rng=3, names="ab", size=16)
    np.testing.assert_array_equal(loaded.X, again.X)
    assert again.names == "ab" and again.images.shape == (20, 16, 16)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"n": 0}, "n must be a whole number of at least 1, got 0"),
        ({"size": 8}, "size must be a whole number of at least 12, got 8"),
        ({"names": "A"}, "names must be at least two different letters .* got 'A'"),
        ({"names": "AA"}, "got 'AA'"),
        ({"names": "A1"}, "got 'A1'"),
        ({"names": "AÄ"}, "got 'AÄ'"),
        ({"names": 3}, "got 3"),
    ],
)
def test_bad_input_is_one_sentence(given, said):
    with pytest.raises(ValueError, match=said):
        worlds.draw_letters(**{"n": 3, "rng": 0, **given})
