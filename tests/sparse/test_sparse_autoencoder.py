
import numpy as np
import pytest

from hblib import sparse
from hblib.sparse import TopKAutoencoder, _sparse_autoencoder


def test_scikit_learns_checks():
    from sklearn.utils.estimator_checks import check_estimator

    check_estimator(TopKAutoencoder(n_iter=2), on_skip=None)


@pytest.fixture(scope="module")
def planted():
    """Non-negative codes of 3 atoms of 32 in 24 dimensions, moved off the origin."""
    rng = np.random.default_rng(0)
    truth = sparse.random_dictionary(32, 24, rng)
    codes = np.abs(sparse.sparse_signals(truth, 6000, 3, rng)[1])
    X = codes @ truth + 2.0
    return X.astype(np.float32), truth


@pytest.fixture(scope="module")
def model(planted):
    return TopKAutoencoder(32, 3, 60, learning_rate=4e-3, random_state=0).fit(planted[0])


def test_forward_pass_is_the_formula(model, planted):
    X, _ = planted
    activations = np.maximum((X[:50] - model.mean_) @ model.encoder_.T + model.encoder_bias_, 0)
    weakest = np.sort(activations, axis=1)[:, [-3]]
    expected = np.where(activations >= weakest, activations, 0)
    codes = model.transform(X[:50])
    np.testing.assert_allclose(codes.toarray(), expected, atol=1e-5)
    np.testing.assert_allclose(
        model.inverse_transform(codes), expected @ model.components_ + model.mean_, atol=1e-4
    )


def test_codes_are_positive_few_and_in_falling_order(model, planted):
    codes = model.transform(planted[0])
    assert codes.data.min() > 0
    counts = np.diff(codes.indptr)
    assert counts.max() == 3
    full = codes.data[np.repeat(counts == 3, counts)].reshape(-1, 3)
    assert (np.diff(full, axis=1) <= 0).all()


def test_atoms_are_unit_rows_and_near_the_planted_ones(model, planted):
    X, truth = planted
    np.testing.assert_allclose(np.linalg.norm(model.components_, axis=1), 1, atol=1e-5)
    # The atoms of a random dictionary of this size have |cosine| about 0.5 with the nearest one.
    assert sparse.mean_max_cosine(sparse.random_dictionary(32, 24, 1), truth) < 0.6
    assert sparse.mean_max_cosine(model.components_, truth) > 0.85


def test_a_pursuit_on_the_same_atoms_leaves_less_than_the_encoder(model, planted):
    X, _ = planted
    centred = X - model.mean_
    amortised = sparse.unexplained(centred, model.transform(X), model.components_)
    pursued = sparse.batch_omp(centred, model.components_, 3, positive=True)
    assert sparse.unexplained(centred, pursued, model.components_) < amortised < 0.35


def test_history_falls_and_counts_dead_atoms(model):
    assert model.history_["residual"].shape == model.history_["dead"].shape == (60,)
    assert model.history_["residual"][-1] < 0.5 * model.history_["residual"][0]
    assert 0 <= model.history_["dead"].min() and model.history_["dead"].max() < 32


def test_an_atom_chosen_with_coefficient_zero_is_dead():
    """In constant signals there is nothing to code: every proposal is zero."""
    for value in (1.0, 0.1):  # the mean of the second is rounded
        X = np.full((100, 8), value)
        model = TopKAutoencoder(8, 3, 2, batch_size=20, random_state=0).fit(X)
        assert model.history_["dead"].tolist() == [8, 8]
        assert model.transform(np.full((5, 8), model.mean_)).nnz == 0
        np.testing.assert_allclose(model.mean_, value, rtol=1e-14)


def test_gradients_of_the_sparse_steps_are_those_of_the_dense_formula():
    import torch

    torch.manual_seed(0)
    D, W, b = torch.randn(20, 8), torch.randn(20, 8), torch.randn(20)
    x = torch.randn(30, 8)
    gradients = []
    for dense in (True, False):
        parameters = [p.clone().requires_grad_() for p in (D, W, b)]
        if dense:
            activations = torch.relu(x @ parameters[1].T + parameters[2])
            top, where = activations.topk(4, dim=1)
            fit = torch.zeros_like(activations).scatter(1, where, top) @ parameters[0]
        else:
            where, weights = _sparse_autoencoder._encode(x, parameters[1], parameters[2], 4)
            fit = _sparse_autoencoder._decode(where, weights, parameters[0])
        (x - fit).square().sum().backward()
        gradients.append([p.grad for p in parameters])
    for one, other in zip(*gradients):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "dtype, scale",
    [(np.float32, 64), (np.float32, 1e18), (np.float32, 1e-30), (float, 1e200), (float, 1e-200)],
)
def test_scale_of_the_signals_does_not_matter(planted, dtype, scale):
    X, scale = planted[0][:1000].astype(dtype), dtype(scale)
    one = TopKAutoencoder(32, 3, 2, random_state=0).fit(X)
    other = TopKAutoencoder(32, 3, 2, random_state=0).fit(scale * X)
    np.testing.assert_allclose(one.components_, other.components_, atol=1e-4)
    np.testing.assert_allclose(other.mean_ / scale, one.mean_, rtol=1e-4)
    np.testing.assert_allclose(other.encoder_bias_ / scale, one.encoder_bias_, atol=1e-4)
    assert np.abs(one.encoder_bias_).max() > 1e-3
    assert np.isfinite(other.transform(scale * X).data).all()


def test_signals_far_from_the_origin_lose_no_digits(planted):
    """The mean is subtracted in double precision, before signals become single."""
    X = planted[0][:1000].astype(float)
    near = TopKAutoencoder(32, 3, 2, random_state=0).fit(X)
    far = TopKAutoencoder(32, 3, 2, random_state=0).fit(X + 1e8)
    np.testing.assert_allclose(far.history_["residual"], near.history_["residual"], rtol=1e-5)
    np.testing.assert_allclose(far.components_, near.components_, atol=1e-4)
    np.testing.assert_allclose(far.mean_ - 1e8, near.mean_, atol=1e-4)
    left = [
        np.mean((Z - model.inverse_transform(model.transform(Z))) ** 2)
        for model, Z in ((near, X), (far, X + 1e8))
    ]
    assert left[1] == pytest.approx(left[0], rel=1e-4) and left[0] > 0.01


def test_tensors_and_frames_are_learned_from_like_arrays(planted):
    import pandas as pd
    import torch

    X = planted[0][:500]
    expected = TopKAutoencoder(32, 3, 1, random_state=0).fit(X)
    for signals in (torch.from_numpy(X).requires_grad_(), pd.DataFrame(X)):
        model = TopKAutoencoder(32, 3, 1, random_state=0).fit(signals)
        np.testing.assert_array_equal(model.components_, expected.components_)
        codes = model.transform(signals)
        np.testing.assert_array_equal(codes.toarray(), expected.transform(X).toarray())
    half = torch.from_numpy(X).bfloat16()
    assert TopKAutoencoder(32, 3, 1).fit(half).components_.dtype == np.float32
    names = model.get_feature_names_out()
    assert len(names) == 32 and names[0] == "topkautoencoder0"


def test_a_seed_repeats_itself_and_leaves_torchs_generator_alone(planted):
    import torch

    X, _ = planted
    before = torch.get_rng_state()
    fits = [TopKAutoencoder(32, 3, 1, random_state=s).fit(X).components_ for s in (1, 1, 2)]
    assert torch.equal(before, torch.get_rng_state())
    np.testing.assert_array_equal(fits[0], fits[1])
    assert np.abs(fits[0] - fits[2]).max() > 0.1


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"n_components": 7000}, "n_samples=6000 signals, fewer than n_components=7000 atoms"),
        ({"n_components": 32.0}, "n_components must be a whole number of at least 1, got 32.0"),
        ({"sparsity": 25}, "sparsity must be a whole number from 1 to 24"),
        ({"n_iter": 2.0}, "n_iter must be a whole number of at least 1, got 2.0"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"learning_rate": 0}, "learning_rate must be above 0, got 0"),
    ],
)
def test_bad_parameters_get_a_sentence(planted, change, sentence):
    with pytest.raises(ValueError, match=sentence):
        TopKAutoencoder(**{"n_components": 32, "sparsity": 3} | change).fit(planted[0])
