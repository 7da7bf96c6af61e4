"""Compare the hidden layers of two networks that learned the same task."""

import torch
from sklearn.datasets import load_digits
from torch import nn

from hblib import models, similarity

data = load_digits()
x = torch.tensor(data.data / 16, dtype=torch.float32)
y = torch.tensor(data.target)


def trained(seed):
    """A network with 32 hidden units that reads digits."""
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimiser = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(200):
        optimiser.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimiser.step()
    print(f"network {seed}: accuracy {(net(x).argmax(1) == y).float().mean():.1%}")
    return net


# Rows are images, columns are the hidden units after the ReLU.
X, Y = (models.activations(trained(seed), x, layers=["1"])["1"] for seed in (0, 1))
pairs = similarity.neuron_matching(X, Y)
match = similarity.maximum_match(X, Y, epsilon=0.3)
print(f"linear CKA                     {similarity.linear_cka(X, Y):.2f}")
print(f"mean correlation of best pairs {pairs:.2f}")
print(f"units in the maximum match     {len(match.x)} of {X.shape[1]} (epsilon 0.3)")
