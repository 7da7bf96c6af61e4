"""Train the model of letters that `hblib.models.language.letter_model` reads.

``python tools/letter_model.py`` trains for a quarter of an hour on one core, writes the file of
weights and prints its SHA-256 and its loss. Another machine adds floating-point numbers in another
order and ends at other weights of the same kind, so the file that is there is the one to use;
``--check`` prints the loss of that one.
"""

import argparse
import hashlib
import io

import numpy as np
import torch

from hblib import worlds
from hblib.models import language
from hblib.models.language import _letters

# Steps, rate and batch of each stretch of Adam; rates fall as the training comes to its end.
SCHEDULE = ((3_000, 1e-2, 16), (2_000, 3e-3, 16), (1_000, 1e-3, 16), (500, 3e-4, 32))
N_POSITIONS, HELD_OUT = 96, 100_000
SEED = 8


def letters():
    """The articles as one text of letters; words with others than the 26 are left out."""
    text = worlds.wikipedia_text()
    plain = np.array([set(word) <= set(_letters.LETTERS) for word in text.words])
    words = text.words[text.tokens[plain[text.tokens]]]
    return torch.tensor(_letters.Letters().encode(" ".join(words.tolist())))


def held_out_loss(model, tokens):
    """Nats per letter on the end of the text, which training does not see."""
    rows = tokens[-HELD_OUT:][: HELD_OUT // N_POSITIONS * N_POSITIONS].view(-1, N_POSITIONS)
    return float(language.token_losses(model, rows[::4]).mean())


def train(tokens, schedule):
    """Return a model with learnt gains."""
    model = language.random_model(_letters.SIZES, rng=SEED)
    for number, (n_steps, rate, batch_size) in enumerate(schedule):
        run = language.train_language(
            model, tokens[:-HELD_OUT], "adam", n_steps, rate, batch_size, N_POSITIONS,
            learn_gains=True, rng=SEED + number,
        )  # fmt: skip
        model = run.model
        loss = held_out_loss(model, tokens)
        print(f"{n_steps} steps at {rate:g}: {loss:.3f} nats per letter", flush=True)
    return model


def packed(model):
    """Return the file's content: whole numbers by name, and the steps."""
    found = _letters.whole_numbers(model)
    buffer = io.BytesIO()
    steps = {"names": np.array(list(found)), "steps": np.array([s for s, _ in found.values()])}
    np.savez_compressed(buffer, **steps, **{name: W for name, (_, W) in found.items()})
    return buffer.getvalue()


def main():
    """Train and write, or check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="loss of the file, write nothing")
    check = parser.parse_args().check
    torch.set_num_threads(1)
    tokens = letters()
    if not check:
        content = packed(train(tokens, SCHEDULE))
        _letters.FILE.parent.mkdir(exist_ok=True)
        _letters.FILE.write_bytes(content)
        _letters.SHA256 = hashlib.sha256(content).hexdigest()
        print(f"{len(content)} bytes, SHA-256 {_letters.SHA256}")
    print(f"{held_out_loss(_letters.letter_model(), tokens):.3f} nats per letter, as kept")


if __name__ == "__main__":
    main()
