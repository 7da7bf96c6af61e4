"""Generated faces: what each factor does to the picture; real ones: the path to each data set."""

import builtins
import doctest
import shutil

import numpy as np
import pytest
import scipy.io
import sklearn.datasets

from hblib.worlds import _face_renderer as face_renderer
from hblib.worlds import _faces as faces

NAMES = list(faces.FACTORS)
FACTORS = faces.draw_factors(60, rng=0)
IMAGES = faces.render(FACTORS)


def ends(name):
    """Pictures of the same 60 faces with a factor at its low and at its high end."""
    factor = faces.FACTORS[name]
    low, high = (False, True) if factor.kind == "binary" else (factor.low, factor.high)
    plain = FACTORS.assign(glasses=False, sunglasses=False)
    return [faces.render(plain.assign(**{name: value})) for value in (low, high)]


def change(name, region=(slice(None), slice(None))):
    low, high = ends(name)
    return np.abs(high - low)[:, region[0], region[1]].mean()


def test_examples():
    assert doctest.testmod(faces).failed == 0


# --- drawing -------------------------------------------------------------------------------------


def test_same_seed_same_faces():
    one, two, other = faces.draw(5, rng=3), faces.draw(5, rng=3), faces.draw(5, rng=4)
    np.testing.assert_array_equal(one.images, two.images)
    assert one.factors.equals(two.factors)
    assert not np.array_equal(one.images, other.images)


def test_pictures_are_what_they_say():
    assert IMAGES.shape == (60, 48, 48, 3) and IMAGES.dtype == np.float32
    assert np.isfinite(IMAGES).all() and IMAGES.min() >= 0 and IMAGES.max() <= 1
    assert faces.draw(2, rng=0, size=33).images.shape == (2, 33, 33, 3)


def test_a_face_does_not_depend_on_its_neighbours():
    alone = np.concatenate([faces.render(FACTORS.iloc[[i]]) for i in range(10)])
    np.testing.assert_allclose(alone, IMAGES[:10], atol=1e-6)


def test_whole_numbers_are_the_rounded_real_ones():
    whole = faces.render(FACTORS, dtype=np.uint8)
    np.testing.assert_array_equal(whole, np.rint(255 * IMAGES).astype(np.uint8))


def test_layers_reach_no_further_than_the_band_they_are_painted_in(monkeypatch):
    extreme = faces.draw_factors(300, rng=5, correlated=False).assign(
        roll=np.resize([-1, 1], 300), nod=np.resize([-1, -1, 1, 1], 300), face_length=1.0, ears=1.0
    )
    banded = faces.render(extreme)
    whole = tuple((layer, -1, 1, present) for layer, _, _, present in face_renderer._LAYERS)
    body = {face_renderer._body}  # the neck begins where its band begins, behind the face
    whole = tuple(a if a[0] in body else b for a, b in zip(face_renderer._LAYERS, whole))
    monkeypatch.setattr(face_renderer, "_LAYERS", whole)
    np.testing.assert_array_equal(banded, faces.render(extreme))


@pytest.mark.parametrize("size", [16, 48, 65])
def test_mirrored_factors_give_the_mirrored_picture(size):
    mirrored = faces.render(faces.mirrored(FACTORS), size)
    np.testing.assert_allclose(mirrored[:, :, ::-1], faces.render(FACTORS, size), atol=1e-4)


def test_factors_left_out_are_neutral():
    given = {name: [factor.neutral] for name, factor in faces.FACTORS.items()}
    np.testing.assert_array_equal(faces.render({"smile": [0.0]}), faces.render(given))


# --- factors -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_every_factor_can_be_seen(name):
    low, high = ends(name)
    assert (np.abs(high - low).max(axis=(1, 2, 3)) > 0.03).mean() > 0.5


EYES, MOUTH = (slice(16, 27), slice(8, 40)), (slice(28, 42), slice(12, 36))
CORNERS, BOTTOM = (slice(0, 6), slice(0, 4)), (slice(46, 48), slice(10, 38))


@pytest.mark.parametrize(
    "name, inside, outside",
    [
        ("sunglasses", EYES, MOUTH),
        ("glasses", EYES, MOUTH),
        ("eye_size", EYES, MOUTH),
        ("eye_lightness", EYES, MOUTH),
        ("gaze", EYES, MOUTH),
        ("smile", MOUTH, EYES),
        ("mouth_open", MOUTH, EYES),
        ("lipstick", MOUTH, EYES),
        ("beard", MOUTH, EYES),
        ("moustache", MOUTH, EYES),
        ("background_lightness", CORNERS, MOUTH),
        ("background_warmth", CORNERS, MOUTH),
        ("clothes_lightness", BOTTOM, EYES),
    ],
)
def test_factors_change_the_picture_where_they_should(name, inside, outside):
    assert change(name, inside) > 8 * change(name, outside)


def test_sunglasses_darken_the_eyes_and_grey_hair_lightens_dark_hair():
    low, high = ends("sunglasses")
    assert (high - low)[:, *EYES].mean() < -0.05
    dark = FACTORS.assign(hair_lightness=0.0, bald=False)
    low, high = (faces.render(dark.assign(grey_hair=value)) for value in (False, True))
    assert (high - low)[:, 4:8, 16:32].mean() > 0.1


def test_light_comes_from_the_side_it_says():
    plain = FACTORS.assign(pose=0.0, roll=0.0, background_slope=0.0)
    left, right = (faces.render(plain.assign(light=value)) for value in (-1.0, 1.0))
    face = slice(20, 36)
    assert (left[:, face, 8:20] - right[:, face, 8:20]).mean() > 0.05
    assert (left[:, face, 28:40] - right[:, face, 28:40]).mean() < -0.05


def test_a_turning_head_takes_its_eyes_along():
    plain = {"eye_size": [1.0] * 2, "light_contrast": [0.0] * 2, "skin": [0.7] * 2}
    pictures = faces.render({**plain, "pose": [-0.7, 0.7]})
    whites = np.clip(pictures.min(axis=-1) - 0.7, 0, None)[:, 16:27]
    centre = (whites.sum(axis=1) * np.arange(48)).sum(axis=1) / whites.sum(axis=(1, 2))
    assert centre[0] < 21 and centre[1] > 26


def test_switch_changes_correlations_and_nothing_else():
    life, free = (faces.draw_factors(20_000, 0, correlated=c) for c in (True, False))
    assert life["beard"].corr(life["moustache"]) > 0.35
    assert life["beard"].corr(life["lipstick"]) < -0.2
    assert life["skin"].corr(life["hair_lightness"]) < -0.6
    strangers = free.drop(columns=["glasses", "sunglasses"]).astype(float).corr().to_numpy()
    assert np.abs(strangers - np.eye(len(strangers))).max() < 0.035
    for name, factor in faces.FACTORS.items():
        expected = factor.neutral if factor.probability is None else factor.probability
        if name != "glasses":
            assert abs(life[name].mean() - expected) < 0.03 and abs(
                free[name].mean() - expected) < 0.03  # fmt: skip
    assert not (life["glasses"] & life["sunglasses"]).any()


def test_loadings_leave_every_factor_some_variance_of_its_own():
    squares = {}
    for loadings in faces.CORRELATIONS.values():
        for name, loading in loadings.items():
            squares[name] = squares.get(name, 0) + loading**2
    assert set(squares) <= set(NAMES) and max(squares.values()) < 1


# --- real faces ----------------------------------------------------------------------------------


def test_sample_that_is_always_there():
    sample = faces.load("lfw_subset")
    assert sample.images.shape == (100, 48, 48, 3) and sample.factors is None
    assert sample.images.min() >= 0 and sample.images.max() <= 1
    np.testing.assert_array_equal(sample.images[..., 0], sample.images[..., 2])


def test_generated_faces_come_by_name():
    same = faces.load("generated", n=3, rng=1, size=24)
    np.testing.assert_array_equal(same.images, faces.draw(3, rng=1, size=24).images)


@pytest.fixture
def olivetti_file(tmp_path):
    """A file laid out like the original: a column a face, pixels column by column."""
    pictures = np.random.default_rng(0).integers(0, 256, (400, 64, 64), dtype=np.uint8)
    pictures[:, 0, 0], pictures[:, 0, 1] = 0, 255  # scikit-learn stretches the range
    flat = pictures.transpose(0, 2, 1).reshape(400, -1).T
    folder = tmp_path / "original"
    folder.mkdir()
    scipy.io.savemat(folder / "olivettifaces.mat", {"faces": flat})
    return folder / "olivettifaces.mat", pictures


def test_olivetti_from_a_folder_equals_the_download(olivetti_file, tmp_path, monkeypatch):
    file, pictures = olivetti_file
    read = faces.load("olivetti", size=64, folder=file.parent).images
    np.testing.assert_allclose(read[..., 1], pictures / 255, atol=1e-6)

    def fetch(remote, dirname, **_):
        return shutil.copy(file, f"{dirname}/{remote.filename}")

    monkeypatch.setattr(sklearn.datasets._olivetti_faces, "_fetch_remote", fetch)
    home = tmp_path / "home"
    fetched = faces.load("olivetti", size=64, folder=home, download=True).images
    np.testing.assert_allclose(fetched, read, atol=1e-6)
    kept = faces.load("olivetti", n=7, rng=0, size=32, folder=home).images
    assert kept.shape == (7, 32, 32, 3)


def test_lfw_is_cut_to_squares(monkeypatch):
    def fetch(**options):
        assert options["color"] and not options["download_if_missing"]
        side = int(125 * options["resize"])
        return sklearn.utils.Bunch(images=np.full((9, side, side, 3), 0.5, dtype=np.float32))

    monkeypatch.setattr(sklearn.datasets, "fetch_lfw_people", fetch)
    assert faces.load("lfw", n=4, size=48).images.shape == (4, 48, 48, 3)


@pytest.mark.parametrize("name", ["olivetti", "lfw"])
def test_missing_data_set_says_what_to_do(name, tmp_path):
    with pytest.raises(OSError, match=f"{name} is not on this computer: pass download=True"):
        faces.load(name, folder=tmp_path)


def test_offline_download_says_so(tmp_path, monkeypatch):
    def offline(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(sklearn.datasets._olivetti_faces, "_fetch_remote", offline)
    with pytest.raises(OSError, match="olivetti could not be downloaded.*no route to host"):
        faces.load("olivetti", folder=tmp_path, download=True)


def test_celeba_needs_torchvision(monkeypatch):
    original = builtins.__import__

    def without_torchvision(name, *rest):
        if name.startswith("torchvision"):
            raise ImportError(name)
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_torchvision)
    with pytest.raises(ImportError, match="pip install torchvision"):
        faces.load("celeba")


# --- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: faces.draw(3, 0, size=15), "size must be an integer of at least 16"),
        (lambda: faces.draw(0, 0), "n must be a positive integer"),
        (lambda: faces.render({"smile": [0.0]}, dtype=int), "dtype must be"),
        (lambda: faces.render({"smirk": [0.0]}), "names of FACTORS, got smirk"),
        (lambda: faces.render({"smile": [2.0]}), "smile must lie between -1 and 1"),
        (lambda: faces.render({"smile": [np.nan]}), "smile must lie between -1 and 1"),
        (lambda: faces.render({"smile": [0.0], "pose": [0, 1.0]}), "columns of one length"),
        (lambda: faces.load("portraits"), "name must be one of generated"),
        (lambda: faces.load("lfw_subset", n=101), "n must be at most the 100 there are"),
        (lambda: faces.load("lfw_subset", n=-1), "n must be a positive integer"),
        (lambda: faces.load("lfw_subset", size=8), "size must be an integer of at least 16"),
        (lambda: faces.load("generated"), "n must be a positive integer"),
    ],
)
def test_bad_input_gets_one_clear_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()
