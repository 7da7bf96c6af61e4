"""Chapter 5's questions on photographs: what is stored, how it is shown, and what is refused."""

import importlib.util
import json

import joblib
import numpy as np
import pytest
import scipy.io
from fake_book import ROOT

from runner import files

FOLDER = ROOT / "book" / "photographs"
STORED = sorted(FOLDER.glob("*.json"))


@pytest.fixture(scope="module")
def photographs():
    path = ROOT / "tools" / "photographs.py"
    spec = importlib.util.spec_from_file_location("photographs", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def code(photographs):
    path = files.find_chapter(ROOT, photographs.CHAPTER)
    return photographs.code_that_measures(json.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_stored_values_are_of_this_code(path, photographs, code):
    stored, run = json.loads(path.read_text(encoding="utf-8")), photographs.RUNS[path.stem]
    assert stored["parameters"] == run["parameters"]
    hint = f"the chapter measures otherwise now: python tools/photographs.py {path.stem}"
    assert stored["code"] == photographs.digest(code, run), hint
    n = run["parameters"]["n_networks"]
    for kinds in stored["values"].values():
        assert list(kinds) == list(photographs.KINDS)
        assert all(len(v) == n and np.isfinite(v).all() for v in kinds.values())


def test_page_shows_what_is_stored(photographs):
    text = (ROOT / "book" / "photographs.md").read_text(encoding="utf-8")
    assert photographs.page_with(text, photographs.tables(FOLDER)) == text


def test_lead_is_over_the_best_rival_of_each_network(photographs):
    values = {kind: [0.1, 0.3, 0.2] for kind in photographs.KINDS}
    values |= {"K-SVD": [0.5, 0.6, 0.7], "PCA": [0.4, 0.0, 0.0], "ICA": [0.0, 0.7, 0.0]}
    found = photographs.line({"name": values}, "name")
    assert found[0] == "60" and found[-2:] == ["+16.7", "-10.0 to +50.0"]


def test_code_keeps_what_measures_and_shows_nothing(photographs, code):
    assert "functools.cache" in code and "studies = each(study)" in code
    assert "plt.subplots" not in code and "opening_figure" not in code
    other = photographs.with_values(code, {"size": 32, "N_INPUTS": 9})
    assert "\nsize = 32\n" in other and "\nN_INPUTS = 9\n" in other
    with pytest.raises(ValueError, match="assigns no sise"):
        photographs.with_values(code, {"sise": 32})


def test_olivetti_file_is_read_as_scikit_learn_does(photographs, tmp_path, monkeypatch):
    from hblib import worlds

    pictures = np.random.default_rng(0).integers(0, 256, (400, 64, 64), dtype=np.uint8)
    flat = pictures.transpose(0, 2, 1).reshape(400, -1).T
    scipy.io.savemat(tmp_path / "olivettifaces.mat", {"faces": flat})
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    photographs.keep_olivetti(tmp_path / "olivettifaces.mat", tmp_path)
    read = worlds.load_faces("olivetti", size=64).images[..., 0]
    np.testing.assert_allclose(read, pictures / 255, atol=1e-6)
    assert joblib.load(tmp_path / "olivetti_py3.pkz").shape == (400, 4096)


@pytest.mark.parametrize(
    "content, message",
    [
        (None, "there is no file .*olivettifaces.mat"),
        (b"not a picture", "is not the file of the Olivetti faces"),
        ({"other": np.zeros((4096, 400))}, "is not the file of the Olivetti faces"),
        ({"faces": np.zeros((1024, 400))}, "4096 x 400, got 1024 x 400"),
    ],
)
def test_files_that_are_refused_in_one_sentence(content, message, photographs, tmp_path):
    path = tmp_path / "olivettifaces.mat"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        scipy.io.savemat(path, content)
    with pytest.raises(SystemExit, match=message) as caught:
        photographs.keep_olivetti(path, tmp_path)
    assert "\n" not in str(caught.value)


@pytest.fixture
def celeba(tmp_path):
    """Drawn faces laid out like CelebA, with attributes that can be seen in them."""
    from PIL import Image

    from hblib import worlds

    table = worlds.draw_face_factors(100, 0, False)
    table[["pose", "nod", "roll"]] = 0.0
    attributes = {
        "Eyeglasses": table["sunglasses"],
        "Pale_Skin": table["skin"] < 0.5,
        "Young": table["background_lightness"] > 0.5,
    }
    home = tmp_path / "celeba"
    (home / "img_align_celeba").mkdir(parents=True)
    lines = ["100", " ".join(attributes)]
    for i, face in enumerate(worlds.render_faces(table, 148, np.uint8)):
        picture = np.zeros((218, 178, 3), np.uint8)
        picture[40:188, 15:163] = face
        Image.fromarray(picture).save(home / "img_align_celeba" / f"{i:06d}.jpg", quality=95)
        signs = [" 1" if column[i] else "-1" for column in attributes.values()]
        lines.append(" ".join([f"{i:06d}.jpg", *signs]))
    (home / "list_attr_celeba.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_chapter_measures_on_files_of_celebas_form(celeba, photographs, code, monkeypatch):
    photographs.check_celeba(celeba)
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(celeba))
    small = {
        "data_set": "celeba", "n_networks": 2, "n_latent": 8, "n_atoms": 16, "sparsity": 2,
        "codes_per_atom": 10, "n_unseen": 20, "n_epochs": 5, "size": 32, "N_INPUTS": 40,
    }  # fmt: skip
    values, about = photographs.measured(photographs.with_values(code, small))
    assert about["factors"] == 3 and about["legible"] >= 1 and about["pictures"] == [160, 40]
    assert all(np.isfinite(found).all() for kinds in values.values() for found in kinds.values())


def _remove(home):
    (home / "list_attr_celeba.txt").unlink()


def _spoil_list(home):
    (home / "list_attr_celeba.txt").write_text("1\nMale Smiling\n000000.jpg 1\n")


def _remove_picture(home):
    (home / "img_align_celeba" / "000007.jpg").unlink()


def _spoil_picture(home):
    (home / "img_align_celeba" / "000007.jpg").write_bytes(b"not a picture")


def _shrink_picture(home):
    from PIL import Image

    Image.new("RGB", (64, 64)).save(home / "img_align_celeba" / "000007.jpg")


@pytest.mark.parametrize(
    "spoil, message",
    [
        (_remove, "there is no file .*list_attr_celeba.txt"),
        (_spoil_list, "must have a name and 2 times 1 or -1 on each line"),
        (_remove_picture, "there is no file .*000007.jpg"),
        (_spoil_picture, "000007.jpg is not a picture"),
        (_shrink_picture, "000007.jpg must be 178 x 218 pixels, got 64 x 64"),
    ],
)
def test_other_folders_are_refused_in_one_sentence(spoil, message, celeba, photographs):
    spoil(celeba / "celeba")
    with pytest.raises(SystemExit, match=message) as caught:
        photographs.check_celeba(celeba)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("run", ["olivetti", "celeba"])
def test_photographs_on_file_need_a_folder(run, photographs, monkeypatch, capsys):
    monkeypatch.delenv("HB_FACES", raising=False)
    with pytest.raises(SystemExit):
        photographs.main([run])
    assert "needs --folder, or HB_FACES" in capsys.readouterr().err
