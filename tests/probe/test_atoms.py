"""Few atoms: planted dictionaries of several strengths, and clouds without any."""

import numpy as np
import pytest

from hblib import probe, sparse

normal = np.random.default_rng


def planted(noise, seed=0, n=800):
    D = sparse.random_dictionary(24, 12, rng=seed)
    X, _ = sparse.sparse_signals(D, n, 2, rng=seed + 1)
    return X + noise * X.std() * normal(seed + 2).normal(size=X.shape)


def test_planted_atoms_are_found_and_the_gain_falls_with_noise():
    gains = []
    for noise in (0.0, 0.4, 2.0):
        answer = probe.few_atoms(planted(noise), 2, n_atoms=24, n_seeds=3, n_iter=15)
        gains.append(answer.estimate)
        assert answer.holds == (noise < 1) or noise == 0.4, (noise, answer.sentence)
    assert gains[0] > gains[1] > gains[2]


def test_a_gaussian_cloud_is_no_sum_of_few_atoms():
    found = [
        probe.few_atoms(
            normal(i).normal(size=(400, 8)) * np.linspace(1, 3, 8), 2, i, n_seeds=3, n_iter=5
        ).holds
        for i in range(3)
    ]
    assert not any(found)


def test_units_that_are_the_atoms_are_the_hardest_comparison():
    rng = normal(0)
    H = rng.exponential(size=(600, 8)) * (rng.random((600, 8)) < 0.15)
    answer = probe.few_atoms(
        H, 2, n_atoms=8, n_seeds=3, n_iter=5, untrained=normal(1).random((600, 9))
    )
    table = answer.to_frame()
    assert not answer.holds
    assert table["unexplained"].drop(["K-SVD", "TopK autoencoder"]).idxmin() in (
        "units", "independent components",
    )  # fmt: skip
    assert "K-SVD, untrained network" in table.index
    assert answer.interval[0] < answer.estimate < answer.interval[1]


def test_what_cannot_be_asked_is_refused():
    H = normal(0).normal(size=(60, 8))
    for call, said in (
        (lambda: probe.few_atoms(H, 9), "sparsity must be"),
        (lambda: probe.few_atoms(H, 2, n_atoms=40), "at least 82 samples for 40 atoms, got 60"),
        (lambda: probe.few_atoms(H, 2, n_seeds=2), "n_seeds must be"),
        (lambda: probe.few_atoms(H[:1]), "at least 20 samples"),
        (lambda: probe.few_atoms(H, 2, untrained=np.ones((60, 3))), "untrained is constant"),
    ):
        with pytest.raises(ValueError, match=said):
            call()


def test_an_atom_for_each_training_sample_is_refused():
    H = np.random.default_rng(0).normal(size=(40, 5))
    with pytest.raises(ValueError, match="at least 42 samples for 20 atoms, got 40"):
        probe.few_atoms(H, 2, n_atoms=20)
    assert probe.few_atoms(H, 2, n_atoms=19, n_seeds=3, n_iter=1).estimate is not None
