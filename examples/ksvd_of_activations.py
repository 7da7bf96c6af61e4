"""Write hidden activations as sums of a few atoms, and see for which digits each atom is used."""

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from torch import nn

from hblib import models, sparse

data = load_digits()
x, y = torch.tensor(data.data / 16, dtype=torch.float32), torch.tensor(data.target)
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
optimiser = torch.optim.Adam(net.parameters(), lr=0.01)
for _ in range(200):
    optimiser.zero_grad()
    nn.functional.cross_entropy(net(x), y).backward()
    optimiser.step()

H = models.activations(net, x, layers=["1"])["1"]  # (1797 images, 32 hidden units)
H = H - H.mean(axis=0)
ksvd = sparse.KSVD(64, sparsity=4, random_state=0).fit(H)
codes = ksvd.transform(H).toarray()  # four of the 64 atoms per image
pca = PCA(4).fit(H)
lost = {
    "4 of 64 atoms of K-SVD": H - codes @ ksvd.components_,
    "4 principal components": H - pca.inverse_transform(pca.transform(H)),
}
for name, rest in lost.items():
    print(f"{name}: {(rest**2).sum() / (H**2).sum():.1%} of the variance unexplained")
uses = np.stack([(codes[data.target == digit] > 0).sum(axis=0) for digit in range(10)])
share = uses.max(axis=0) / np.maximum(uses.sum(axis=0), 30)  # 30: rare atoms do not count
for atom in np.argsort(-share)[:5]:
    often = uses[:, atom]
    print(f"atom {atom:2}: {share[atom]:.0%} of {often.sum()} images show a {often.argmax()}")
