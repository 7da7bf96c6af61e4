"""Ask the book's questions of three networks that nobody here trained, in ten to fifteen minutes.

    python tools/reports.py [NAME ...]

The networks are SmolLM2-135M (its residual stream in the middle), the sentence encoder
all-MiniLM-L6-v2 and the published vectors GloVe 6B. The first two read the same sentences of the
book. Each report is an offline page and a table of outcomes in book/_static/reports, made as
`hb probe` makes them; outcomes.txt there is what book/your_network.md shows of them. MiniLM comes
from examples/minilm.lock, the others from models.lock.
"""

import json
import re
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from hblib.models import language  # noqa: E402
from hblib.probe import MiniLM, activations  # noqa: E402
from hblib.words import load_vectors  # noqa: E402
from runner.probe import probe  # noqa: E402

FOLDER = ROOT / "book" / "_static" / "reports"
MIDDLE, N_SENTENCES, N_WORDS = "residual.15", 1500, 2000
QUESTIONS = {
    "axes": "Are the axes marked?",
    "meaning": "Do units mean more?",
    "atoms": "Few atoms?",
    "alike": "Alike?",
}
ABOUT = {
    "smollm2": "**SmolLM2-135M**, the residual stream before block 15 of 30, averaged over the "
    "tokens of each sentence of this book. Labels: the chapter. Compared with MiniLM.",
    "minilm": "**MiniLM** (all-MiniLM-L6-v2), its codes of the same sentences. Labels: the "
    "chapter. Compared with SmolLM2.",
    "glove": "**GloVe 6B**, the published vectors of 50 dimensions, of 2,000 frequent words. "
    "Labels: what the word ends in. Compared with the input embeddings of SmolLM2.",
}
ENDINGS = ("s", "ed", "ing", "ly", "er", "al", "ion")


def sentences():
    """Sentences of the chapters with the chapter of each, as many as asked for, at random."""
    found = {}
    for path in sorted((ROOT / "notebooks").glob("0*.ipynb")):
        cells = json.loads(path.read_text("utf-8"))["cells"]
        text = "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
        text = re.sub(r"```.*?```|\$\$.*?\$\$", " ", text, flags=re.S)
        for block in re.split(r"\n\s*\n", text):
            block = " ".join(block.split())
            if re.match(r"[#|:<(]", block):
                continue
            block = re.sub(r"\[([^\]]*)\]\([^)]*\)|[*`_]", r"\1", block)
            for sentence in re.split(r"(?<=[.?!]) (?=[A-Z])", block):
                if 5 <= len(sentence.split()) <= 40 and not re.search(r"[${}|\\]", sentence):
                    found.setdefault(sentence, path.stem[:2])
    rng = np.random.default_rng(0)
    texts = np.array(list(found))
    chosen = np.sort(rng.permutation(len(texts))[:N_SENTENCES])
    return texts[chosen].tolist(), [f"chapter {found[text]}" for text in texts[chosen]]


def smollm2(texts):
    """Mean over a sentence's tokens, without the first, where models of this kind park a bias."""
    model = language.load("smollm2")
    rows = []
    for text in texts:
        H = language.read(model, language.encode(model, text), MIDDLE)[MIDDLE]
        rows.append(H[1:].mean(axis=0))
    return np.array(rows, dtype=np.float32)


def minilm(texts):
    """One vector for each sentence."""
    model = MiniLM()
    return activations(model, texts, "", tokenizer=model.tokens, batch_size=64)[""]


def glove():
    """Vectors of frequent words, what the words end in, and SmolLM2's embeddings of them."""
    embedding = load_vectors("glove-6b-50d", n_words=6000)
    model = language.load("smollm2")
    rows, words, tokens = [], [], []
    for i, word in enumerate(embedding.words):
        ids = language.encode(model, f" {word}")
        if len(ids) == 1 and word.isalpha() and len(word) > 2:
            rows.append(i)
            words.append(str(word))
            tokens.append(ids[0])
    words, rows = words[:N_WORDS], rows[:N_WORDS]
    longest = sorted(ENDINGS, key=len, reverse=True)
    labels = [next((f"-{e}" for e in longest if word.endswith(e)), "other") for word in words]
    theirs = language.read(model, [[t] for t in tokens[:N_WORDS]], "residual.0")["residual.0"]
    return embedding.W[rows], labels, theirs


def said(x):
    """A number of three digits."""
    return f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.3g}"


def outcomes():
    """Write what the book's page shows: a table for each report that there is."""
    parts = []
    for name, about in ABOUT.items():
        if not (FOLDER / f"{name}.csv").exists():
            continue
        table = pd.read_csv(FOLDER / f"{name}.csv")
        parts.append(f"{about}\n\n| question | answer | measured | null | in one sentence |")
        parts.append("| --- | --- | ---: | ---: | --- |")
        for row in table.itertuples():
            asked = QUESTIONS[row.question]
            cells = asked, row.answer, said(row.level), said(row.null), row.sentence
            parts.append(f"| {' | '.join(cells)} |")
        link = f'<a href="../_static/reports/{name}.html">The whole report</a>'
        parts.append(f"\n{link}, a page that needs no connection.\n")
    (FOLDER / "outcomes.txt").write_text("\n".join(parts), "utf-8")


def main(wanted):
    """Make the reports of these names."""
    made = {}
    if {"smollm2", "minilm"} & set(wanted):
        texts, chapters = sentences()
        made["smollm2"] = smollm2(texts), chapters, minilm(texts)
        made["minilm"] = made["smollm2"][2], chapters, made["smollm2"][0]
    if "glove" in wanted:
        made["glove"] = glove()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in wanted:
        H, labels, other = made[name]
        with tempfile.TemporaryDirectory() as place:
            place = Path(place)
            np.save(place / f"{name}.npy", H)
            np.save(place / "other.npy", other)
            pd.DataFrame({"label": labels}).to_csv(place / "labels.csv", index=False)
            _, page, table = probe(
                place / f"{name}.npy", place / "out", place / "labels.csv", place / "other.npy"
            )
            for written in (page, table):
                text = written.read_text("utf-8").replace(f"{place}/", "").replace("out/", "")
                text = text.replace(f"{ROOT}/", "")
                # The reports have no formulas.
                text = text.replace('<script defer src="mathjax.js"></script>', "")
                (FOLDER / written.name).write_text(text, "utf-8")
        found = pd.read_csv(FOLDER / f"{name}.csv")
        print(f"{name}: {H.shape[0]} rows of {H.shape[1]}")
        print(*found["question"].str.cat(found["sentence"], ": "), sep="\n")
        outcomes()


if __name__ == "__main__":
    main(sys.argv[1:] or ["smollm2", "minilm", "glove"])
