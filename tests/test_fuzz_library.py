"""Every public function of hblib refuses a bad argument with a sentence that names it.

Each function stands in the table of its room with arguments that are right; one argument at a time
is made wrong, by a kind of fault that its good value suggests. A fault is answered by a ValueError
or a TypeError whose sentence names the parameter (or by NumPy's and scikit-learn's own, see
`THEIRS`), never by another exception or by a number. What is unusual but not wrong (a layer of
zeros, integers for floats) is answered by that or by a finite result. `LEFT` lists what is not yet
so, and why.
"""

import dataclasses
import importlib
import re
import sys
import warnings
import zlib
from functools import partial

import numpy as np
import pytest

normal = np.random.default_rng

# --- right arguments ------------------------------------------------------------------------------
#
# One function for each room, which gives the arguments of its functions by name. `_via` is for what
# needs more than a call: how it is called stands before the arguments.

CALL = "how it is called"


def _via(call, **arguments):
    return {CALL: call, **arguments}


def _layers():
    """Two layers of thirty samples, and labels."""
    return normal(0).normal(size=(30, 4)), normal(1).normal(size=(30, 3)), np.arange(30) % 3


def _claims():
    x = normal(0).normal(size=30)
    return {
        "confidence_interval": dict(x=x, aggregate="mean", level=0.95, where="x"),
        "num": dict(x=1.5, fmt=".2g"),
    }


def _figures():
    X = _layers()[0]
    return {
        "digit_gallery": dict(images=normal(0).random((2, 3, 8, 8)), row_titles=["a", "b"]),
        "log_curves": dict(curves={"a": np.abs(X[:, 0])}, ylabel="y", xlabel="x", threshold=0.1),
        "dot_plot": dict(
            labels=["a", "b"],
            estimates=np.array([0.1, 0.2]),
            intervals=np.array([[0.0, 0.2], [0.1, 0.3]]),
            xlabel="x",
            reference=0.0,
        ),
    }


def _worlds():
    from hblib import worlds

    X = _layers()[0]
    images = normal(4).random((12, 16, 16, 3))
    facts = [worlds.Facts("cat", "kitchen"), worlds.Facts("dog", "street")]
    speaker = worlds.draw_speakers(1, 0)[0]
    spoken = worlds.draw_speech(2, 1, rng=0)

    def wikipedia(**arguments):
        # Reading the articles takes seconds; faults are found before that.
        right = {"n_words": 20, "window": 1, "weights": "uniform"}
        return None if arguments == right else worlds.wikipedia(**arguments)

    return {
        "complete_facts": dict(facts=facts[0], rng=0),
        "checksum": dict(name="digits"),
        "describe": dict(name="digits"),
        "digits": dict(scale=True),
        "draw_caption": dict(facts=facts[0], rng=0),
        "draw_face_factors": dict(n=2, rng=0),
        "draw_faces": dict(n=2, rng=0, size=16),
        "draw_matrices": dict(
            n_rows=6, n_columns=5, rank=2, rng=0, noise=0.1, kind="gaussian", batch=2
        ),
        "draw_phones": dict(rng=0, n_words=1),
        "draw_scenes": dict(n=2, rng=0, n_captions=1),
        "draw_letters": dict(n=3, rng=0, names="AB", size=12),
        "draw_speakers": dict(n=2, rng=0),
        "draw_speech": dict(n_speakers=1, n_utterances=1, rng=0, noise=0.01, context=1),
        "gallery": dict(rows=[images[:2]], row_titles=["drawn"], gap=1),
        "load": dict(name="digits"),
        "load_aligned_speech": dict(path="no such file", context=1),
        "load_faces": dict(name="generated", n=2, rng=0, size=16),
        "log_mel": dict(waveform=normal(0).normal(size=1600)),
        "mirror_factors": dict(factors=worlds.draw_face_factors(2, 0)),
        "montage": dict(images=images, n_columns=3, gap=1),
        "parse_caption": dict(caption="a cat in a kitchen"),
        "png_url": dict(picture=images[0], n_colours=16),
        "render_faces": dict(factors={"smile": np.array([-1.0, 1.0])}, size=16),
        "render_scenes": dict(facts=facts, rng=0),
        "salient_statements": dict(facts=facts[0]),
        "situations": dict(),
        "spatial_frequency": dict(changes=images),
        "speech_features": dict(
            utterance=spoken.utterances[0], mean=spoken.mean[0], std=spoken.std[0], context=1
        ),
        "split_speakers": dict(speech=spoken, n_test=1, rng=0),
        "ssim": dict(images=images, others=images, window=7, data_range=1.0),
        "stack_frames": dict(frames=X, utterance=np.arange(30) // 10, context=1),
        "statements": dict(facts=facts[0]),
        "synthesise": dict(phones="sil iy sil", speaker=speaker, rng=0, noise=0.01),
        "target_formants": dict(group="man"),
        "wikipedia": _via(wikipedia, n_words=20, window=1, weights="uniform"),
    }


def _rotation():
    import torch

    from hblib import rotation

    X, Y, _ = _layers()
    square = rotation.haar(4, 0, det=1)
    M = normal(6).normal(size=(5, 4))
    problem = rotation.Problem(M)
    A, B = rotation.initial_factors("gaussian", 2, M.shape, 2)
    start = dict(problem=problem, A0=A, B0=B)
    gd = rotation.update_rule("gd")
    random = dict(k=3, rng=0, size=2)
    return {
        "Muon": _via(
            lambda **options: rotation.Muon([torch.eye(2, requires_grad=True)], **options),
            lr=0.1,
            momentum=0.9,
        ),
        "Parameters": dict(A=A, B=B),
        "Problem": dict(
            M=M,
            error="squared",
            weights=np.ones((5, 4)),
            l2=0.1,
            l1=0.1,
            hidden="tanh",
            twins=1,
        ),
        "admissible_rotations": dict(
            theta0=np.concatenate([A, B], axis=2),
            rotations=rotation.haar(2, 0, 5),
            half_width=2.0,
            level=0.95,
        ),
        "classify_defects": dict(
            defect64=np.array([2e-15, 1e-15]), defect32=np.array([1e-6, 1e-6]), floor64=0.0
        ),
        "draw_mini_tasks": dict(kind="rows", shape=(5, 4), size=2, n_tasks=3, rng=0),
        "equivariance_defect": start | dict(U=np.eye(2), n_steps=3, lr=0.1),
        "factorisation_error": dict(problem=problem, A=A, B=B),
        "factorisation_gradient": dict(problem=problem, A=A, B=B, step=0),
        "fractional_power": dict(Q=square, t=0.5),
        "haar": random | dict(det=1),
        "imbalance": dict(A=A, B=B),
        "imbalance_drift": start | dict(lrs=np.array([0.1, 0.2]), time=0.4),
        "initial_factors": dict(
            kind="gaussian", k=2, shape=(5, 4), n_seeds=2, scale=0.5, rng=0
        ),
        "invariance_defect": dict(problem=problem, A=A, B=B, U=np.eye(2)),
        "is_orthogonal": dict(Q=square, atol=1e-8),
        "kurtosis": dict(X=X),
        "map_deviation": dict(A1=A, A2=A),
        "newton_schulz": dict(G=torch.tensor(X), steps=2),
        "permutation": random,
        "plane_rotation": dict(theta=0.1, k=4, rng=0, size=2, n_planes=1),
        "positive_scaling": random,
        "predicted_deviation": dict(
            solution1=(A, B), solution2=(A, B), Q1=rotation.imbalance(A, B), Q2=None
        ),
        "principal_angles": dict(X=X, Y=Y),
        "procrustes_rotation": dict(X=X, Y=X @ square),
        "reference_problem": dict(k=2, shape=(5, 4), noise=0.1, rng=0),
        "reflection": dict(normal=X),
        "rotation_2d": dict(theta=X[0]),
        "same_distribution": dict(X=X, Y=X + 0.1, rng=0, n_directions=3, n_permutations=9),
        "sign_flip": random,
        "signed_permutation": random,
        "symmetry_defects": start | dict(rule=gd, n_steps=2, rng=0),
        "symmetry_table": dict(
            rules=["gd"], problem=problem, k=2, n_seeds=1, n_steps=2, rng=0, n_jobs=1
        ),
        "train_factorisation": start | dict(n_steps=3, record=1, lr=0.1),
        "update_rule": dict(name="adam"),
        "varimax": dict(X=X, tol=1e-6, max_iter=200),
    }


def _similarity():
    from hblib import similarity

    X, Y, _ = _layers()
    pair = dict(X=X, Y=Y)
    measures = (
        "cca_r2", "cca_mean", "canonical_correlations", "pwcca", "linear_regression", "linear_cka",
        "debiased_cka", "procrustes_similarity", "rsa", "neuron_matching",
    )  # fmt: skip
    return {
        **dict.fromkeys(measures, pair),
        "all_pairs": dict(measure="rsa", layers=[X], others=[Y]),
        "calibrate": pair | dict(measure=similarity.linear_cka, n_permutations=3, rng=0),
        "critical_epsilons": pair,
        "identification_accuracy": dict(similarities=normal(0).random((2, 3, 3))),
        "is_match": pair | dict(epsilon=0.3, x=[0], y=[1]),
        "matching_curve": pair | dict(epsilons=np.array([0.1, 0.5])),
        "matching_similarity": pair | dict(epsilon=0.3),
        "maximum_match": pair | dict(epsilon=0.3),
        "mutual_knn": pair | dict(k=3),
        "one_position": dict(maps=normal(0).random((2, 5, 3, 4, 4)), rng=0),
        "rbf_cka": pair | dict(bandwidth=0.5),
        "svcca": pair | dict(variance=0.9),
    }


def _meaning():
    import pandas as pd

    from hblib import meaning, rotation, sparse, words, worlds

    X, Y, y = _layers()
    has = normal(3).random((30, 3)) < 0.4
    factors = normal(7).random((30, 3))
    table = pd.DataFrame({"beard": y == 1, "smile": factors[:, 0]})
    images = normal(4).random((12, 16, 16, 3))
    dictionary = sparse.random_dictionary(6, 5, 0)
    codes = sparse.batch_omp(normal(5).normal(size=(40, 5)), dictionary, 2)
    facts = [worlds.Facts("cat", "kitchen"), worlds.Facts("dog", "street")]
    said = ["a cat in a kitchen", "a dog on a street"]
    text = words.encode(["one two three four one two", "three four one two three five six"] * 3)
    statements = worlds.parse_caption(said[0])
    with_umbrella = worlds.Facts("cat", "street", extra="umbrella", extra_colour="red")
    of_axes = ("word_l1", "word_kurtosis", "unit_kurtosis", "mean_peak", "whiten")
    return {
        **dict.fromkeys(of_axes, dict(X=X)),
        "FactorReader": dict(images=images, factors=table[:12], ridge=1.0),
        "alignment_cosines": dict(X=X, Y=X @ rotation.haar(4, 0), fitted=np.arange(30) < 15),
        "attribute_table": dict(factors=table),
        "best_rank_correlation": dict(activations=X, factors=factors),
        "caption_jaccard": dict(captions=said, others=said),
        "caption_lift": dict(codes=codes[:2], says=[{"cat"}] * 6, facts=facts, n_top=1),
        "caption_quality": dict(captions=said, facts=facts),
        "caption_statements": dict(captions=said),
        "chance_level": dict(has=has, n_top=5, alpha=0.05, rng=0, n_draws=400),
        "coherence": dict(activations=X, association=X @ X.T, n_top=4),
        "correlated_atoms": dict(codes=codes, true=np.arange(40) % 2 == 0, n_best=2),
        "digit_attributes": dict(images=normal(0).random((30, 8, 8)), labels=y),
        "enrichment": dict(top=np.array([[0, 1, 2], [3, 4, 5]]), has=has),
        "frequency_corrected": dict(association=X @ X.T, counts=np.arange(30) + 1.5, n_bands=3),
        "gaussian_twin": dict(codes=X, n_samples=10, rng=0),
        "haar_test": dict(X=X, rng=0, n_rotations=19),
        "holm": dict(p=np.array([0.01, 0.04, 0.03])),
        "interpolate": dict(start=X[0], end=X[1], n_steps=3),
        "intrusion": dict(activations=X, association=X @ X.T, rng=0, n_top=3, n_draws=2),
        "measure_digits": dict(images=normal(0).random((5, 8, 8))),
        "measure_portraits": dict(images=images),
        "minimal_pairs": dict(facts=[with_umbrella], rng=0),
        "luck_of": dict(residuals=X, n_top=3, rng=0, n_draws=50),
        "name_directions": dict(activations=X, has=has, n_top=3),
        "name_one_to_one": dict(activities=X, factors=factors),
        "named_correlations": dict(
            names=meaning.name_one_to_one(X, factors), activities=X, factors=factors
        ),
        "named_by_atoms": dict(codes=codes[:2], says=[{"cat"}] * 6, things=["cat", "dog"]),
        "named_sides": dict(captions=said, one="cat", other="dog"),
        "npmi": dict(counts=words.cooccurrence(text, window=2)),
        "pair_units": dict(X=X, Y=X @ rotation.haar(4, 0)),
        "pairs_of_things": dict(),
        "plant_topic": dict(activations=X, members=np.arange(30) < 15, strength=0.5),
        "precision_at": dict(
            activations=X, has=has, attribute=np.array([0, 1, 2, 0]), n_top=3
        ),
        "random_directions": dict(codes=X, n_directions=2, rng=0),
        "rank_correlations": dict(activations=X, factors=factors),
        "shared_company": dict(counts=words.cooccurrence(text, window=2)),
        "share_enriched": dict(activations=X, has=has, n_top=3, level=1.0),
        "shuffled_rank_correlation": dict(activations=X, factors=factors, rng=0),
        "single_things": dict(n_each=1, rng=0),
        "states_count": dict(captions=said, things=["cat", "dog"], counts=["group"]),
        "superiority": dict(scores=X[:, 0], others=Y[:, 0]),
        "surplus": dict(activations=X, residuals=Y, n_top=3, luck=0.1),
        "unexplained": dict(has=has, known=X),
        "switches_abruptly": dict(side=["one", "other"]),
        "things_and_relations": dict(statements=statements),
        "top_inputs": dict(activations=X, n_top=3),
        "two_things": dict(one="cat", other="keyboard", n_each=1, rng=0),
    }


def _words():
    from hblib import rotation, words

    text = words.encode(["one two three four one two", "three four one two three five six"] * 3)
    counts = words.cooccurrence(text, window=2)
    initial = words.initial_vectors("word2vec", text.words, 2, 0)
    problem = words.DenseSkipGram(counts)
    plural = np.array(["tree", "trees", "house", "houses", "river", "rivers"])
    embedding = words.Embedding(
        plural, normal(0).normal(size=(6, 2)), normal(1).normal(size=(6, 2))
    )
    return {
        "DenseGloVe": dict(counts=counts, n_threads=1, twins=1, x_max=10.0, alpha=0.75),
        "DenseSkipGram": dict(counts=counts, n_threads=1, twins=1, n_negative=2),
        "Embedding": dict(
            words=plural, W=embedding.W, C=embedding.C, b=np.zeros(6) + 0.5, c=np.zeros(6) + 0.5
        ),
        "cooccurrence": dict(text=text, window=2, weights="harmonic"),
        "dense_loss": dict(problem=problem, embedding=initial),
        "encode": dict(documents=["one two", "two three"]),
        "glove": dict(
            counts=counts,
            initial=initial,
            rng=0,
            rule="glove",
            lr=0.05,
            epochs=1,
            x_max=10.0,
            alpha=0.75,
            bias_lr=0.05,
            n_threads=1,
        ),
        "initial_vectors": dict(
            kind="word2vec", words=text.words, dim=2, rng=0, scale=1.0, dtype="float64"
        ),
        "keep_probability": dict(counts=text.counts, threshold=0.1),
        "load_text": _via(
            lambda name: name in words.CORPORA or words.load_text(name), name="wikipedia"
        ),
        "load_vectors": dict(path="no such file"),
        "ppmi_svd": dict(counts=counts, dim=2, shift=0.0),
        "restrict": dict(text=text, n_words=4, min_count=1),
        "scrambled": dict(text=text, rng=0),
        "sgns": dict(
            text=text,
            initial=initial,
            rng=0,
            rule="sgd",
            lr=0.025,
            epochs=1,
            window=2,
            n_negative=1,
            subsample=0.5,
            n_threads=1,
        ),
        "shuffled": dict(text=text, rng=0),
        "subsample": dict(text=text, rng=0, threshold=0.1),
        "suffix_rank": dict(embedding=embedding, suffix="s", which="W", n_words=6),
        "train_dense": dict(
            problem=problem,
            initial=[initial],
            rule=rotation.update_rule("gd"),
            n_steps=2,
            record=1,
        ),
        "unit_rows": dict(X=_layers()[0]),
    }


def _sparse():
    from hblib import sparse

    D = sparse.random_dictionary(6, 5, 0)
    X = normal(5).normal(size=(40, 5))
    codes = sparse.batch_omp(X, D, 2).toarray()

    def fit(estimator):
        return lambda X, **parameters: estimator(**parameters).fit(X).components_

    of_codes = ("usage", "sign_consistency", "canonical_signs")
    learner = dict(X=X, n_components=6, sparsity=2, n_iter=1, random_state=0)
    return {
        **dict.fromkeys(of_codes, dict(codes=codes)),
        "KSVD": _via(fit(sparse.KSVD), **learner, tolerance=0.1, init=D, n_jobs=1),
        "MiniBatchKSVD": _via(
            fit(sparse.MiniBatchKSVD), **learner, batch_size=20, tolerance=0.1, init=D, n_jobs=1
        ),
        "TopKAutoencoder": _via(
            fit(sparse.TopKAutoencoder), **learner, batch_size=20, learning_rate=0.01
        ),
        "atoms_found": dict(learn=lambda X, init: init, snr=20.0, n_trials=1, rng=0, n_jobs=1),
        "atoms_recovered": dict(learned=D, truth=D, tolerance=0.01),
        "batch_omp": dict(X=X, dictionary=D, sparsity=2, tolerance=0.1, n_jobs=1),
        "best_cosines": dict(learned=D, truth=D),
        "largest": dict(codes=codes, n_atoms=1),
        "learn_by_ksvd": dict(X=X, init=D, sparsity=2, n_iter=1),
        "learn_by_mod": dict(X=X, init=D, sparsity=2, n_iter=1),
        "learn_by_scikit_learn": dict(X=X, init=D, alpha=0.15, n_iter=1),
        "mean_max_cosine": dict(learned=D, truth=D),
        "mutual_coherence": dict(dictionary=D),
        "random_dictionary": dict(n_atoms=6, n_features=5, rng=0),
        "sparse_signals": dict(dictionary=D, n_samples=5, sparsity=2, rng=0, snr=20.0),
        "support_recovery": dict(
            n_features=8, n_atoms=10, sparsities=[1, 2], n_samples=5, rng=0, snr=20.0, n_jobs=1
        ),
        "unexplained": dict(X=X, codes=codes, dictionary=D),
        "welch_bound": dict(n_atoms=6, n_features=5),
    }


def _grid():
    import torch

    from hblib import grid, models

    X, _, y = _layers()
    H = np.abs(normal(2).normal(size=(30, 16))) + 0.1
    shape, sigma = (4, 4), 1.5
    cells = np.asarray(grid.lattice(shape), dtype=float)
    centres = np.asarray(grid.ring_centres(3, shape), dtype=float)
    maps = H[:3]
    masks = grid.regions(cells, centres, 1.5)
    nets = models.Networks(models.MLP((16,)), 4, 3, [0, 1])
    placed = dict(positions=cells, centres=centres, sigma=sigma)

    def suppress(**arguments):
        with grid.suppressed(nets.hidden, **arguments):
            pass

    return {
        "GaussianGrid": placed | dict(shape=shape, kind="kl", learn="units"),
        "LayerPenalty": _via(
            lambda **k: grid.LayerPenalty(nets.hidden, **k).remove(),
            terms=partial(grid.adjacency_penalty, shape=shape),
            weight=0.1,
        ),
        "ablation": dict(model=nets, layers=nets.hidden, X=X, y=y, masks=masks),
        "adjacency_penalty": dict(H=H, shape=shape),
        "arrange_units": dict(H=H, shape=shape, rng=0, n_starts=2),
        "assign_units": dict(H=H, y=y, shape=shape, centres=centres, sigma=sigma, kind="kl"),
        "best_response": dict(P=torch.tensor(maps), knowledge=0.5),
        "blur_penalty": dict(W=H.T, shape=shape, factor=2.0, eps=1e-8),
        "by_readout": dict(H=H, W=normal(0).normal(size=(3, 16))),
        "centroids": dict(maps=maps, positions=cells),
        "class_information": dict(maps=maps, prior=np.array([0.2, 0.3, 0.5])),
        "class_maps": dict(H=H, y=y),
        "coordinate_gradient": placed | dict(Q=maps, kind="kl", learn="units"),
        "decode_classes": dict(H=H, masks=masks),
        "gradient_flow": placed | dict(times=np.array([0.0, 1.0]), kind="kl", learn="units"),
        "inward": dict(positions=cells, gradient=cells + 1.0, centre=centres[0]),
        "lattice": dict(shape=shape),
        "linear_response": dict(centres=centres, sigma=sigma, Q=maps),
        "log_surfaces": placed,
        "morans_i": dict(maps=maps, shape=shape),
        "random_masks": dict(masks=masks, rng=0),
        "regions": dict(positions=cells, centres=centres, radius=1.5),
        "ring_centres": dict(n_classes=3, shape=shape, radius=0.3),
        "selectivity": dict(losses=normal(8).random((3, 3))),
        "smoothness_penalty": dict(H=H, shape=shape, eps=1e-8),
        "source_mask": placed,
        "spread": dict(points=cells),
        "suppressed": _via(suppress, masks=[np.zeros(16)]),
        "surface_penalty": dict(
            H=H, y=y, log_P=np.asarray(grid.log_surfaces(cells, centres, sigma)), kind="kl"
        ),
        "even_centres": dict(
            X=normal(0).normal(size=(40, 3)), y=np.arange(40) % 4, shape=shape, rng=0
        ),
        "tsne_centres": dict(
            X=normal(0).normal(size=(40, 3)), y=np.arange(40) % 4, shape=shape, rng=0, fill=0.9
        ),
        "uniform_positions": dict(n_points=5, shape=shape, rng=0, size=2),
        "uniform_response": dict(P=torch.tensor(maps)),
    }


def _models():
    import torch

    from hblib import grid, models

    X, _, y = _layers()
    images = normal(4).random((12, 16, 16, 3))
    tree = models.tree_from_captions(["a cat in a kitchen", "a dog on a street"])
    nets = models.Networks(models.MLP((16,)), 4, 3, [0, 1])

    def lay_out(X, y):
        penalty = grid.LayerPenalty(
            nets.hidden, grid.GaussianGrid((4, 4), grid.ring_centres(3, (4, 4)), 1.0)
        )
        try:
            return models.lay_out_units(nets, penalty, X, y)
        finally:
            penalty.remove()

    def write(codes):
        return ["a cat"] * len(codes)

    return {
        "CNN": dict(channels=(2, 2), pool_after=1, activation="relu"),
        "MLP": dict(widths=(4, 4), activation="relu"),
        "Networks": dict(
            architecture=models.MLP((4,)),
            input_shape=4,
            n_classes=3,
            seeds=[0, 1],
            initialisation="normal",
        ),
        "activations": dict(
            model=torch.nn.Linear(4, 2), inputs=X.astype(np.float32), batch_size=8
        ),
        "draw_tree": dict(tree=tree, title="Cats", width=680.0, least=0.02),
        "lay_out_units": _via(lay_out, X=X, y=y),
        "load_autoencoder": dict(path="no such file"),
        "load_captioner": dict(path="no such file"),
        "load_codes": dict(codes=X, write=write),
        "show_trees": dict(trees={"Cats": tree}, caption="Two captions.", least=0.02),
        "train_autoencoders": dict(
            X=normal(0).normal(size=(30, 6)), seeds=[0], kind="plain", n_latent=2, width=4,
            n_epochs=1, batch_size=10, learning_rate=0.01, noise=0.5,
        ),
        "train_autoencoder": dict(
            images=images, n_latent=3, channels=(4,), patch=8, n_epochs=1, batch_size=6, rng=0
        ),
        "train_networks": dict(
            architecture=models.MLP((4,)),
            X=X,
            y=y,
            seeds=[0, 1],
            optimiser="adam",
            learning_rate=0.01,
            epochs=1,
            batch_size=10,
            initialisation="normal",
        ),
        "train_shallow": dict(
            architecture=models.MLP((4,)),
            X=X,
            y=y,
            seeds=[0, 1],
            optimiser="adam",
            learning_rate=0.01,
            epochs=1,
            batch_size=10,
        ),
        "tree_branches": dict(tree=tree),
        "tree_from_captions": dict(captions=["a cat in a kitchen", "a dog on a street"]),
        "tree_sentences": dict(tree=tree),
        "tree_text": dict(tree=tree, least=0.01),
    }


def _probe():
    import torch

    from hblib.models import language

    X = _layers()[0].astype(np.float32)
    sizes = language.Sizes(1, 16, 2, 1, 8, 32, 50)
    torch.manual_seed(0)
    network = dict(
        model=torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2)),
        first="0",
        second="2",
    )
    return {
        "activations": dict(
            model=torch.nn.Linear(4, 2), inputs=X, side="after", positions="flat", batch_size=8
        ),
        "alike": dict(X=X, Y=X[:, :3] + 1, rng=0, n_permutations=19, max_samples=30, alpha=0.05),
        "alike_pairs": dict(
            layers={"a": X}, others={"b": X}, rng=0, measure="linear_cka", n_permutations=19
        ),
        "streamed_gram": dict(X=X, Y=X[:, ::-1], batch_size=8),
        "streamed_cka": dict(X=X, Y=X[:, ::-1], batch_size=8),
        "attributes_of": dict(labels=np.arange(30) % 3, n_samples=30),
        "few_atoms": dict(
            H=X, sparsity=2, rng=0, n_atoms=6, n_seeds=3, untrained=X, max_samples=30, n_iter=2
        ),
        "layer_symmetry": dict(**network, inputs=X, rng=0, n_draws=1),
        "load": dict(path="no such file"),
        "load_labels": dict(path="no such file"),
        "marked_axes": dict(H=X, rng=0, n_rotations=19, max_samples=30, max_units=4, alpha=0.05),
        "residual_symmetry": dict(
            model=language.random_model(sizes, rng=0), tokens=np.array([5, 7, 9]), rng=0
        ),
        "training_symmetry": dict(
            **network,
            optimiser=torch.optim.SGD,
            inputs=X,
            targets=np.arange(30) % 2,
            rng=0,
            kind="permutation",
            n_steps=2,
            n_draws=1,
        ),
        "transformed": dict(**network, G=np.eye(3)),
        "unequal_variance": dict(X=X),
        "unit_meaning": dict(
            H=X, labels=np.arange(30) % 3, rng=0, n_top=5, n_draws=19, max_units=4, alpha=0.05
        ),
    }


ROOMS = {
    "claims": _claims, "figures": _figures, "worlds": _worlds, "rotation": _rotation,
    "similarity": _similarity, "meaning": _meaning, "words": _words, "sparse": _sparse,
    "grid": _grid, "models": _models, "probe": _probe,
}  # fmt: skip

# --- what cannot be in the table ------------------------------------------------------------------

RECORD = "a record that functions of the table return"
MARKUP = "takes any text or any record, tested in test_claims.py"
NOT_CALLED = {
    "claims.Finding": RECORD,
    "claims.Output": MARKUP,
    "claims.Record": "made by check",
    "claims.Summary": RECORD,
    "claims.card_anchor": MARKUP,
    "claims.card_html": MARKUP,
    "claims.check": "takes a registered claim, tested in test_claims.py",
    "claims.kind_of": MARKUP,
    "claims.ledger_anchor": MARKUP,
    "claims.load_register": "takes a file, see test_fuzz_inputs.py",
    "claims.mime": MARKUP,
    "claims.registered_hash": "takes an entry of the register, see test_fuzz_inputs.py",
    "claims.shown": "takes a cell",
    "claims.stored": "keeps anything",
    "claims.summary": "takes the register, tested in test_claims.py",
    "claims.summary_html": MARKUP,
    "claims.text_to_html": MARKUP,
    "claims.validate_criterion": "checks the register, see test_fuzz_inputs.py",
    "claims.varying": MARKUP,
    "figures.echo": "shows anything",
    "figures.explorable": "takes data for a script, see test_plotting.py",
    "figures.show": "takes a figure, see test_plotting.py",
    "figures.table": "takes a table of anything, see test_plotting.py",
    "figures.use_style": "has no parameter",
    "probe.Answer": RECORD,
    "probe.MiniLM": "needs a wheel that readers install, see test_minilm.py",
    "models.Autoencoder": "made by train_autoencoder and load_autoencoder",
    "models.AutoencoderSettings": "checked by train_autoencoder",
    "models.Autoencoders": "made by train_autoencoders",
    "models.CaptionTree": RECORD,
    "models.Captioner": "made by train_captioner and load_captioner",
    "models.LoadedCaptioner": "made by load_codes",
    "models.expand_tree": "takes a trained captioner, see test_caption_trees.py",
    "models.load_hugging_face": "needs a package that readers install",
    "models.train_captioner": "takes captioned pictures and minutes, see test_captioner.py",
    "rotation.MiniTasks": RECORD,
    "rotation.Step": "a type",
    "rotation.TrainingRun": RECORD,
    "rotation.UpdateRule": RECORD,
    "rotation.descent_rule": "makes rules of training",
    "rotation.gradient_descent": "a rule of training, run by train_factorisation",
    "rotation.surviving_group": "takes the table of symmetry_defects",
    "similarity.Calibrated": RECORD,
    "similarity.CriticalEpsilons": RECORD,
    "similarity.Match": RECORD,
    "similarity.Measure": RECORD,
    "meaning.Names": RECORD,
    "meaning.AlignmentCosines": RECORD,
    "meaning.Enrichment": RECORD,
    "meaning.Naming": RECORD,
    "worlds.Statement": RECORD,
    "meaning.Surplus": RECORD,
    "meaning.TopInputs": RECORD,
    "words.Analogies": RECORD,
    "words.Cooccurrence": RECORD,
    "words.Text": RECORD,
    "words.analogies": "has a switch for its only parameter, and fetches a file",
    "words.from_keyed_vectors": "takes gensim's object",
    "words.word_and_matrix_adagrad": "a rule of training, run by train_dense",
    "worlds.Analogies": RECORD,
    "worlds.Cooccurrence": RECORD,
    "worlds.Digits": RECORD,
    "worlds.Face": RECORD,
    "worlds.AlignedSpeech": RECORD,
    "worlds.Faces": RECORD,
    "worlds.Factor": RECORD,
    "worlds.Facts": RECORD,
    "worlds.Letters": RECORD,
    "worlds.Matrices": RECORD,
    "worlds.Phone": RECORD,
    "worlds.Scenes": RECORD,
    "worlds.Speaker": RECORD,
    "worlds.Speech": RECORD,
    "worlds.Text": RECORD,
    "worlds.Utterance": RECORD,
    "worlds.analogies": "has a switch for its only parameter, and fetches a file",
    "worlds.catalogue": "has no parameter",
    "worlds.mel_filterbank": "has no parameter",
    "worlds.scene_cooccurrence": "has no parameter",
    "worlds.wikipedia_text": "has no parameter",
    "worlds.wikipedia_titles": "has no parameter",
    "worlds.word_lists": "has no parameter",
}

# --- faults ---------------------------------------------------------------------------------------

FREE_TEXT = {"title", "caption", "xlabel", "ylabel", "label", "phones", "suffix", "path", "where"}
# These may give a result: they are unusual, not wrong. It must hold no NaN.
UNUSUAL = {"zeros", "constant", "integers", "one row", "one row more", "no rows", "one dimension"}
# Of two arguments that do not fit together the sentence may blame the other.
MISMATCHED = UNUSUAL - {"no rows", "integers"}
THEIRS = {
    "text": r"could not convert string|array of bytes/strings|dtype='numeric'"  # NumPy, sklearn
    r"|cannot be used to seed a numpy.random.RandomState",
    # What scikit-learn's checks of an estimator want to read.
    "one dimension": r"Expected 2D array, got 1D array",
    "no rows": r"Found array with 0 sample\(s\)",
    "fraction": r"cannot be used to seed a numpy.random.RandomState",
}


def _wrong_texts(rng):
    return ["".join(map(chr, rng.integers(33, 127, size=rng.integers(1, 9)))) + "?" for _ in "ab"]


def _spoilt(array, value, rng):
    """The array with one entry replaced."""
    bad = np.array(array, dtype=float)
    bad.flat[rng.integers(bad.size)] = value
    return bad


def _faults(name, good, rng):
    """Kind of fault to wrong values, as the good value of an argument suggests."""
    if name in ("rng", "random_state"):
        return {"text": _wrong_texts(rng), "fraction": [0.5]}
    if isinstance(good, bool) or name in FREE_TEXT:
        return {}
    if isinstance(good, str):
        return {"unknown name": _wrong_texts(rng)}
    if isinstance(good, int | np.integer):
        if name == "n_jobs":  # negative numbers count from the last core, as in joblib
            return {"fraction": [1.5], "NaN": [np.nan], "text": _wrong_texts(rng)}
        return {
            "negative": [-2, int(rng.integers(-(10**6), -2))],
            "fraction": [good + 0.5, good + float(rng.uniform(0.1, 0.9))],
            "NaN": [np.nan],
            "text": _wrong_texts(rng),
        }
    if isinstance(good, float):
        return {"NaN": [np.nan], "text": _wrong_texts(rng)}
    torch = sys.modules.get("torch")
    if torch and isinstance(good, torch.Tensor):
        nan = good.clone()
        nan.flatten()[0] = np.nan
        return {"NaN": [nan], "no rows": [good[:0]], "zeros": [torch.zeros_like(good)]}
    if not (isinstance(good, np.ndarray) and good.dtype.kind in "biuf"):
        return {}
    faults = {
        "text": [np.full(good.shape, "x")],
        "no rows": [good[:0]],
        "NaN": [_spoilt(good, np.nan, rng) for _ in range(2)],
    }
    if good.ndim > 1:
        faults["one dimension"] = [good.ravel()[: len(good)]]
    if good.dtype.kind == "f":
        faults |= {
            "infinite": [_spoilt(good, sign * np.inf, rng) for sign in (1, -1)],
            "zeros": [np.zeros_like(good)],
            "constant": [np.ones_like(good)],
            "integers": [np.rint(good).astype(int)],
            "one row": [good[:1]],
            "one row more": [np.concatenate([good, good[:1]])],
        }
    elif good.dtype.kind in "iu":
        faults |= {"fractions": [good + 0.5], "negative": [good - good.max() - 2]}
    return faults


def _floats(result):
    """All real numbers in a result, one array for each part."""
    import pandas as pd
    import scipy.sparse as sp
    import torch

    if isinstance(result, torch.nn.Module):
        result = list(result.parameters())
    if isinstance(result, torch.Tensor):
        result = result.detach().numpy()
    if sp.issparse(result):
        result = result.data
    if isinstance(result, pd.DataFrame):
        result = result.select_dtypes("number").to_numpy()
    if isinstance(result, np.ndarray | float | np.floating):
        array = np.asarray(result)
        return [array] if array.dtype.kind == "f" else []
    if isinstance(result, dict):
        result = list(result.values())
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        result = [getattr(result, f.name) for f in dataclasses.fields(result)]
    if isinstance(result, list | tuple):
        return [array for part in result for array in _floats(part)]
    return []


def _finite(result):
    return all(np.isfinite(array).all() for array in _floats(result))


def _problem(function, arguments, parameter, kind, base):
    """What is wrong with the answer to a fault, or None."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = function(**arguments)
        except (ValueError, TypeError) as error:
            named = set(arguments) if kind in MISMATCHED else {parameter}
            theirs = re.search(THEIRS.get(kind, "$ "), str(error))
            if theirs or (" " in str(error) and named & set(re.findall(r"\w+", str(error)))):
                return None
            return f"{type(error).__name__} that does not name it: {error!s:.150}"
        except Exception as error:
            return f"{type(error).__name__}: {error!s:.150}"
    if kind in UNUSUAL:
        return None if not base or _finite(result) else "not finite"
    # NaN from NaN is honest; a number is not.
    return None if kind in ("NaN", "infinite") and not _finite(result) else "accepted"


def _table(room):
    """Name -> function and its right arguments."""
    module = importlib.import_module(f"hblib.{room}")
    for name, case in ROOMS[room]().items():
        arguments = dict(case)
        yield name, arguments.pop(CALL, None) or getattr(module, name), arguments


# What is still answered otherwise, as "room.function" -> fault -> why. The list may only become
# shorter: what is on it and is answered well now is taken off it.
OPEN = "an end may be open"
RANKED = "an infinite score has a rank like any other"
KINDS = "classes are told apart, not counted"
UNDEFINED = "NaN says that it is not defined, as the docstring does"
LEFT = {
    "claims.num": {"x: NaN": "a measurement may be NaN, and is shown as such"},
    "figures.dot_plot": {"intervals: NaN": OPEN, "intervals: infinite": OPEN},
    "grid.ablation": {"X: one dimension": "only the model knows what it can take"},
    "grid.uniform_response": {"P: NaN": "it is of the shape of P, whatever P is"},
    "meaning.superiority": {"scores: infinite": RANKED, "others: infinite": RANKED},
    "meaning.surplus": {"activations: zeros": UNDEFINED, "activations: constant": UNDEFINED},
    "models.activations": {"inputs: one dimension": "only the model knows what it can take"},
    "probe.alike": {"X: integers": UNDEFINED, "Y: integers": UNDEFINED},
    "probe.attributes_of": {"labels: negative": KINDS},
    "probe.unit_meaning": {"labels: negative": KINDS},
    "similarity.critical_epsilons": dict.fromkeys(
        ["X: zeros", "Y: zeros"], "infinite: such neurons never match, as the docstring says"
    ),
    "sparse.sign_consistency": {"codes: zeros": UNDEFINED, "codes: one row": UNDEFINED},
    "words.keep_probability": {"counts: fractions": "counts may be weighted"},
    "worlds.spatial_frequency": {"changes: zeros": UNDEFINED, "changes: constant": UNDEFINED},
    "worlds.stack_frames": {"utterance: negative": "utterances are told apart, not counted"},
}


def test_every_public_function_is_in_the_table_or_has_a_reason():
    public, table = set(), set()
    for room, cases in ROOMS.items():
        module = importlib.import_module(f"hblib.{room}")
        public |= {f"{room}.{name}" for name in module.__all__ if callable(getattr(module, name))}
        table |= {f"{room}.{name}" for name in cases()}
    assert public - table - set(NOT_CALLED) == set()
    assert (table | set(NOT_CALLED)) - public == set()
    assert not table & set(NOT_CALLED)
    assert set(LEFT) <= table


@pytest.mark.parametrize("room", ROOMS)
def test_a_wrong_argument_is_refused_by_name(room):
    import matplotlib.pyplot as plt

    new, mended = [], []
    for name, function, arguments in _table(room):
        # The right arguments are right; a file that is not there is refused when it is opened.
        base = "path" not in arguments and _finite(function(**arguments))
        rng = normal(zlib.crc32(name.encode()))
        found = {}
        for parameter, good in arguments.items():
            for kind, values in _faults(parameter, good, rng).items():
                for value in values:
                    changed = {**arguments, parameter: value}
                    if problem := _problem(function, changed, parameter, kind, base):
                        found[f"{parameter}: {kind}"] = f"{problem} ({value!r:.60})"
        plt.close("all")
        known = LEFT.get(f"{room}.{name}", {})
        new += [f"{name}, {what}: {why}" for what, why in found.items() if what not in known]
        mended += [f"{name}, {fault}" for fault in known if fault not in found]
    assert not new, "\n".join(new)
    assert not mended, "no longer wrong, take it off LEFT: " + "; ".join(mended)
