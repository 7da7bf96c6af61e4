import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hblib import rotation, words
from hblib.words import _dense_embeddings, _embeddings
from hblib.words import _embedding_kernels as kernels

DIM = 5
SCALARS = ("sgd", "momentum", "adagrad-word", "adagrad-full", "adam-word")
COORDINATES = ("adagrad", "glove", "adam")
seeds = st.integers(0, 2**32 - 1)


def made_text(rng, n_words=12, n_documents=8, length=30):
    """Documents in which neighbours in the alphabet follow each other."""
    rng = np.random.default_rng(rng)
    docs = []
    for _ in range(n_documents):
        steps = rng.choice([-1, 0, 1, 5], length).cumsum()
        docs.append([f"word{i % n_words:02d}" for i in steps])
    return words.encode(docs)


@pytest.fixture(scope="module")
def text():
    return made_text(0)


@pytest.fixture(scope="module")
def wikipedia():
    return words.restrict(words.shuffled(words.load_text("wikipedia"), 0), n_words=800)


# --- update rules, as a reader would write them --------------------------------------------------


class Reference:
    """The rules of the kernels for one row of one matrix."""

    def __init__(self, rule, lr, shape):
        self.rule, self.lr, d = rule, lr, shape[1]
        self.M, self.S = np.zeros(shape), np.full(shape, float(rule == "glove"))
        self.n = np.zeros(shape[0])
        self.root, self.total = np.eye(d), np.zeros((d, d))

    def __call__(self, X, i, g):
        lr, M, S = self.lr, self.M, self.S
        name = self.rule.removesuffix("-word")
        square = np.mean(g**2) if self.rule.endswith("-word") else g**2
        if self.rule == "sgd":
            X[i] -= lr * g
        elif self.rule == "momentum":
            M[i] = 0.9 * M[i] + g
            X[i] -= lr * M[i]
        elif self.rule == "glove":
            X[i] -= lr * g / np.sqrt(S[i])
            S[i] += (lr * g) ** 2
        elif self.rule == "adagrad-full":
            self.total += np.outer(g, g)
            X[i] -= lr * self.root @ g
        elif name == "adagrad":
            S[i] += square
            X[i] -= lr * g / (np.sqrt(S[i]) + 1e-8)
        elif name == "adam":
            self.n[i] += 1
            M[i] = 0.9 * M[i] + 0.1 * g
            S[i] = 0.999 * S[i] + 0.001 * square
            mean, square = M[i] / (1 - 0.9 ** self.n[i]), S[i] / (1 - 0.999 ** self.n[i])
            X[i] -= lr * mean / (np.sqrt(square) + 1e-8)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def reference_sgns(rule, W, C, pairs, noise, lr):
    """Mikolov et al. (2013), equation 4, one pair after the other."""
    W, C = W.copy(), C.copy()
    step_W = Reference(rule, lr, W.shape)
    step_C = step_W if rule == "adagrad-full" else Reference(rule, lr, C.shape)
    losses = []
    for (i, target), others in zip(pairs, noise):
        losses.append(0.0)
        total = np.zeros(W.shape[1])
        for label, j in [(1, target), *((0, j) for j in others if j != target)]:
            f = W[i] @ C[j]
            losses[-1] -= np.log(sigmoid(f if label else -f))
            e = sigmoid(f) - label
            total += e * C[j]
            step_C(C, j, e * W[i])
        step_W(W, i, total)
    return W, C, losses


@pytest.mark.parametrize("rule", words.RULES)
def test_the_kernel_of_skip_gram_is_the_published_algorithm(rule):
    rng = np.random.default_rng(1)
    W, C = rng.normal(size=(2, 9, DIM))
    pairs = rng.integers(9, size=(300, 2)).astype(np.int32)
    noise = rng.integers(9, size=(300, 4)).astype(np.int32)
    expected = reference_sgns(rule, W, C, pairs, noise, 0.1)
    memory = _embeddings._Memories(rule, W, C)
    (part,) = memory.steps(0, 300)
    assert part == slice(0, 300)
    h = kernels.settings(0.1, np.float64)
    loss = kernels.sgns_kernel(rule, DIM)(W, C, pairs, noise, memory.W, memory.C, h, 8)
    np.testing.assert_allclose(W, expected[0], atol=1e-11)
    np.testing.assert_allclose(C, expected[1], atol=1e-11)
    assert loss == pytest.approx(sum(expected[2][::8]), rel=1e-12)


def glove_program(entries, W, C, b, c, eta, epochs, bias_eta, x_max=10.0):
    """The published GloVe with its Adagrad, written with lists and loops.

    For an entry (i, j, x) the gradient is f(x) (w_i . c_j + b_i + c_j - log x) times the other
    vector; eta times it is divided by the root of an accumulator that starts at 1 and is added to
    after use, and is clipped to +-100. Returns the cost of each epoch.
    """
    W, C, b, c = W.tolist(), C.tolist(), b.tolist(), c.tolist()
    square_W = [[1.0] * len(w) for w in W]
    square_C = [[1.0] * len(w) for w in C]
    square_b, square_c = [1.0] * len(b), [1.0] * len(c)
    costs = []
    for _ in range(epochs):
        cost = 0.0
        for i, j, x in entries:
            diff = b[i] + c[j] - np.log(x)
            for k in range(len(W[i])):
                diff += W[i][k] * C[j][k]
            weighted = diff if x > x_max else (x / x_max) ** 0.75 * diff
            cost += 0.5 * weighted * diff
            for k in range(len(W[i])):
                one = min(max(weighted * C[j][k], -100), 100) * eta
                other = min(max(weighted * W[i][k], -100), 100) * eta
                W[i][k] -= one / square_W[i][k] ** 0.5
                C[j][k] -= other / square_C[j][k] ** 0.5
                square_W[i][k] += one * one
                square_C[j][k] += other * other
            step = bias_eta * weighted
            b[i] -= step / square_b[i] ** 0.5
            c[j] -= step / square_c[j] ** 0.5
            square_b[i] += step * step
            square_c[j] += step * step
        costs.append(cost / len(entries))
    return costs, np.array(W), np.array(b)


@pytest.mark.parametrize("bias_lr", [None, 1.0])
def test_glove_has_the_loss_curve_of_the_published_program(text, bias_lr):
    counts = words.cooccurrence(text, window=4)
    begin = words.initial_vectors("glove", text.words, DIM, rng=3)
    X = counts.matrix.tocoo()
    order = np.random.default_rng(5).permutation(X.nnz)
    entries = list(zip(X.row[order], X.col[order], X.data[order]))
    costs, W, b = glove_program(
        entries, begin.W, begin.C, begin.b, begin.c, 0.05, 10, bias_lr or 0.05
    )
    run = words.glove(counts, begin, rng=5, epochs=10, x_max=10.0, bias_lr=bias_lr)
    assert costs[-1] < costs[0] / 2
    np.testing.assert_allclose(run.loss, costs, rtol=1e-12)
    np.testing.assert_allclose(run.W, W, atol=1e-12)
    np.testing.assert_allclose(run.b, b, atol=1e-12)


@pytest.mark.parametrize("rule", ["momentum", "adagrad-full", "adam-word"])
def test_the_kernel_of_glove_follows_its_rule(text, rule):
    """One epoch; both vectors of an entry change at once, biases by the rule for rows of one."""
    counts = words.cooccurrence(text, window=4)
    begin = words.initial_vectors("glove", text.words, DIM, rng=3, scale=5.0)
    run = words.glove(counts, begin, rng=5, rule=rule, lr=0.02, epochs=1, x_max=10.0)
    X = counts.matrix.tocoo()
    order = np.random.default_rng(5).permutation(X.nnz)
    assert X.nnz < _embeddings._RENEW
    W, C, b, c = begin.W.copy(), begin.C.copy(), begin.b[:, None].copy(), begin.c[:, None].copy()
    step_W, step_C = (Reference(rule, 0.02, W.shape) for _ in "WC")
    small = "adagrad" if rule == "adagrad-full" else rule
    step_b, step_c = (Reference(small, 0.02, b.shape) for _ in "bc")
    for i, j, x in zip(X.row[order], X.col[order], X.data[order]):
        e = min(1, (x / 10) ** 0.75) * (W[i] @ C[j] + b[i, 0] + c[j, 0] - np.log(x))
        gW, gC = e * C[j], e * W[i]
        step_W(W, i, gW)
        step_C(C, j, gC)
        step_b(b, i, np.array([e]))
        step_c(c, j, np.array([e]))
    for ours, theirs in ((run.W, W), (run.C, C), (run.b, b[:, 0]), (run.c, c[:, 0])):
        np.testing.assert_allclose(ours, theirs, atol=1e-11)


def test_glove_s_rule_is_adagrad_of_unit_rate_with_an_offset():
    """Steps g / sqrt(1 / lr^2 + sum of past g^2): the learning rate sets the offset alone."""
    rng = np.random.default_rng(0)
    g = rng.normal(size=50)
    x, lr = np.zeros((1, 1)), 0.2
    step = Reference("glove", lr, (1, 1))
    for value in g:
        step(x, 0, np.array([value]))
    past = np.concatenate([[0], np.cumsum(g**2)[:-1]])
    assert x[0, 0] == pytest.approx(-np.sum(g / np.sqrt(1 / lr**2 + past)))


# --- draws ---------------------------------------------------------------------------------------


def drawn(text, window, n_negative, seed):
    """All pairs and noise words of one pass."""
    ends = np.append(text.starts[1:], len(text.tokens))
    lengths = ends - text.starts
    pairs = np.empty((2 * window * len(text.tokens), 2), np.int32)
    noise = np.empty((len(pairs), n_negative), np.int32)
    n, centre = kernels.draw_pairs(
        text.tokens, np.repeat(text.starts, lengths), np.repeat(ends, lengths), 0,
        len(text.tokens), window, *kernels.alias_table(text.counts**0.75), pairs, noise,
        np.array([seed], np.uint64),
    )  # fmt: skip
    assert centre == len(text.tokens)
    return pairs[:n], noise[:n]


def test_pairs_have_the_expected_counts(text):
    expected = words.cooccurrence(text, window=4, weights="expected").matrix.toarray()
    total, passes = np.zeros_like(expected), 300
    for seed in range(1, passes + 1):
        pairs, _ = drawn(text, 4, 1, seed)
        np.add.at(total, tuple(pairs.T), 1 / passes)
    # A pair of positions is drawn or not: at most a variance of 1/4 each pass.
    n_positions = words.cooccurrence(text, window=4, weights="uniform").matrix.toarray()
    assert (np.abs(total - expected) <= 5 * np.sqrt(n_positions / 4 / passes)).all()


def test_training_draws_noise_by_the_frequency_to_the_three_quarters(monkeypatch):
    rows = np.random.default_rng(0).zipf(1.5, (40, 60)).clip(max=12)
    text = words.encode([[f"word{i:02d}" for i in row] for row in rows])
    noise = []

    def draw_pairs(*arguments):
        n, centre = kernels.draw_pairs(*arguments)
        noise.append(arguments[-2][:n].ravel())  # a block's own array
        return n, centre

    monkeypatch.setattr(_embeddings, "draw_pairs", draw_pairs)
    begin = words.initial_vectors("gaussian", text.words, DIM, 0)
    words.sgns(text, begin, 7, window=4, n_negative=5, epochs=4)
    noise = np.concatenate(noise)
    p = text.counts**0.75 / (text.counts**0.75).sum()
    error = np.bincount(noise, minlength=len(p)) / len(noise) - p
    assert (np.abs(error) <= 5 * np.sqrt(p / len(noise))).all()


@given(st.lists(st.floats(0.001, 100), min_size=1, max_size=40))
@settings(deadline=None, max_examples=50)
def test_an_alias_table_holds_the_distribution(p):
    p = np.array(p)
    threshold, alias = kernels.alias_table(p)
    share = np.minimum(threshold / 2.0**32, 1)
    found = share.copy()
    np.add.at(found, alias, 1 - share)
    np.testing.assert_allclose(found / len(p), p / p.sum(), atol=1e-8)


def test_draws_depend_on_the_seed_alone(text):
    """A vanishing learning rate leaves the start, and so shows the pairs that were visited."""
    runs = [
        words.sgns(text, words.initial_vectors("gaussian", text.words, DIM, 0, dtype=dtype), 7,
                        rule=rule, lr=1e-12, epochs=2, subsample=0.05)
        for rule, dtype in itertools.product(("sgd", "adagrad"), ("float64", "float32"))
    ]  # fmt: skip
    for run in runs:
        np.testing.assert_allclose(run.loss, runs[0].loss, rtol=1e-6)
        assert run.W.dtype in (np.float32, np.float64)
    begin = words.initial_vectors("gaussian", text.words, DIM, 0)
    one, two = (words.sgns(text, begin, 7, epochs=2, lr=0.1) for _ in range(2))
    np.testing.assert_array_equal(one.W, two.W)
    assert not np.array_equal(one.W, words.sgns(text, begin, 8, epochs=2, lr=0.1).W)


def test_the_expected_loss_is_what_sampling_estimates(text):
    """Mean loss over many passes at a fixed point against the dense loss."""
    begin = words.initial_vectors("gaussian", text.words, DIM, 0, scale=30.0)
    whole = words.dense_loss(
        words.DenseSkipGram(words.cooccurrence(text, 4, "expected"), dtype=torch.float64), begin
    )
    kwargs = {"lr": 1e-12, "epochs": 60, "window": 4, "subsample": None}
    losses = [words.sgns(text, begin, seed, **kwargs).loss.mean() for seed in range(8)]
    spread = np.std(losses, ddof=1) / len(losses) ** 0.5
    assert abs(np.mean(losses) - whole) < 5 * spread < 0.02 * whole


def test_the_rate_falls_once_over_all_epochs(text, monkeypatch):
    rates = []

    def settings_of(lr, *arguments, **options):
        rates.append(lr)
        return kernels.settings(lr, *arguments, **options)

    monkeypatch.setattr(_embeddings, "settings", settings_of)
    begin = words.initial_vectors("gaussian", text.words, DIM, 0)
    words.sgns(text, begin, 0, lr=0.4, epochs=4)
    np.testing.assert_allclose(rates, [0.4, 0.3, 0.2, 0.1])
    words.sgns(text, begin, 0, lr=0.4, epochs=2, decay=False)
    assert rates[4:] == [0.4, 0.4]


def test_the_root_of_full_matrix_adagrad():
    W, C = np.random.default_rng(0).normal(size=(2, 9, DIM))
    memory = _embeddings._Memories("adagrad-full", W, C)
    root, total = memory.W.M, memory.W.S
    assert memory.C is memory.W
    total[...] = W.T @ W
    for part in memory.steps(0, 2 * _embeddings._RENEW):
        assert part.stop - part.start == _embeddings._RENEW
        np.testing.assert_allclose(root @ root @ (np.eye(DIM) + total), np.eye(DIM), atol=1e-12)
        np.testing.assert_allclose(root, root.T, atol=1e-14)
        total[...] *= 3


def test_threads_share_the_work(text):
    parts = _embeddings._split(text, 3)
    assert [len(part.starts) for part in parts] == [3, 3, 2]
    np.testing.assert_array_equal(np.concatenate([part.tokens for part in parts]), text.tokens)
    begin = words.initial_vectors("word2vec", text.words, DIM, 0)
    one, two = (
        words.sgns(text, begin, 1, lr=0.1, epochs=20, subsample=None, n_threads=n)
        for n in (1, 2)
    )
    problem = words.DenseSkipGram(words.cooccurrence(text, weights="expected"))
    before, alone, together = (words.dense_loss(problem, point) for point in (begin, one, two))
    assert abs(together - alone) < 0.1 * (before - alone)
    counts = words.cooccurrence(text)
    runs = [words.glove(counts, begin, 1, epochs=9, n_threads=n).loss[-1] for n in (1, 2)]
    assert runs[1] == pytest.approx(runs[0], rel=0.2)


# --- symmetry ------------------------------------------------------------------------------------


def defect(train, begin, U):
    """Relative distance of the run from the turned start to the turned run."""
    plain, turned = train(begin), train(begin.rotated(U))
    gap = [X - Y for X, Y in zip((plain.rotated(U).W, plain.rotated(U).C), (turned.W, turned.C))]
    return np.linalg.norm(gap) / np.linalg.norm([plain.W, plain.C])


@given(seeds, st.sampled_from(["word2vec", "gaussian", "orthogonal"]), st.sampled_from(SCALARS))
@settings(deadline=None, max_examples=25)
def test_rules_of_scalars_and_matrices_commute_with_rotations(seed, kind, rule):
    text = made_text(seed % 7)
    begin = words.initial_vectors(kind, text.words, DIM, seed)
    U = rotation.haar(DIM, seed)
    lr = 0.01 if rule == "adam-word" else 0.05
    assert defect(lambda p: words.sgns(text, p, seed, rule, lr, epochs=2), begin, U) < 1e-9
    counts = words.cooccurrence(text)
    assert defect(lambda p: words.glove(counts, p, seed, rule, lr, epochs=3), begin, U) < 1e-9


@given(seeds, st.sampled_from(COORDINATES))
@settings(deadline=None, max_examples=15)
def test_coordinate_wise_rules_commute_with_signed_permutations_alone(seed, rule):
    text = made_text(seed % 7)
    begin = words.initial_vectors("glove", text.words, DIM, seed)
    counts = words.cooccurrence(text)
    lr = {"glove": 0.3, "adagrad": 0.05, "adam": 0.01}[rule]

    def train(p):
        return words.glove(counts, p, seed, rule, lr, epochs=10, x_max=10.0)

    rng = np.random.default_rng(seed)
    signed = np.eye(DIM)[rng.permutation(DIM)] * rng.choice([-1, 1], DIM)
    assert defect(train, begin, signed) < 1e-9
    assert defect(train, begin, rotation.haar(DIM, seed)) > 1e-3


def test_glove_s_rule_tends_to_gradient_descent_as_its_rate_falls(text):
    counts = words.cooccurrence(text)
    begin = words.initial_vectors("glove", text.words, DIM, 0)
    U = rotation.haar(DIM, 1)
    gaps = [
        defect(lambda p, lr=lr: words.glove(counts, p, 0, lr=lr, epochs=5), begin, U)
        for lr in (0.5, 0.05, 0.005)
    ]
    assert gaps[0] > 10 * gaps[1] > 100 * gaps[2]


# --- starting points -----------------------------------------------------------------------------


def test_starts_have_their_laws():
    names = [f"w{i}" for i in range(3000)]
    points = {kind: words.initial_vectors(kind, names, 10, rng=0) for kind in words.INITIALISATIONS}
    for kind in ("word2vec", "word2vec.c", "glove"):
        W = points[kind].W
        assert W.min() >= -0.05 and W.max() < 0.05 and abs(np.abs(W).mean() - 0.025) < 3e-4
    assert not points["word2vec"].C.any() and not points["word2vec.c"].C.any()
    assert points["glove"].C.any() and points["glove"].b.any() and points["glove"].c.any()
    for kind in ("glove", "gaussian", "orthogonal"):
        both = np.concatenate([points[kind].W, points[kind].C])
        assert both.std() == pytest.approx(1 / (12**0.5 * 10), rel=0.02)
    np.testing.assert_allclose(both.T @ both, (both.T @ both)[0, 0] * np.eye(10), atol=1e-9)
    assert not points["gaussian"].b.any()
    doubled = words.initial_vectors("gaussian", names, 10, rng=0, scale=2.0, dtype="float32")
    np.testing.assert_allclose(doubled.W, 2 * points["gaussian"].W, rtol=1e-6)
    assert doubled.W.dtype == np.float32


def test_the_generator_of_word2vec_c():
    """Its first numbers by the definition, and how few different rows the period leaves."""
    x, expected = 1, []
    for _ in range(12):
        x = (x * 25214903917 + 11) % 2**64
        expected.append(((x & 0xFFFF) / 65536 - 0.5) / 4)
    names = np.arange(3000).astype(str)
    np.testing.assert_allclose(
        words.initial_vectors("word2vec.c", names, 4, 0).W[:3].ravel(), expected, atol=1e-15
    )
    for dim, distinct in ((64, 1024), (128, 512), (512, 128), (1024, 64)):
        W = words.initial_vectors("word2vec.c", names, dim, 0).W
        assert len(np.unique(W, axis=0)) == distinct


def test_training_never_leaves_the_span_of_the_first_vectors():
    """So 1,024 units from the C program's start have rank 64 after training, others full rank."""
    text = made_text(0, n_words=80, n_documents=40)
    ranks = {}
    for kind in ("word2vec", "word2vec.c"):
        begin = words.initial_vectors(kind, text.words, 1024, 0)
        run = words.sgns(text, begin, 0, lr=0.5, epochs=3, subsample=None)
        ranks[kind] = np.linalg.matrix_rank(run.W), np.linalg.matrix_rank(run.C)
    V = len(text.words)
    assert V > 64 and ranks == {"word2vec": (V, V), "word2vec.c": (64, 64)}


# --- the whole loss ------------------------------------------------------------------------------


def brute_force(problem, point):
    """Loss by the formula, with autograd's gradient of what is minimised."""
    X = torch.as_tensor(problem.counts.matrix.toarray())
    W, C, b, c = (torch.tensor(x, requires_grad=True) for x in (point.W, point.C, point.b, point.c))
    P = W @ C.T
    if isinstance(problem, words.DenseSkipGram):
        q = torch.as_tensor(problem.counts.counts**0.75)
        N = problem.n_negative * (q / q.sum()) * (X.sum(1, keepdim=True) - X)
        loss = -(X * P.sigmoid().log() + N * (-P).sigmoid().log()).sum() / X.sum()
        scale = len(X)
    else:
        f = (X / problem.x_max).clamp(max=1) ** problem.alpha
        residual = P + b[:, None] + c[None] - X.where(X > 0, 1.0).log()
        loss = (f * residual**2).sum() / 2 / (X > 0).sum()
        scale = len(X) / f.sum() * (X > 0).sum()
    (loss * scale).backward()
    return loss.item(), W.grad.numpy(), C.grad.numpy(), b.grad, c.grad


PROBLEMS = {
    "skip-gram": lambda text, **options: words.DenseSkipGram(
        words.cooccurrence(text, 4, "expected"), dtype=torch.float64, **options
    ),
    "glove": lambda text, **options: words.DenseGloVe(
        words.cooccurrence(text, 4), dtype=torch.float64, x_max=5.0, **options
    ),
}


@pytest.mark.parametrize("kind", PROBLEMS)
def test_the_whole_loss_and_its_gradient(text, kind, monkeypatch):
    monkeypatch.setattr(_dense_embeddings, "_ROWS", 5)
    point = words.initial_vectors("glove", text.words, DIM, 1, scale=20.0)
    problem = PROBLEMS[kind](text)
    loss, gW, gC, gb, gc = brute_force(problem, point)
    assert words.dense_loss(problem, point) == pytest.approx(loss, rel=1e-12)
    for threads in (1, 2):
        theta = problem.parameters(*problem.pack(point))
        grad = theta.clone()
        PROBLEMS[kind](text, n_threads=threads).gradient_(theta, grad)
        found = problem.unpack(grad.A[0].numpy(), grad.B[0].numpy())
        np.testing.assert_allclose(found["W"], gW, atol=1e-10)
        np.testing.assert_allclose(found["C"], gC, atol=1e-10)
        if kind == "glove":
            np.testing.assert_allclose(found["b"], gb, atol=1e-10)
            np.testing.assert_allclose(found["c"], gc, atol=1e-10)


@pytest.mark.parametrize("kind", PROBLEMS)
@pytest.mark.parametrize(
    "rule, lr, commutes",
    [
        ("gd", 0.02, True),
        ("momentum", 0.005, True),
        ("adagrad-word", 0.05, True),
        ("adagrad-full", 0.01, True),
        (words.word_and_matrix_adagrad, 0.1, True),
        ("adam-word", 0.01, True),
        ("adagrad", 0.05, False),
        ("adam", 0.01, False),
        ("glove", 0.3, False),
    ],
)
def test_dense_training_commutes_with_rotations_where_its_rule_does(text, kind, rule, lr, commutes):
    problem = PROBLEMS[kind](text)
    point = words.initial_vectors("gaussian", text.words, DIM, 1)
    rule = rotation.RULES[rule] if isinstance(rule, str) else rule
    A, B = problem.pack(point)
    U = problem.action(rotation.haar(DIM, 2))
    gap = rotation.equivariance_defect(problem, A, B, U, rule, n_steps=40, lr=lr)[0]
    assert gap < 1e-8 if commutes else gap > 1e-4


@pytest.mark.parametrize("kind", PROBLEMS)
def test_dense_training_of_several_seeds(text, kind):
    problem = PROBLEMS[kind](text)
    starts = [words.initial_vectors("gaussian", text.words, DIM, seed) for seed in range(3)]
    rule = rotation.RULES["adam-word"]
    runs = words.train_dense(problem, starts, rule, 60, record=20, lr=0.05)
    alone = words.train_dense(problem, starts[1:2], rule, 60, lr=0.05)[0]
    for start, run in zip(starts, runs):
        assert run.loss.shape == (4,) and run.loss[-1] < run.loss[0]
        assert run.loss[0] == pytest.approx(words.dense_loss(problem, start))
        assert run.loss[-1] == pytest.approx(words.dense_loss(problem, run))
        assert run.words.tolist() == text.words.tolist()
    np.testing.assert_allclose(runs[1].W, alone.W, atol=1e-10)
    assert (runs[0].b is None) == (kind == "skip-gram")


def test_dense_and_sampled_training_reach_the_same_loss(wikipedia):
    """A thousandfold difference in noise, one optimum: nothing depends on full batches."""
    problem = words.DenseSkipGram(words.cooccurrence(wikipedia, weights="expected"))
    begin = words.initial_vectors("word2vec", wikipedia.words, 20, 0, dtype="float32")
    whole = words.train_dense(problem, [begin], words.word_and_matrix_adagrad, 30, lr=0.3)[0]
    # The text in random order of its blocks: long articles in a row pull the vectors their way.
    blocks = words.Text(
        wikipedia.tokens, np.arange(0, len(wikipedia.tokens), 200), wikipedia.words,
        wikipedia.counts,
    )  # fmt: skip
    run = words.sgns(words.shuffled(blocks, 1), begin, 0, epochs=4, subsample=None)
    assert words.dense_loss(problem, run) == pytest.approx(whole.loss[-1], rel=0.03)
    assert whole.loss[-1] < 0.65 * whole.loss[0]


# --- the quality of gensim -----------------------------------------------------------------------


def shared_neighbours(one, other, n=10, n_words=300):
    """Mean Jaccard index of the nearest neighbours of frequent words."""
    shares = []
    near = []
    for W in (one, other):
        V = words.unit_rows(W)
        cosine = V[:n_words] @ V.T
        np.fill_diagonal(cosine, -np.inf)
        near.append(np.argsort(-cosine)[:, :n])
    for a, b in zip(*near):
        both = len(set(a) & set(b))
        shares.append(both / (2 * n - both))
    return np.mean(shares)


def test_skip_gram_is_as_good_as_gensim_s(wikipedia):
    """Same text and settings: loss within a per cent, neighbours shared as between two seeds."""
    Word2Vec = pytest.importorskip("gensim.models").Word2Vec
    ends = np.append(wikipedia.starts[1:], len(wikipedia.tokens))
    docs = [wikipedia.words[wikipedia.tokens[a:b]].tolist() for a, b in zip(wikipedia.starts, ends)]
    problem = words.DenseSkipGram(words.cooccurrence(wikipedia, weights="expected"))
    ours, theirs, losses = [], [], []
    for seed in range(2):
        model = Word2Vec(docs, vector_size=20, window=5, negative=5, sg=1, sample=1e-3, epochs=3,
                         min_count=1, workers=1, seed=seed)  # fmt: skip
        order = [model.wv.key_to_index[word] for word in wikipedia.words]
        peer = words.Embedding(wikipedia.words, model.wv.vectors[order], model.syn1neg[order])
        # gensim starts from [-1/d, 1/d), twice as wide as the C program.
        begin = words.initial_vectors(
            "word2vec", wikipedia.words, 20, seed, scale=2.0, dtype="float32"
        )
        run = words.sgns(wikipedia, begin, seed, epochs=3)
        theirs.append(peer.W)
        ours.append(run.W)
        losses.append((words.dense_loss(problem, run), words.dense_loss(problem, peer)))
    losses = np.array(losses)
    assert np.abs(losses[:, 0] / losses[:, 1] - 1).max() < 0.01
    spread = min(shared_neighbours(*ours), shared_neighbours(*theirs))
    across = [shared_neighbours(a, b) for a, b in itertools.product(ours, theirs)]
    assert np.mean(across) > spread - 0.03 > 0.2


# --- vectors: neighbours, files, baselines -------------------------------------------------------


@pytest.fixture(scope="module")
def vectors(text):
    begin = words.initial_vectors("word2vec", text.words, DIM, 0)
    return words.sgns(text, begin, 1, lr=0.3, epochs=20, subsample=None)


def test_turned_vectors_are_the_rotation_times_each(vectors):
    U = rotation.haar(DIM, 0)
    turned = vectors.rotated(U)
    for i in range(4):
        np.testing.assert_allclose(turned.W[i], U @ vectors.W[i], atol=1e-14)
        np.testing.assert_allclose(turned.C[i], U @ vectors.C[i], atol=1e-14)


def test_neighbours_are_gensim_s_and_unchanged_by_rotation(vectors):
    turned = vectors.rotated(rotation.haar(DIM, 0))
    for which in ("W", "C", "W+C"):
        keyed = vectors.keyed_vectors(which)
        for word in vectors.words[:4]:
            found = vectors.neighbours(word, 5, which)
            for (a, x), (b, y), (c, z) in zip(
                found, keyed.most_similar(str(word), topn=5), turned.neighbours(word, 5, which)
            ):
                assert a == b == c
                assert x == pytest.approx(y, abs=1e-6) and x == pytest.approx(z, abs=1e-9)
    assert len(vectors.neighbours(vectors.words[0], 99)) == len(vectors.words) - 1


def test_vectors_go_to_gensim_and_back(vectors, tmp_path):
    KeyedVectors = pytest.importorskip("gensim.models").KeyedVectors
    again = words.from_keyed_vectors(vectors.keyed_vectors())
    np.testing.assert_array_equal(again.W, vectors.W)
    assert again.words.tolist() == vectors.words.tolist() and not again.C.any()
    for binary in (False, True):
        path = tmp_path / f"{binary}.bin"
        vectors.save(path, binary=binary)
        keyed = KeyedVectors.load_word2vec_format(path, binary=binary)
        np.testing.assert_allclose(keyed.vectors, vectors.W, rtol=1e-6)
        assert keyed.index_to_key == vectors.words.tolist()
        keyed.save_word2vec_format(path, binary=binary)
        back = words.load_vectors(path, "float32", binary=binary)
        np.testing.assert_array_equal(back.W, keyed.vectors)
        assert back.words.tolist() == vectors.words.tolist()


def test_ppmi_svd_is_the_best_approximation(text):
    counts = words.cooccurrence(text, window=4)
    X = counts.matrix.toarray()
    with np.errstate(divide="ignore"):
        M = np.maximum(np.log(X * X.sum() / np.outer(X.sum(1), X.sum(0))), 0)
    U, s, Vt = np.linalg.svd(M)
    found = words.ppmi_svd(counts, 3)
    np.testing.assert_allclose(found.W @ found.C.T, (U[:, :3] * s[:3]) @ Vt[:3], atol=1e-9)
    np.testing.assert_allclose(np.diag(found.W.T @ found.W), s[:3], atol=1e-9)


def test_suffix_rank():
    names = np.array(["network", "networks", "other", "others", "car", "cars"])
    W = np.array([[1, 0], [0.9, 0.1], [0, 1], [-1, 0.1], [1, 0.8], [0.8, 1]])
    point = words.Embedding(names, W, W)
    # networks is nearest to network; other has cars, car, networks and others in this order.
    rank, n = words.suffix_rank(point, "s")
    assert n == 2 and rank == pytest.approx((1 + 1 / 4) / 2)
    assert words.suffix_rank(point.rotated(rotation.haar(2, 0)), "s")[0] == rank
    assert words.suffix_rank(point, "s", n_words=2) == (1.0, 1)
    assert np.isnan(words.suffix_rank(point, "ing")[0])


# --- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda t, p: words.initial_vectors("cube", t.words, 5, 0), "one of 'word2vec', 'word2ve"),
        (lambda t, p: words.initial_vectors("glove", ["one"], 5, 0), "at least 2 words, got 1"),
        (lambda t, p: words.initial_vectors("glove", t.words, 5, 0, dtype="int8"), "dtype must be"),
        (lambda t, p: words.sgns(t, p, 0, rule="sdg"), "rule must be one of 'sgd', 'momentum'"),
        (lambda t, p: words.sgns(t, p, 0, subsample=-1), "subsample must be above 0, got -1"),
        (lambda t, p: words.sgns(words.restrict(t, 5), p, 0), "initial has 12 .* the data 5"),
        (lambda t, p: words.ppmi_svd(words.cooccurrence(t), 12), "below the 12 words"),
        (lambda t, p: p.rotated(np.eye(3)), r"U of shape \(3, 3\)"),
        (lambda t, p: p.vectors("both"), "which must be one of 'W', 'C', 'W\\+C', got 'both'"),
        (lambda t, p: words.DenseGloVe(words.cooccurrence(t), alpha=0), "alpha must be above 0"),
        (
            lambda t, p: words.dense_loss(
                words.DenseGloVe(words.cooccurrence(words.restrict(t, 5))), p
            ),
            "embedding has 12 words, but the data 5",
        ),
        (lambda t, p: words.Embedding(t.words, p.W, p.C[1:]), r"C has the shape \(11, 5\)"),
        (lambda t, p: words.Embedding(t.words, p.W, p.C, p.b[1:]), r"b has the shape \(11,\)"),
        (lambda t, p: words.Embedding(t.words, p.W * np.nan, p.C), "W has 60 of 60 values that"),
        (lambda t, p: words.Embedding(range(12), p.W, p.C), "words must be a list of strings"),
    ],
)
def test_bad_input(text, call, message):
    initial = words.initial_vectors("word2vec", text.words, DIM, 0)
    with pytest.raises(ValueError, match=message):
        call(text, initial)


@pytest.mark.parametrize(
    "train",
    [
        lambda text, initial: words.sgns(text, initial, 0),
        lambda text, initial: words.glove(words.cooccurrence(text), initial, 0),
        lambda text, initial: words.dense_loss(
            words.DenseSkipGram(words.cooccurrence(text)), initial
        ),
        lambda text, initial: words.train_dense(
            words.DenseGloVe(words.cooccurrence(text)), [initial], rotation.RULES["gd"], 1, lr=0.01
        ),
    ],
)
def test_vectors_of_other_words_are_refused_and_can_be_put_in_order(text, train):
    initial = words.initial_vectors("glove", text.words[::-1], DIM, 0)
    with pytest.raises(ValueError, match=r"word 0 is .*\.select\(words\) puts them"):
        train(text, initial)
    ordered = initial.select(text.words)
    for name in ("words", "W", "C", "b", "c"):
        np.testing.assert_array_equal(getattr(ordered, name), getattr(initial, name)[::-1])
    train(text, ordered)
    with pytest.raises(KeyError, match="1 of 2 words .* 'cat'"):
        initial.select([text.words[3], "cat"])


def test_other_numbers_train_as_floats(text):
    """Whole numbers as float64, half precision as float32, tensors with gradients and frames."""
    rng = np.random.default_rng(0)
    W, C = rng.integers(-3, 4, (2, len(text.words), DIM))
    expected = words.sgns(text, words.Embedding(text.words, W.astype(float), C.astype(float)), 0)
    tensor = torch.tensor(W, dtype=torch.float64, requires_grad=True)
    for one in (W, np.asfortranarray(W), pd.DataFrame(W), tensor):
        run = words.sgns(text, words.Embedding(text.words.astype(object), one, C), 0)
        np.testing.assert_array_equal(run.W, expected.W)
    for half in (W.astype(np.float16), torch.tensor(W, dtype=torch.bfloat16)):
        run = words.sgns(text, words.Embedding(text.words, half, C), 0)
        assert run.W.dtype == run.C.dtype == np.float32
        np.testing.assert_allclose(run.W, expected.W, atol=1e-4)


def test_an_unknown_word(vectors):
    with pytest.raises(KeyError, match="'cat' is not among the 12"):
        vectors.neighbours("cat")


def test_training_that_explodes(text):
    initial = words.initial_vectors("glove", text.words, DIM, 0, scale=100.0)
    with pytest.raises(FloatingPointError, match="lower lr"):
        words.glove(words.cooccurrence(text), initial, 0, rule="sgd", lr=50.0)
