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
  with the number of pairs), and shared neighbours, for ours, gensim's, PPMI-SVD and random vectors.

Run ``python benchmarks/embeddings.py`` (about ten minutes, on an otherwise idle machine); writes
``benchmarks/results/embeddings.json``.
"""

import argparse
import json
import time
from itertools import combinations, product
from pathlib import Path

import numpy as np
import torch
from gensim.models import Word2Vec
from threadpoolctl import threadpool_limits

from hblib import corpora, dense_embeddings, embeddings

RESULTS = Path(__file__).parent / "results" / "embeddings.json"
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


def as_embedding(model, words):
    """Vectors of gensim in the order of our vocabulary."""
    order = [model.wv.key_to_index[word] for word in words]
    return embeddings.Embedding(words, model.wv.vectors[order], model.syn1neg[order])


def skip_gram(text, docs, dim, rounds):
    """Speed on one and two threads."""
    begin = embeddings.start("word2vec", text.words, dim, 0, dtype="float32")
    out = {}
    embeddings.sgns(
        corpora.restrict(text, 100),
        embeddings.start("word2vec", text.words[:100], dim, 0, dtype="float32"),
        0,
        epochs=1,
    )  # compiles
    ratios, speeds = {1: [], 2: []}, {1: [], 2: []}
    for seed, n in product(range(rounds), (1, 2)):
        ours, _ = timed(CLOCKS[n], embeddings.sgns, text, begin, seed, epochs=1, n_threads=n)
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
    counts = corpora.cooccurrence(text, window=10)
    begin = embeddings.start("glove", text.words, dim, 0, dtype="float32")
    order = np.random.default_rng(0).permutation(counts.matrix.nnz)[: counts.matrix.nnz // 10]
    out = {"entries": counts.matrix.nnz}
    for rule in ("adagrad", "glove", "sgd"):
        embeddings.glove(counts, begin, 0, rule=rule, epochs=1)  # compiles
        ratios, speeds = [], []
        for _ in range(rounds):
            ours, _ = timed(time.process_time, embeddings.glove, counts, begin, 0, rule, epochs=4)
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
    begin = embeddings.start("gaussian", counts.words, dim, 0, dtype="float32")
    out, seconds, ratios = {"words": len(counts.words)}, {1: [], 2: []}, []
    problems = {n: dense_embeddings.SkipGram(counts, n_threads=n) for n in (1, 2)}
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
    problem = dense_embeddings.SkipGram(counts)
    begin = embeddings.start("word2vec", text.words, dim, 0, dtype="float32")
    seconds, run = timed(
        time.process_time, embeddings.sgns, text, begin, 0, epochs=5, subsample=None
    )
    target = dense_embeddings.loss(problem, run)
    # The loss is recorded at every step, which the time of the second run leaves out.
    rule, lr = dense_embeddings.word_and_matrix_adagrad, 0.3
    curve = dense_embeddings.train(problem, [begin], rule, 100, record=1, lr=lr)[0].loss
    steps = int(np.argmax(curve <= target)) if (curve <= target).any() else None
    out = {"loss of 5 epochs": round(target, 3), "dense steps": steps}
    if steps:
        whole, _ = timed(
            time.process_time, dense_embeddings.train, problem, [begin], rule, steps, lr=lr
        )
        out["stochastic / dense"] = round(seconds / whole, 2)
    print(f"equal loss: {out}", flush=True)
    return out


def near(embedding, n=10, n_words=1000):
    """Sets of the nearest neighbours of frequent words."""
    V = embeddings.unit_rows(embedding.W)
    cosine = V[:n_words] @ V.T
    cosine[np.arange(n_words), np.arange(n_words)] = -np.inf
    return [set(row) for row in np.argpartition(-cosine, n)[:, :n].tolist()]


def shared(one, other):
    """Mean Jaccard index of two lists of sets."""
    return np.mean([len(a & b) / len(a | b) for a, b in zip(one, other)])


def quality(text, docs, counts, dim, n_seeds):
    """What each kind of vectors is worth, per seed."""
    problem = dense_embeddings.SkipGram(counts)
    kinds = {"hblib": [], "gensim": [], "PPMI-SVD": [], "random": []}
    for seed in range(n_seeds):
        # gensim starts from [-1/d, 1/d), twice as wide as the C program.
        begin = embeddings.start("word2vec", text.words, dim, seed, scale=2.0, dtype="float32")
        kinds["hblib"].append(embeddings.sgns(text, begin, seed, epochs=3))
        model = gensim_model(docs, dim, seed, 1)
        model.train(docs, total_examples=len(docs), epochs=3)
        kinds["gensim"].append(as_embedding(model, text.words))
        kinds["random"].append(embeddings.start("gaussian", text.words, dim, seed))
    kinds["PPMI-SVD"].append(embeddings.ppmi_svd(corpora.cooccurrence(text), dim))
    out = {"seeds": n_seeds, "epochs": 3, "dimensions": dim, "words": len(text.words)}
    for suffix in ("s", "ing"):
        n_pairs = embeddings.suffix_rank(kinds["random"][0], suffix)[1]
        out[f"-{suffix}"] = {"pairs": n_pairs} | {
            kind: [round(embeddings.suffix_rank(model, suffix)[0], 3) for model in models]
            for kind, models in kinds.items()
        }
    out["expected loss"] = {
        kind: [round(dense_embeddings.loss(problem, model), 3) for model in kinds[kind]]
        for kind in ("hblib", "gensim")
    }
    sets = {kind: [near(model) for model in kinds[kind]] for kind in ("hblib", "gensim")}
    out["shared neighbours of 10"] = {
        kind: round(float(np.mean([shared(a, b) for a, b in combinations(sets[kind], 2)])), 3)
        for kind in sets
    } | {"across": round(float(np.mean([shared(a, b) for a, b in product(*sets.values())])), 3)}
    print(f"quality: {json.dumps(out, indent=1)}", flush=True)
    return out


def main():
    """Print and store all figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    text = corpora.shuffled(corpora.load("docstrings"), 0)
    large, small = corpora.restrict(text, min_count=5), corpora.restrict(text, 4000)
    counts = corpora.cooccurrence(small, weights="expected")
    torch.set_num_threads(1)
    with threadpool_limits(1):
        result = {
            "corpus": {"words": len(large.tokens), "vocabulary": len(large.words)},
            "rounds": options.rounds,
            "dimensions": 100,
            "skip-gram": skip_gram(large, documents(large), 100, options.rounds),
            "glove": glove(large, 100, options.rounds),
            "dense": dense(counts, 100, options.rounds),
            "equal loss": equal_loss(small, counts, 100),
            "quality": quality(small, documents(small), counts, 50, options.seeds),
        }
    options.output.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
