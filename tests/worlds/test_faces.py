"""Generated faces: what each factor does to the picture; real ones: the path to each data set."""

import builtins
import shutil

import numpy as np
import pytest
import scipy.io
import sklearn.datasets

from hblib import worlds
from hblib.worlds import _face_renderer


@pytest.fixture(scope="module")
def factors():
    return worlds.draw_face_factors(60, rng=0)


@pytest.fixture(scope="module")
def images(factors):
    return worlds.render_faces(factors)


def ends(factors, name):
    """Pictures of the same faces with a factor at its low and at its high end."""
    factor = worlds.FACE_FACTORS[name]
    low, high = (False, True) if factor.kind == "binary" else (factor.low, factor.high)
    plain = factors.assign(glasses=False, sunglasses=False)
    return [worlds.render_faces(plain.assign(**{name: value})) for value in (low, high)]


def change(factors, name, region):
    low, high = ends(factors, name)
    return np.abs(high - low)[:, region[0], region[1]].mean()


# --- drawing -------------------------------------------------------------------------------------


def test_same_seed_same_faces():
    one, two, other = (worlds.draw_faces(5, rng=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.images, two.images)
    assert one.factors.equals(two.factors)
    assert not np.array_equal(one.images, other.images)


def test_pictures_are_what_they_say(images):
    assert images.shape == (60, 48, 48, 3) and images.dtype == np.float32
    assert np.isfinite(images).all() and images.min() >= 0 and images.max() <= 1
    assert worlds.draw_faces(2, rng=0, size=33).images.shape == (2, 33, 33, 3)


def test_a_face_does_not_depend_on_its_neighbours(factors, images):
    alone = np.concatenate([worlds.render_faces(factors.iloc[[i]]) for i in range(10)])
    np.testing.assert_allclose(alone, images[:10], atol=1e-6)


def test_whole_numbers_are_the_rounded_real_ones(factors, images):
    whole = worlds.render_faces(factors, dtype=np.uint8)
    np.testing.assert_array_equal(whole, np.rint(255 * images).astype(np.uint8))


def test_layers_reach_no_further_than_the_band_they_are_painted_in(monkeypatch):
    extreme = worlds.draw_face_factors(300, rng=5, correlated=False).assign(
        roll=np.resize([-1, 1], 300), nod=np.resize([-1, -1, 1, 1], 300), face_length=1.0, ears=1.0
    )
    banded = worlds.render_faces(extreme)
    # But for the neck, which begins where its band begins, behind the face.
    whole = tuple(
        layer if layer.paint is _face_renderer._body else layer._replace(top=-1, bottom=1)
        for layer in _face_renderer._LAYERS
    )
    monkeypatch.setattr(_face_renderer, "_LAYERS", whole)
    np.testing.assert_array_equal(banded, worlds.render_faces(extreme))


@pytest.mark.parametrize("size", [16, 48, 65])
def test_mirrored_factors_give_the_mirrored_picture(factors, size):
    mirrored = worlds.render_faces(worlds.mirror_factors(factors), size)
    np.testing.assert_allclose(mirrored[:, :, ::-1], worlds.render_faces(factors, size), atol=1e-4)


def test_factors_left_out_are_neutral():
    given = {name: [factor.neutral] for name, factor in worlds.FACE_FACTORS.items()}
    np.testing.assert_array_equal(worlds.render_faces({"smile": [0.0]}), worlds.render_faces(given))


# --- factors -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", worlds.FACE_FACTORS)
def test_every_factor_can_be_seen(factors, name):
    low, high = ends(factors, name)
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
def test_factors_change_the_picture_where_they_should(factors, name, inside, outside):
    assert change(factors, name, inside) > 8 * change(factors, name, outside)


def test_sunglasses_darken_the_eyes_and_grey_hair_lightens_dark_hair(factors):
    low, high = ends(factors, "sunglasses")
    assert (high - low)[:, *EYES].mean() < -0.05
    dark = factors.assign(hair_lightness=0.0, bald=False)
    low, high = (worlds.render_faces(dark.assign(grey_hair=value)) for value in (False, True))
    assert (high - low)[:, 4:8, 16:32].mean() > 0.1


def test_light_comes_from_the_side_it_says(factors):
    plain = factors.assign(pose=0.0, roll=0.0, background_slope=0.0)
    left, right = (worlds.render_faces(plain.assign(light=value)) for value in (-1.0, 1.0))
    face = slice(20, 36)
    assert (left[:, face, 8:20] - right[:, face, 8:20]).mean() > 0.05
    assert (left[:, face, 28:40] - right[:, face, 28:40]).mean() < -0.05


def test_a_turning_head_takes_its_eyes_along():
    plain = {"eye_size": [1.0] * 2, "light_contrast": [0.0] * 2, "skin": [0.7] * 2}
    pictures = worlds.render_faces({**plain, "pose": [-0.7, 0.7]})
    whites = np.clip(pictures.min(axis=-1) - 0.7, 0, None)[:, 16:27]
    centre = (whites.sum(axis=1) * np.arange(48)).sum(axis=1) / whites.sum(axis=(1, 2))
    assert centre[0] < 21 and centre[1] > 26


def test_switch_changes_correlations_and_nothing_else():
    life, free = (worlds.draw_face_factors(20_000, 0, correlated=c) for c in (True, False))
    assert life["beard"].corr(life["moustache"]) > 0.35
    assert life["beard"].corr(life["lipstick"]) < -0.2
    assert life["skin"].corr(life["hair_lightness"]) < -0.6
    strangers = free.drop(columns=["glasses", "sunglasses"]).astype(float).corr().to_numpy()
    assert np.abs(strangers - np.eye(len(strangers))).max() < 0.035
    for name, factor in worlds.FACE_FACTORS.items():
        expected = factor.neutral if factor.probability is None else factor.probability
        if name != "glasses":
            assert abs(life[name].mean() - expected) < 0.03 and abs(
                free[name].mean() - expected) < 0.03  # fmt: skip
    assert not (life["glasses"] & life["sunglasses"]).any()


def test_loadings_leave_every_factor_some_variance_of_its_own():
    squares = {}
    for loadings in worlds.FACE_CORRELATIONS.values():
        for name, loading in loadings.items():
            squares[name] = squares.get(name, 0) + loading**2
    assert set(squares) <= set(worlds.FACE_FACTORS) and max(squares.values()) < 1


# --- real faces ----------------------------------------------------------------------------------


def test_sample_that_is_always_there():
    sample = worlds.load_faces("lfw_subset")
    assert sample.images.shape == (100, 48, 48, 3) and sample.factors is None
    assert sample.images.min() >= 0 and sample.images.max() <= 1
    np.testing.assert_array_equal(sample.images[..., 0], sample.images[..., 2])


def test_generated_faces_come_by_name():
    same = worlds.load_faces("generated", n=3, rng=1, size=24)
    np.testing.assert_array_equal(same.images, worlds.draw_faces(3, rng=1, size=24).images)


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
    read = worlds.load_faces("olivetti", size=64, folder=file.parent).images
    np.testing.assert_allclose(read[..., 1], pictures / 255, atol=1e-6)

    def fetch(remote, dirname, **_):
        return shutil.copy(file, f"{dirname}/{remote.filename}")

    monkeypatch.setattr(sklearn.datasets._olivetti_faces, "_fetch_remote", fetch)
    home = tmp_path / "home"
    fetched = worlds.load_faces("olivetti", size=64, folder=home, download=True).images
    np.testing.assert_allclose(fetched, read, atol=1e-6)
    kept = worlds.load_faces("olivetti", n=7, rng=0, size=32, folder=home).images
    assert kept.shape == (7, 32, 32, 3)


def test_lfw_is_cut_to_squares(monkeypatch):
    def fetch(**options):
        assert options["color"] and not options["download_if_missing"]
        side = int(125 * options["resize"])
        return sklearn.utils.Bunch(images=np.full((9, side, side, 3), 0.5, dtype=np.float32))

    monkeypatch.setattr(sklearn.datasets, "fetch_lfw_people", fetch)
    assert worlds.load_faces("lfw", n=4, size=48).images.shape == (4, 48, 48, 3)


@pytest.mark.parametrize("name", ["olivetti", "lfw"])
def test_missing_data_set_says_what_to_do(name, tmp_path):
    with pytest.raises(OSError, match=f"{name} is not on this computer: pass download=True"):
        worlds.load_faces(name, folder=tmp_path)


def test_offline_download_says_so(tmp_path, monkeypatch):
    def offline(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(sklearn.datasets._olivetti_faces, "_fetch_remote", offline)
    with pytest.raises(OSError, match="olivetti could not be downloaded.*no route to host"):
        worlds.load_faces("olivetti", folder=tmp_path, download=True)


@pytest.fixture
def celeba_folder(tmp_path):
    """Three pictures and their attributes, laid out like the original."""
    from PIL import Image

    home = tmp_path / "celeba"
    (home / "img_align_celeba").mkdir(parents=True)
    for i in range(3):
        picture = np.zeros((218, 178, 3), np.uint8)
        picture[40:188, 15:163] = (200, 100, 20 + 50 * i)  # the square that is cut out
        Image.fromarray(picture).save(home / "img_align_celeba" / f"00000{i + 1}.jpg", quality=95)
    (home / "list_attr_celeba.txt").write_text(
        "3\nEyeglasses Male Smiling \n000001.jpg -1  1 -1\n000002.jpg  1 -1 -1\n"
        "000003.jpg -1 -1  1\n"
    )
    return tmp_path


def test_celeba_comes_with_its_attributes(celeba_folder):
    found = worlds.load_faces("celeba", size=32, folder=celeba_folder)
    assert found.images.shape == (3, 32, 32, 3)
    assert list(found.factors) == ["Eyeglasses", "Male", "Smiling"]
    order = np.round((255 * found.images[:, 16, 16, 2] - 20) / 50).astype(int)
    assert sorted(order) == [0, 1, 2]
    expected = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1]], bool)
    np.testing.assert_array_equal(found.factors.to_numpy(), expected[order])
    inner = found.images[:, 1:-1, 1:-1, 0]
    np.testing.assert_allclose(inner, 200 / 255, atol=0.03)  # nothing of the black frame


def test_some_of_celeba(celeba_folder):
    found = worlds.load_faces("celeba", n=2, size=16, folder=celeba_folder)
    assert found.images.shape == (2, 16, 16, 3) and found.factors.shape == (2, 3)
    assert found.factors.index.tolist() == [0, 1]


def test_only_the_download_of_celeba_needs_torchvision(monkeypatch, tmp_path):
    original = builtins.__import__

    def without_torchvision(name, *rest):
        if name.startswith("torchvision"):
            raise ImportError(name)
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_torchvision)
    with pytest.raises(ImportError, match="pip install torchvision"):
        worlds.load_faces("celeba", download=True)
    with pytest.raises(OSError, match="celeba is not on this computer: pass download=True"):
        worlds.load_faces("celeba", folder=tmp_path)


# --- what is given -------------------------------------------------------------------------------


def test_factors_may_be_tensors_integers_and_strided(factors):
    import torch

    smile, beard = factors["smile"].to_numpy(), factors["beard"].to_numpy()
    expected = worlds.render_faces({"smile": smile, "beard": beard}, 16)
    wide = np.stack([smile, smile], axis=1)
    wide.setflags(write=False)
    for given in (
        {"smile": torch.tensor(smile, requires_grad=True), "beard": torch.tensor(beard)},
        {"smile": wide[:, 1], "beard": beard.astype(np.int8)},
        factors[["smile", "beard"]],
    ):
        np.testing.assert_array_equal(worlds.render_faces(given, 16), expected)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: worlds.draw_faces(3, 0, size=15), "size must be a whole number of at least 16"),
        (lambda: worlds.render_faces({"smile": [0.0]}, dtype=int), "dtype must be"),
        (lambda: worlds.render_faces({"smirk": [0.0]}), "names of FACE_FACTORS, got smirk"),
        (lambda: worlds.render_faces([0.0]), "factors must be a table or a dict"),
        (lambda: worlds.render_faces({"smile": [2.0]}), "smile must lie between -1 and 1"),
        (lambda: worlds.render_faces({"smile": [np.nan]}), "smile must lie between -1 and 1"),
        (lambda: worlds.render_faces({"smile": [0.0], "pose": [0, 1.0]}), "columns of one length"),
        (lambda: worlds.load_faces("portraits"), "name must be one of 'generated'"),
        (lambda: worlds.load_faces("lfw_subset", n=101), "n must be at most the 100 there are"),
        (lambda: worlds.load_faces("generated"), "n must be a whole number"),
    ],
)
def test_input_that_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
