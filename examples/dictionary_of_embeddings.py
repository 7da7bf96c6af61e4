"""Write sentence embeddings of MiniLM as sums of few atoms, with the sentences of each atom."""

import numpy as np

from hblib import probe, sparse

SUBJECTS = "The network,A rotated copy,The dictionary,Each neuron,My neighbour,A river".split(",")
PREDICATES = (
    "is larger than we thought", "moves to the left", "was seen by nobody", "costs three euros",
    "fails when it rains", "learns nothing new", "needs more samples", "is made of a few parts",
)  # fmt: skip


def main():
    """Learn atoms of 48 sentences, each a subject and a predicate."""
    try:
        model = probe.MiniLM()
    except ImportError as error:
        print(error)
        return
    texts = [f"{subject} {predicate}." for subject in SUBJECTS for predicate in PREDICATES]
    H = probe.activations(model, texts, "", tokenizer=model.tokens, progress=False)[""]
    H = H - H.mean(axis=0)
    ksvd = sparse.KSVD(14, sparsity=2, random_state=0).fit(H)  # 6 subjects and 8 predicates
    codes = ksvd.transform(H).toarray()
    left = ((H - codes @ ksvd.components_) ** 2).sum() / (H**2).sum()
    print(f"2 of 14 atoms per sentence leave {left:.0%} of the variance unexplained")
    for atom in np.argsort(-np.abs(codes).sum(axis=0))[:4]:
        top = np.argsort(-codes[:, atom] * np.sign(codes[:, atom].sum()))[:3]
        print(f"atom {atom:2}: " + " / ".join(texts[i] for i in top))


main()
