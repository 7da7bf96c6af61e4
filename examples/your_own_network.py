"""Ask a network of your own the book's questions: its axes, its units, its atoms, its symmetry."""

import torch
from sklearn.datasets import load_digits
from torch import nn

from hblib import probe

data = load_digits()
x, y = torch.tensor(data.data / 16, dtype=torch.float32), torch.tensor(data.target)
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(64, 24), nn.Tanh(), nn.Linear(24, 10))
optimiser = torch.optim.Adam(net.parameters(), lr=0.01)
for _ in range(200):
    optimiser.zero_grad()
    nn.functional.cross_entropy(net(x), y).backward()
    optimiser.step()

H = probe.activations(net, x, layers="1")["1"]  # (1797 images, 24 hidden units)
answers = [
    probe.marked_axes(H, n_rotations=199),
    probe.unit_meaning(H, data.target, n_draws=39),
    probe.few_atoms(H, sparsity=4, n_seeds=3, n_iter=5, max_samples=800),
    probe.layer_symmetry(net, "0", "2", x[:50]),
    probe.training_symmetry(net, "0", "2", torch.optim.Adam, x, y, kind="sign", n_steps=10),
]
for answer in answers:
    print(answer.question, answer.sentence, sep="\n  ")
