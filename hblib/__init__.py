"""The Hidden Basis: do hidden units mean anything, or only the space they span.

One room per idea, each imported by itself; a room imports only from those before it in this list.

========== =====================================================================================
claims     the register of claims, criteria, `check`, records and cards
figures    one look for figures and tables
worlds     data with known facts: digits, faces, scenes, speech, texts
rotation   orthogonal maps, factorisations, training rules and the symmetry each of them keeps
similarity subspace match, the CCA family, CKA, Procrustes, RSA
meaning    what a direction has to do with the world
words      vocabularies, word vectors and their files, skip-gram, GloVe
sparse     orthogonal matching pursuit, K-SVD, TopK autoencoder, recovery
grid       layers on a map: surfaces, penalties, layout, measures
models     small networks side by side, autoencoder, captioner, a language model, any module
probe      the book's questions, asked of your own network
========== =====================================================================================

>>> from hblib import similarity
>>> round(similarity.linear_cka([[0, 1], [1, 0], [1, 1]], [[1, 0], [0, 1], [1, 1]]), 6)
1.0
"""

__version__ = "0.2.0"
