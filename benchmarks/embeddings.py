"""How fast are the word vectors, and are they as good? Ratios against gensim and torch.

The corpus are the docstrings of installed packages, documents shuffled, about 2.3 million words;
vectors have 100 dimensions. Rounds are interleaved, so that a busy machine slows all alike, and a
figure is the median over rounds of peer time / our time: CPU time on one thread, where a busy
machine disturbs little, wall time on two. What is compared:

- ``skip-gram``: running words per second of training against gensim, same text, window, noise and
  subsampling, and the expected loss that both reach, since speed alone is worth nothing;
- ``glove``: entries per second against torch autograd with sparse gradients and
  torch.optim.Adagrad, batches of 1,024 of the same entries, one thread;
- ``dense``: one step of the whole loss of skip-gram with 4,000 words against torch autograd, one
  thread; also seconds a step, with two threads as well;
- ``equal loss``: CPU time of five epochs of stochastic skip-gram over that of as many dense steps
  as reach its loss;
- ``quality``: per seed, how near a plural or an -ing form is to its word (mean reciprocal rank,
  with the number of pairs), and shared neighbours, for ours, gensim's, PPMI-SVD and random vectors;
- ``against size``: CPU time of one epoch of skip-gram against the words of the text. The floor is
  the time to read and write the output vectors of every pair, one word's and five noise words',
  once, at the measured bandwidth of copying as much as both tables hold.

Run ``python benchmarks/embeddings.py`` (about six minutes, on an otherwise idle machine); writes
``benchmarks/results/embeddings.json``.
"""

import time
from itertools import combinations, product

import numpy as np
import record
import torch
from gensim.models import Word2Vec
from threadpoolctl import threadpool_limits

from hblib import words

CLOCKS = {1: time.process_time, 2: time.perf_counter}


def timed(clock, function, *args, **options):
    """Seconds and result."""
    begin = clock()
    result = function(*args, **options)
    return clock() - begin, result


def median(values, digits=2):
    """Rounded median."""
    return round(float(np.median(values)), digits)


def documents(text):
    """Lists of words, as gensim takes them."""
    ends = np.append(text.starts[1:], len(text.tokens))
    return [text.words[text.tokens[a:b]].tolist() for a, b in zip(text.starts, ends)]


def gensim_model(docs, dim, seed, n_threads):
    """Model with its vocabulary, not yet trained: gensim's default settings for skip-gram."""
    model = Word2Vec(vector_size=dim, window=5, negative=5, sg=1, sample=1e-3, min_count=1,
                     workers=n_threads, seed=seed)  # fmt: skip
    model.build_vocab(docs)
    return model


def as_embedding(model, vocabulary):
    """Vectors of gensim in the order of our vocabulary."""
    order = [model.wv.key_to_index[word] for word in vocabulary]
    return words.Embedding(vocabulary, model.wv.vectors[order], model.syn1neg[order])


def skip_gram(text, docs, dim, rounds):
    """Speed on one and two threads."""
    begin = words.initial_vectors("word2vec", text.words, dim, 0, dtype="float32")
    out = {}
    words.sgns(
        words.restrict(text, 100),
        words.initial_vectors("word2vec", text.words[:100], dim, 0, dtype="float32"),
        0,
        epochs=1,
    )  # compiles
    ratios, speeds = {1: [], 2: []}, {1: [], 2: []}
    for seed, n in product(range(rounds), (1, 2)):
        ours, _ = timed(CLOCKS[n], words.sgns, text, begin, seed, epochs=1, n_threads=n)
        model = gensim_model(docs, dim, seed, n)
        theirs, _ = timed(CLOCKS[n], model.train, docs, total_examples=len(docs), epochs=1)
        ratios[n].append(theirs / ours)
        speeds[n].append(len(text.tokens) / ours)
        print(f"skip-gram, {n} threads: ours {ours:.2f} s, gensim {theirs:.2f} s", flush=True)
    for n in (1, 2):
        out[f"{n} threads"] = {
            "gensim / hblib": median(ratios[n]),
            "rounds": [round(r, 2) for r in ratios[n]],
            "words per second": int(np.median(speeds[n])),
        }
    return out


def torch_glove(counts, begin, order, x_max, batch=1024):
    """One pass over the entries by autograd with sparse gradients and Adagrad."""
    X = counts.matrix.tocoo()
    rows, columns = (torch.as_tensor(x[order].astype(np.int64)) for x in (X.row, X.col))
    x = torch.as_tensor(X.data[order]).float()
    log_x, weight = x.log(), (x / x_max).pow(0.75).clamp(max=1.0)
    tables = [
        torch.nn.Embedding.from_pretrained(torch.as_tensor(V).clone(), freeze=False, sparse=True)
        for V in (begin.W, begin.C, begin.b[:, None], begin.c[:, None])
    ]
    optimiser = torch.optim.Adagrad([table.weight for table in tables], lr=0.05)
    W, C, b, c = tables
    for low in range(0, len(order), batch):
        part = slice(low, low + batch)
        i, j = rows[part], columns[part]
        p = (W(i) * C(j)).sum(1) + b(i)[:, 0] + c(j)[:, 0]
        loss = (weight[part] * (p - log_x[part]).square()).sum() / 2
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def glove(text, dim, rounds):
    """Speed on one thread; torch gets a tenth of the entries, which flatters neither."""
    counts = words.cooccurrence(text, window=10)
    begin = words.initial_vectors("glove", text.words, dim, 0, dtype="float32")
    order = np.random.default_rng(0).permutation(counts.matrix.nnz)[: counts.matrix.nnz // 10]
    out = {"entries": counts.matrix.nnz}
    for rule in ("adagrad", "glove", "sgd"):
        words.glove(counts, begin, 0, rule=rule, epochs=1)  # compiles
        ratios, speeds = [], []
        for _ in range(rounds):
            ours, _ = timed(time.process_time, words.glove, counts, begin, 0, rule, epochs=4)
            speed = 4 * counts.matrix.nnz / ours
            theirs, _ = timed(time.process_time, torch_glove, counts, begin, order, 10.0)
            ratios.append(speed * theirs / len(order))
            speeds.append(speed)
        out[rule] = {"torch / hblib": median(ratios, 1), "entries per second": int(median(speeds))}
        print(f"glove, {rule}: {out[rule]}", flush=True)
    return out


def autograd_step(problem, W, C):
    """Gradient of the whole loss of skip-gram as one would write it in torch."""
    p = W @ C.T
    X, total = problem._X, problem._total
    loss = (total * torch.nn.functional.softplus(p) - X * p).sum() * problem.scale
    return torch.autograd.grad(loss, (W, C))


def dense(counts, dim, rounds):
    """One step of the whole loss."""
    begin = words.initial_vectors("gaussian", counts.words, dim, 0, dtype="float32")
    out, seconds, ratios = {"words": len(counts.words)}, {1: [], 2: []}, []
    problems = {n: words.DenseSkipGram(counts, n_threads=n) for n in (1, 2)}
    theta = problems[1].parameters(*problems[1].pack(begin))
    grad = theta.clone()
    W, C = (torch.tensor(X, requires_grad=True) for x, X in (("W", begin.W), ("C", begin.C)))
    for _ in range(5 * rounds):
        for n, problem in problems.items():
            second, _ = timed(time.perf_counter, problem.gradient_, theta, grad)
            seconds[n].append(second)
        theirs, (gW, _) = timed(time.perf_counter, autograd_step, problems[1], W, C)
        ratios.append(theirs / seconds[1][-1])
    gap = (grad.A[0].T - gW).norm() / gW.norm()
    if gap > 1e-4:
        raise AssertionError(f"the gradients differ by {gap:.1e}")
    out["autograd / hblib, 1 thread"] = median(ratios)
    for n in (1, 2):
        out[f"seconds a step, {n} threads"] = median(seconds[n], 3)
    print(f"dense: {out}", flush=True)
    return out


def equal_loss(text, counts, dim):
    """Stochastic epochs against dense steps, CPU time on one thread."""
    problem = words.DenseSkipGram(counts)
    begin = words.initial_vectors("word2vec", text.words, dim, 0, dtype="float32")
    seconds, run = timed(
        time.process_time, words.sgns, text, begin, 0, epochs=5, subsample=None
    )
    target = words.dense_loss(problem, run)
    # The loss is recorded at every step, which the time of the second run leaves out.
    rule, lr = words.word_and_matrix_adagrad, 0.3
    curve = words.train_dense(problem, [begin], rule, 100, record=1, lr=lr)[0].loss
    steps = int(np.argmax(curve <= target)) if (curve <= target).any() else None
    out = {"loss of 5 epochs": round(target, 3), "dense steps": steps}
    if steps:
        whole, _ = timed(
            time.process_time, words.train_dense, problem, [begin], rule, steps, lr=lr
        )
        out["stochastic / dense"] = round(seconds / whole, 2)
    print(f"equal loss: {out}", flush=True)
    return out


def near(embedding, n=10, n_words=1000):
    """Sets of the nearest neighbours of frequent words."""
    V = words.unit_rows(embedding.W)
    cosine = V[:n_words] @ V.T
    cosine[np.arange(n_words), np.arange(n_words)] = -np.inf
    return [set(row) for row in np.argpartition(-cosine, n)[:, :n].tolist()]


def shared(one, other):
    """Mean Jaccard index of two lists of sets."""
    return np.mean([len(a & b) / len(a | b) for a, b in zip(one, other)])


def quality(text, docs, counts, dim, n_seeds):
    """What each kind of vectors is worth, per seed."""
    problem = words.DenseSkipGram(counts)
    kinds = {"hblib": [], "gensim": [], "PPMI-SVD": [], "random": []}
    for seed in range(n_seeds):
        # gensim starts from [-1/d, 1/d), twice as wide as the C program.
        begin = words.initial_vectors("word2vec", text.words, dim, seed, scale=2.0, dtype="float32")
        kinds["hblib"].append(words.sgns(text, begin, seed, epochs=3))
        model = gensim_model(docs, dim, seed, 1)
        model.train(docs, total_examples=len(docs), epochs=3)
        kinds["gensim"].append(as_embedding(model, text.words))
        kinds["random"].append(words.initial_vectors("gaussian", text.words, dim, seed))
    kinds["PPMI-SVD"].append(words.ppmi_svd(words.cooccurrence(text), dim))
    out = {"seeds": n_seeds, "epochs": 3, "dimensions": dim, "words": len(text.words)}
    for suffix in ("s", "ing"):
        n_pairs = words.suffix_rank(kinds["random"][0], suffix)[1]
        out[f"-{suffix}"] = {"pairs": n_pairs} | {
            kind: [round(words.suffix_rank(model, suffix)[0], 3) for model in models]
            for kind, models in kinds.items()
        }
    out["expected loss"] = {
        kind: [round(words.dense_loss(problem, model), 3) for model in kinds[kind]]
        for kind in ("hblib", "gensim")
    }
    sets = {kind: [near(model) for model in kinds[kind]] for kind in ("hblib", "gensim")}
    out["shared neighbours of 10"] = {
        kind: round(float(np.mean([shared(a, b) for a, b in combinations(sets[kind], 2)])), 3)
        for kind in sets
    } | {"across": round(float(np.mean([shared(a, b) for a, b in product(*sets.values())])), 3)}
    print(f"quality: {out}", flush=True)
    return out


def pairs(text, window=5):
    """Pairs of one epoch, expected: of a kept word with the kept words in its window.

    A half-width uniform on 1 to `window` reaches (1 + ... + window) / window words on either side.
    """
    kept = words.keep_probability(text.counts)[text.tokens].sum()
    return kept * (window + 1)


def against_size(text, docs, dim, parts, rounds):
    """CPU time of one epoch, over the first documents of the text."""
    n_bytes = 4 * 2 * dim * len(text.words)  # both tables
    speed = record.bandwidth(n_bytes)
    lines = {"hblib": [], "gensim": [], "floor: memory": []}
    for part in parts:
        first = docs[: len(docs) // part]
        some = words.encode(first)
        begin = words.initial_vectors("word2vec", some.words, dim, 0, dtype="float32")
        seconds = {"hblib": [], "gensim": []}
        for seed in range(rounds):
            run = timed(time.process_time, words.sgns, some, begin, seed, epochs=1)
            seconds["hblib"].append(run[0])
            model = gensim_model(first, dim, seed, 1)
            examples = {"total_examples": len(first), "epochs": 1}
            seconds["gensim"].append(timed(time.process_time, model.train, first, **examples)[0])
        seconds["floor: memory"] = pairs(some) * 6 * dim * 4 * 2 / speed
        for name, line in lines.items():
            line.append([len(some.tokens), record.rounded(np.median(seconds[name]))])
        print({name: line[-1] for name, line in lines.items()}, flush=True)
    found = record.curves("words of the text", "CPU time of one epoch of skip-gram, s", lines)
    memory = {
        "one epoch of skip-gram, whole text: hblib": record.peak(
            lambda: words.sgns(some, begin, 0, epochs=1)
        ),
        "one epoch of skip-gram, whole text: gensim": record.peak(
            lambda: gensim_model(docs, dim, 0, 1).train(docs, total_examples=len(docs), epochs=1)
        ),
    }
    return found, memory


def main():
    """Print and store all figures."""
    quick, load = record.options(__doc__).quick, record.load()
    rounds, n_seeds = (1, 1) if quick else (3, 2)
    text = words.shuffled(words.load_text("docstrings"), 0)
    if quick:
        text = words.restrict(text, 2000)
    large, small = words.restrict(text, min_count=5), words.restrict(text, 4000)
    counts = words.cooccurrence(small, weights="expected")
    torch.set_num_threads(1)
    docs = documents(large)
    with threadpool_limits(1):
        speed = skip_gram(large, docs, 100, rounds)
        parts = (64, 32, 16) if quick else (16, 8, 4, 2, 1)
        found, memory = against_size(large, docs, 100, parts, 1)
        by_glove = glove(large, 100, rounds)
        whole = dense(counts, 100, rounds)
        equal = {} if quick else equal_loss(small, counts, 100)
        worth = {} if quick else quality(small, documents(small), counts, 50, n_seeds)
    table = [
        (f"skip-gram, {name}: times gensim", ">= 1", one["gensim / hblib"])
        for name, one in speed.items()
    ]
    for rule in ("adagrad", "glove", "sgd"):
        ratio = by_glove[rule]["torch / hblib"]
        table.append((f"GloVe, {rule}, one thread: times torch", ">= 1", ratio))
    ratio = whole["autograd / hblib, 1 thread"]
    table.append(("whole loss, one thread: times autograd", ">= 1", ratio))
    if worth:
        nearest = {kind: float(np.mean(worth["-s"][kind])) for kind in ("hblib", "PPMI-SVD")}
        table.append((
            "plurals, mean reciprocal rank, over that of PPMI-SVD",
            ">= 1",
            record.rounded(nearest["hblib"] / nearest["PPMI-SVD"]),
        ))  # fmt: skip
    rows = [{"skip-gram": name} | one for name, one in speed.items()]
    rows += [{"GloVe": rule} | by_glove[rule] for rule in ("adagrad", "glove", "sgd")]
    rows += [{"whole loss": "one step"} | whole, {"equal loss": "five epochs"} | equal]
    rows += [{"quality": name} | one for name, one in worth.items() if isinstance(one, dict)]
    result = {
        "title": "Word vectors",
        "what": "Skip-gram with negative sampling against gensim, GloVe and the whole loss against "
        f"torch, on {len(large.tokens):,} words of docstrings with {len(large.words):,} different "
        "ones, in 100 dimensions.",
        "required and measured": record.compared(*table),
        "series": [found],
        "memory": memory,
        "rows": rows,
    }
    print(memory)
    if not quick:
        record.store("embeddings", result, ["gensim", "torch", "numba"], load)


if __name__ == "__main__":
    main()
