"""Language models: texts, the transformer cell against its formula, its equilibrium, its explicit twin, tasks and costs."""

from __future__ import annotations

import builtins
import hashlib
import math
import subprocess
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="monops_nn needs torch")
from torch import Tensor, nn  # noqa: E402

import monops  # noqa: E402
import monops_nn.training  # noqa: E402
from monops.errors import DataError, NotConvergedError, ShapeError  # noqa: E402
from monops_nn.datasets import text as texts  # noqa: E402
from monops_nn.datasets.text import Symbols, Text, encode, load_text, split_text  # noqa: E402
from monops_nn.deq import spectral_radius  # noqa: E402
from monops_nn.language import (  # noqa: E402
    EquilibriumLanguageModel,
    LanguageModel,
    TransformerCell,
    Unrolled,
    WeightTiedLanguageModel,
    generate,
    parameters_of,
)
from monops_nn.language import cost as costs  # noqa: E402
from monops_nn.language.task import LanguageTask  # noqa: E402

SENTENCE = "the cat sat on the mat; the dog sat on the cat. "


@pytest.fixture(autouse=True)
def _start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MONOPS_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    torch.manual_seed(0)


# ---------------------------------------------------------------------------------------------------------------- texts


@pytest.fixture
def wikitext(tmp_path: Path) -> Path:
    """Three small files in the layout of WikiText."""
    place = tmp_path / "data" / "wikitext-103"
    place.mkdir(parents=True)
    (place / "wiki.train.tokens").write_text(" \n = Cats = \n \n a cat is a cat , a <unk> é \n")
    (place / "wiki.valid.tokens").write_text(" a dog is a cat \n")
    (place / "wiki.test.tokens").write_text(" a cat \n")
    return tmp_path / "data"


def test_shakespeare_is_split_after_nine_tenths(tmp_path: Path) -> None:
    content = SENTENCE * 20
    (tmp_path / "tinyshakespeare.txt").write_text(content)
    text = load_text("tinyshakespeare", tmp_path)
    cut = int(0.9 * len(content))
    assert text.vocabulary.decode(text.train) == content[:cut]
    assert text.vocabulary.decode(text.validation) == content[cut:]
    assert text.vocabulary.size == len(set(content))
    assert text.train.dtype is torch.int32
    assert not len(text.test)
    assert str(tmp_path) in text.source


def test_folder_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tinyshakespeare.txt").write_text(SENTENCE)
    monkeypatch.setenv("MONOPS_DATA", str(tmp_path))
    assert load_text("tinyshakespeare").vocabulary.size == len(set(SENTENCE))


def test_download_needs_the_right_checksum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "fetch", lambda url: SENTENCE.encode())
    with pytest.raises(DataError, match=r"sha256 .* expected 86c4e6aa"):
        load_text("tinyshakespeare", tmp_path, download=True)
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(texts, "SHAKESPEARE_SHA256", hashlib.sha256(SENTENCE.encode()).hexdigest())
    assert len(load_text("tinyshakespeare", tmp_path, download=True).train) == int(0.9 * len(SENTENCE))
    assert (tmp_path / "tinyshakespeare.txt").read_text() == SENTENCE


def test_wikitext_by_words(wikitext: Path) -> None:
    text = load_text("wikitext-103", wikitext)
    words = text.vocabulary
    assert isinstance(words, Symbols)
    assert words.symbols[:2] == ("<eos>", "a")  # four ends of lines, three a
    assert words.decode(text.validation) == "a <unk> is a cat \n"
    assert words.decode(text.train).split() == ["=", "Cats", "=", "a", "cat", "is", "a", "cat", ",", "a", "<unk>", "é"]
    assert text.validation_characters == len(" a dog is a cat \n")
    assert words.decode(text.test) == "a cat \n"


def test_rare_words_count_as_unknown(wikitext: Path) -> None:
    text = load_text("wikitext-103", wikitext, minimum_count=2)
    assert text.vocabulary.decode(text.train) == "\n = <unk> = \n \n a cat <unk> a cat <unk> a <unk> <unk> \n"


def test_wikitext_by_characters_and_in_the_folder_itself(wikitext: Path) -> None:
    text = load_text("wikitext-2", wikitext / "wikitext-103", kind="characters")
    assert text.vocabulary.decode(text.validation) == " a dog is a cat \n"
    assert "é" in text.vocabulary.decode(text.train)


def test_byte_pairs_write_every_text() -> None:
    pytest.importorskip("tokenizers", reason="byte pairs need tokenizers")
    text = split_text(SENTENCE * 50, kind="byte-pairs", vocabulary_size=280)
    assert 256 < text.vocabulary.size <= 280
    assert len(text.train) < 0.7 * 0.9 * len(SENTENCE) * 50
    assert text.vocabulary.decode(encode(text.vocabulary, "the cät 猫\n sat")) == "the cät 猫\n sat"
    with pytest.raises(DataError, match="at least 256"):
        split_text(SENTENCE, kind="byte-pairs", vocabulary_size=255)


def test_byte_pairs_say_what_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "tokenizers":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DataError, match=r"pip install .monops\[text\]"):
        split_text(SENTENCE, kind="byte-pairs")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"name": "moby-dick"}, "unknown: choose one of tinyshakespeare"),
        ({"name": "tinyshakespeare"}, "was not found.*download=True"),
        ({"name": "wikitext-103"}, "was not found.*wiki.train.tokens"),
        ({"name": "wikitext-2", "folder": True, "kind": "letters"}, "kind='letters' is unknown"),
        ({"name": "wikitext-2", "folder": True, "minimum_count": 0}, "minimum_count=0 must be a positive integer"),
    ],
)
def test_loaders_say_what_is_wrong(settings: dict[str, Any], sentence: str, wikitext: Path, tmp_path: Path) -> None:
    folder = wikitext / "wikitext-103" if settings.pop("folder", False) else tmp_path
    with pytest.raises(DataError, match=sentence):
        load_text(folder=folder, **settings)


def test_texts_that_are_no_texts(tmp_path: Path, wikitext: Path) -> None:
    (tmp_path / "tinyshakespeare.txt").write_bytes(b"ab\xff\xfe" * 9)
    with pytest.raises(DataError, match="no text in UTF-8"):
        load_text("tinyshakespeare", tmp_path)
    (wikitext / "wikitext-103" / "wiki.valid.tokens").write_text("")
    with pytest.raises(DataError, match="empty part"):
        load_text("wikitext-103", wikitext)
    for short in ("", "a"):
        with pytest.raises(DataError, match="too short to be split"):
            split_text(short)
    with pytest.raises(DataError, match="share between 0 and 1"):
        split_text(SENTENCE, validation=1.0)


def test_vocabularies_refuse_what_they_do_not_list() -> None:
    letters = Symbols(tuple("abc"))
    with pytest.raises(DataError, match="'z' is not among the 3 characters"):
        encode(letters, "abz")
    for number in (-1, 3):
        with pytest.raises(DataError, match=f"{number} is the number of no symbol"):
            letters.decode([number])
    with pytest.raises(DataError, match="'a' is listed twice"):
        Symbols(("a", "b", "a"))
    with pytest.raises(DataError, match="must hold <unk> and <eos>"):
        Symbols(("a", "b"), words=True)


# ----------------------------------------------------------------------------------------------------------------- cell


def slow_cell(cell: TransformerCell, z: Tensor, x: Tensor, masks: tuple[Tensor, ...] = ()) -> Tensor:
    """The formula of the cell, position by position and head by head; rotary pairs as complex numbers."""
    batch, length, width = z.shape
    size = width // cell.heads
    u = cell.inject(x)
    image = torch.zeros_like(z)
    for b in range(batch):
        q, k, v = (cell.attention(z[b]) + u[b, :, : 3 * width]).split(width, -1)
        for t in range(length):
            branch = []
            for h in range(cell.heads):
                part = slice(h * size, (h + 1) * size)
                scores = []
                for s in range(t + 1):
                    if cell.positions == "rotary":
                        w = 10_000.0 ** (-torch.arange(size // 2, dtype=z.dtype) / (size // 2))
                        a, c = (torch.complex(y[: size // 2], y[size // 2 :]) for y in (q[t, part], k[s, part]))
                        product = (a * torch.polar(torch.ones_like(w), (t - s) * w) * c.conj()).sum().real / math.sqrt(size)
                    else:
                        product = q[t, part] @ k[s, part] / math.sqrt(size)
                        product = product + cell.distance_scores[h, min(t - s, cell.distance_scores.shape[1] - 1)]
                    scores.append(product)
                weights = torch.softmax(torch.stack(scores), 0)
                branch.append(weights @ v[: t + 1, part])
            mixed = cell.attention_out(torch.cat(branch))
            mixed = mixed * masks[0][b] if masks else mixed
            y = cell.attention_norm(z[b, t] + u[b, t, 3 * width :] + mixed)
            forward = cell.feedforward_out(nn.functional.gelu(cell.feedforward_in(y)))
            forward = forward * masks[1][b] if masks else forward
            image[b, t] = cell.feedforward_norm(y + forward)
    return image


@pytest.mark.parametrize(
    "settings", [{}, {"fused": True}, {"positions": "relative", "distances": 3}, {"dropout": 0.4}], ids=str
)
def test_cell_is_its_formula(settings: dict[str, Any]) -> None:
    cell = TransformerCell(8, 2, hidden=12, **settings).double()
    if cell.positions == "relative":
        nn.init.normal_(cell.distance_scores)
    z, x = torch.randn(2, 2, 5, 8, dtype=torch.float64).unbind()
    masks = cell.masks(x)
    assert len(masks) == (2 if cell.dropout else 0)
    with torch.no_grad():
        torch.testing.assert_close(cell(z, cell.inject(x), *masks), slow_cell(cell, z, x, masks), rtol=1e-12, atol=1e-12)


def test_dropout_is_drawn_once_a_solve() -> None:
    cell = TransformerCell(8, 2, dropout=0.5)
    x = torch.randn(64, 3, 8)
    first, second = (cell.masks(x, torch.Generator().manual_seed(seed)) for seed in (0, 0))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert set(torch.cat(first).unique().tolist()) == {0.0, 2.0}
    assert abs(float(torch.cat(first).mean()) - 1.0) < 0.15
    model = EquilibriumLanguageModel(11, 8, 2, cell={"dropout": 0.5}, tol=1e-5, on_failure="raise")
    tokens = torch.randint(11, (4, 6))
    assert not torch.equal(model(tokens), model(tokens))
    inputs = model.inputs(tokens)
    with torch.no_grad():
        z = model.layer(*inputs)
        assert float((z - model.cell(z, *inputs)).norm() / z.norm()) < 2e-5  # a fixed point, of one map
    model.eval()
    assert torch.equal(model(tokens), model(tokens))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"width": 0}, "width=0 must be a positive integer"),
        ({"heads": 2.0}, "heads=2.0 must be a positive integer"),
        ({"hidden": -1}, "hidden=-1 must be"),
        ({"width": 10}, "width=10 must be a multiple of 4 for 2 heads and rotary"),
        ({"positions": "sinusoidal"}, "choose one of rotary, relative"),
        ({"dropout": 1.0}, "dropout=1.0 must be a share"),
    ],
)
def test_cell_settings_that_cannot_be_meant(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        TransformerCell(**{"width": 8, "heads": 2, **settings})


def test_cell_shapes_that_do_not_fit() -> None:
    cell = TransformerCell(8, 2)
    z, u = torch.zeros(2, 3, 8), torch.zeros(2, 3, 32)
    with pytest.raises(ShapeError, match=r"injection has shape \(2, 3, 8\)"):
        cell(z, z)
    with pytest.raises(ShapeError, match=r"state has shape \(2, 4, 8\)"):
        cell(torch.zeros(2, 4, 8), u)
    with pytest.raises(ShapeError, match="masks have shapes"):
        cell(z, u, torch.ones(2, 8), torch.ones(3, 8))


# --------------------------------------------------------------------------------------------------------------- models


def twins(dtype: torch.dtype = torch.float64, depth: int = 200, **cell: Any) -> tuple[LanguageModel, LanguageModel]:
    """An equilibrium and an explicit network of the same parameters, with a cell that contracts."""
    deq = EquilibriumLanguageModel(7, 8, 2, cell=cell, tol=1e-13, max_iter=500, on_failure="raise").to(dtype)
    explicit = WeightTiedLanguageModel(7, 8, 2, depth=depth, cell=cell).to(dtype)
    for end in (deq.cell.attention_out, deq.cell.feedforward_out):
        nn.init.normal_(end.weight, std=0.02)
    explicit.load_state_dict(parameters_of(deq))
    return deq, explicit


@pytest.mark.parametrize("positions", ["rotary", "relative"])
def test_depth_without_end_is_the_equilibrium(positions: str) -> None:
    deq, explicit = twins(positions=positions)
    tokens = torch.randint(7, (3, 5))
    inputs = deq.inputs(tokens)
    solution = deq.layer.solve(*inputs)
    assert float(spectral_radius(deq.cell, solution.z, *inputs).max()) < 0.9
    torch.testing.assert_close(explicit(tokens), deq(tokens), rtol=1e-11, atol=1e-11)
    gradients = []
    for model in (deq, explicit):
        model.loss(tokens[:, :-1], tokens[:, 1:]).backward()
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-8, atol=1e-10, msg=name)


def test_few_uses_are_not_the_equilibrium() -> None:
    deq, explicit = twins(depth=2)
    tokens = torch.randint(7, (3, 5))
    with torch.no_grad():
        assert float((explicit(tokens) - deq(tokens)).abs().max()) > 1e-3


def test_gradient_of_the_equilibrium() -> None:
    model, _ = twins()
    tokens = torch.randint(7, (2, 3))
    parameters = tuple(model.parameters())
    assert len(parameters) == 14
    assert torch.autograd.gradcheck(lambda *_: model(tokens), parameters, eps=1e-6, atol=1e-6, rtol=1e-5, fast_mode=True)


@torch.no_grad()
@pytest.mark.parametrize("positions", ["rotary", "relative"])
def test_no_position_reads_the_tokens_after_it(positions: str) -> None:
    deq, explicit = twins(depth=6, positions=positions)
    first = torch.randint(7, (2, 6))
    for model in (deq, explicit):
        before = model(first)
        for t in range(1, 6):
            other = first.clone()
            other[:, t:] = (other[:, t:] + 1 + torch.randint(6, other[:, t:].shape)) % 7
            after = model(other)
            torch.testing.assert_close(after[:, :t], before[:, :t], rtol=1e-10, atol=1e-10)
            assert float((after[:, t:] - before[:, t:]).abs().max()) > 1e-3


@torch.no_grad()
def test_order_of_the_tokens_counts() -> None:
    deq, _ = twins()
    scores = deq(torch.tensor([[1, 2, 3], [2, 1, 3]]))
    assert float((scores[0, 2] - scores[1, 2]).abs().max()) > 1e-6


def test_parameters_are_the_same_and_weights_are_tied() -> None:
    deq, explicit = twins()
    assert [(n, p.shape) for n, p in deq.named_parameters()] == [(n, p.shape) for n, p in explicit.named_parameters()]
    assert deq.scores.weight is deq.embedding.weight
    loose = EquilibriumLanguageModel(7, 8, 2, tied=False)
    assert sum(p.numel() for p in loose.parameters()) == sum(p.numel() for p in deq.parameters()) + 7 * 8


@pytest.mark.parametrize(
    ("tokens", "error", "sentence"),
    [
        (torch.tensor([[1, 7]]), DataError, r"token 7 is outside of the vocabulary 0\.\.6"),
        (torch.tensor([[-1, 1]]), DataError, "token -1 is outside"),
        (torch.zeros(1, 3), DataError, "int64 or int32, got torch.float32"),
        (torch.zeros(1, 0, dtype=torch.int64), DataError, "has no token"),
        (torch.tensor([1, 2]), ShapeError, r"\(batch, length\) is needed"),
    ],
)
def test_tokens_that_are_none(tokens: Tensor, error: type[Exception], sentence: str) -> None:
    for model in twins(depth=2):
        with pytest.raises(error, match=sentence):
            model(tokens)


def test_sizes_that_cannot_be_meant() -> None:
    with pytest.raises(DataError, match="vocabulary=0"):
        EquilibriumLanguageModel(0)
    with pytest.raises(DataError, match="depth=0 must be a positive integer"):
        Unrolled(TransformerCell(8, 2), 0)


# ----------------------------------------------------------------------------------------------------------- generation


def test_generation_takes_the_most_probable_token() -> None:
    for model in twins(depth=3):
        found = generate(model, torch.tensor([[1, 2], [3, 4]]), 4, temperature=0.0)
        tokens = torch.tensor([[1, 2], [3, 4]])
        for _ in range(4):
            tokens = torch.cat((tokens, model(tokens)[:, -1].argmax(-1, keepdim=True)), 1)
        assert torch.equal(found.tokens, tokens)
        assert model.training


@pytest.mark.parametrize("context", [None, 5])
def test_a_warm_start_saves_iterations_and_changes_nothing(context: int | None) -> None:
    model = EquilibriumLanguageModel(7, 32, 4, tol=1e-6).double()
    prompt = torch.randint(7, (12,))
    warm, cold = (
        generate(model, prompt, 6, context=context, warm_start=start, generator=torch.Generator().manual_seed(1))
        for start in (True, False)
    )
    assert torch.equal(warm.tokens, cold.tokens)
    assert warm.iterations[0] == cold.iterations[0]
    if context is None:  # otherwise the state of each position moves when the first one leaves
        assert sum(warm.iterations[1:]) < 0.8 * sum(cold.iterations[1:])


def test_generation_refuses_nonsense() -> None:
    model, _ = twins()
    prompt = torch.tensor([1])
    for settings in ({"length": -1}, {"length": 1, "temperature": -1.0}, {"length": 1, "context": 0}):
        with pytest.raises(DataError, match="must be a"):
            generate(model, prompt, **settings)
    with torch.no_grad():
        model.scores.bias[0] = math.nan
    with pytest.raises(NotConvergedError, match="scores are not finite"):
        generate(model, prompt, 1)


# ----------------------------------------------------------------------------------------------------------------- task


@pytest.fixture
def text() -> Text:
    return split_text(SENTENCE * 30, "an example")


def task_on(text: Text, depth: int | None = 3, **settings: Any) -> LanguageTask:
    size = text.vocabulary.size
    model: LanguageModel = (
        EquilibriumLanguageModel(size, 16, 2, tol=1e-4, on_failure="ignore")
        if depth is None
        else WeightTiedLanguageModel(size, 16, 2, depth=depth)
    )
    return LanguageTask(text, model, **{"context": 10, "batch_size": 4, **settings})


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_batches_are_decided_by_the_seed(text: Text) -> None:
    task, again = task_on(text), task_on(text, None)
    one, two, other = task.batch(3, generator(5), generator()), again.batch(3, generator(5), generator(1)), generator(6)
    assert torch.equal(one.tokens, two.tokens)
    assert not torch.equal(one.tokens, task.batch(3, other, generator()).tokens)
    content = text.vocabulary.decode(text.train)
    for tokens, targets in zip(one.tokens, one.targets, strict=True):
        assert text.vocabulary.decode(tokens) + text.vocabulary.decode(targets[-1:]) in content


def test_every_place_of_the_training_part_is_drawn(text: Text) -> None:
    task = task_on(text._replace(train=torch.arange(13, dtype=torch.int32)), batch_size=200)
    batch = task.batch(0, generator(), generator())
    assert set(batch.tokens[:, 0].tolist()) == {0, 1, 2}
    assert int(batch.targets.max()) == 12


def test_evaluation_counts_every_token_once(text: Text) -> None:
    task = task_on(text)
    assert (len(text.validation) - 1) % 10  # a rest
    nats, part = 0.0, text.validation.long()
    with torch.no_grad():
        for begin in range(0, len(part) - 1, 10):
            targets = part[begin + 1 : begin + 11]
            scores = task.model(part[begin : begin + len(targets)][None])[0]
            nats -= float(scores.log_softmax(-1)[torch.arange(len(targets)), targets].double().sum())
    found = task.evaluate()
    loss = nats / (len(part) - 1)
    assert found["loss"] == pytest.approx(loss, rel=1e-5)
    assert found["perplexity"] == pytest.approx(math.exp(loss), rel=1e-5)
    assert found["bits_per_character"] == pytest.approx(loss / math.log(2.0), rel=1e-5)  # tokens are characters


def test_a_penalty_makes_the_jacobian_smaller(text: Text) -> None:
    radii = []
    for weight in (0.0, 3.0):
        torch.manual_seed(0)
        task = task_on(text, None, jacobian_weight=weight)
        optimizer = torch.optim.Adam(task.model.parameters(), lr=1e-2)
        for step in range(12):
            loss, notes = task.loss(task.batch(step, generator(step), generator()))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        radii.append(task.look()["spectral_radius"])
        assert ("jacobian_penalty" in notes) == (weight > 0)
        if weight:
            assert float(loss.detach()) == pytest.approx(notes["cross_entropy"] + weight * notes["jacobian_penalty"], rel=1e-5)
        assert notes["perplexity"] < 15
    assert radii[1] < 0.8 * radii[0]


def test_a_look_tells_iterations_and_residual(text: Text) -> None:
    deq, explicit = (task_on(text, depth).look() for depth in (None, 3))
    assert deq["residual"] <= 1e-4
    assert 3 < deq["mean_iterations"] <= deq["iterations"]
    assert deq["forward_uses"] >= deq["iterations"]
    assert deq["backward_uses"] > 3
    assert (explicit["iterations"], explicit["forward_uses"], explicit["backward_uses"]) == (3, 3, 3)
    assert explicit["residual"] > 1e-2
    assert 0.0 < deq["spectral_radius"] < 1.5


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"context": 200}, "has a part of .* tokens, but context=200 needs 201"),
        ({"batch_size": 0}, "batch_size=0 must be a positive integer"),
        ({"epoch_steps": 0}, "epoch_steps=0 must be"),
        ({"jacobian_weight": -1.0}, "jacobian_weight=-1.0 must be"),
        ({"jacobian_weight": 1.0}, "is for an equilibrium"),
    ],
)
def test_tasks_that_cannot_be_meant(settings: dict[str, Any], sentence: str, text: Text) -> None:
    with pytest.raises(DataError, match=sentence):
        task_on(text, **settings)


def test_the_vocabulary_must_be_that_of_the_model(text: Text) -> None:
    with pytest.raises(DataError, match="the model has 5 tokens"):
        LanguageTask(text, WeightTiedLanguageModel(5, 8, 2), context=10)


def test_task_of_options(wikitext: Path) -> None:
    options = monops_nn.training.Options(
        data="wikitext-103", model="transformer", batch_size=2, tolerance=1e-3, folder=wikitext
    )
    task = LanguageTask.of(options, width=8, heads=2, context=4, max_iter=9, positions="relative", jacobian_weight=0.1)
    assert (task.model.layer.tol, task.model.layer.max_iter, task.model.cell.positions) == (1e-3, 9, "relative")
    assert math.isfinite(float(task.loss(task.batch(0, generator(), generator()))[0].detach()))
    twin = LanguageTask.of(options, width=8, heads=2, context=4, explicit_depth=5, positions="relative")
    assert twin.model.layer.depth == 5
    twin.model.load_state_dict(parameters_of(task.model))


# ----------------------------------------------------------------------------------------------------------------- cost


def test_uses_are_counted() -> None:
    deq, explicit = twins(torch.float32, depth=4)
    deq.layer.algorithm = deq.layer.backward_algorithm = monops.Picard()
    deq.layer.tol = deq.layer.backward_tol = 1e-3
    tokens = torch.randint(7, (1, 5))
    with costs.uses_of(explicit.cell) as uses:
        explicit(tokens).sum().backward()
    assert (uses.forward, uses.backward) == (4, 4)
    with costs.uses_of(deq.cell) as uses:
        deq(tokens).square().sum().backward()
    assert uses.forward >= int(deq.layer.solve(*deq.inputs(tokens)).iterations.max())
    assert uses.backward > 2
    with costs.uses_of(deq.cell) as uses:
        pass
    deq(tokens)
    assert (uses.forward, uses.backward) == (0, 0)  # no longer counted


def kept_bytes(model: LanguageModel) -> int:
    """What autograd keeps in one training step."""
    kept: dict[int, int] = {}

    def keep(value: Tensor) -> Tensor:
        kept[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
        return value

    tokens = torch.randint(7, (8, 17))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        model.loss(tokens[:, :-1], tokens[:, 1:]).backward()
    return sum(kept.values())


def test_memory_of_the_equilibrium_does_not_grow_with_its_iterations() -> None:
    def at(iterations: int) -> tuple[int, int]:
        deq, explicit = twins(depth=iterations)
        deq.layer.tol, deq.layer.max_iter, deq.layer.on_failure = 1e-30, iterations, "ignore"
        return kept_bytes(deq), kept_bytes(explicit)

    (deq, explicit), (deeper_deq, deeper_explicit) = at(6), at(24)
    assert deeper_deq < 1.2 * deq
    assert deeper_explicit > 3.0 * explicit > 3.0 * deq


def test_a_step_is_measured_in_its_own_process() -> None:
    found = costs.step_cost("explicit", 3, width=16, heads=2, context=64, batch=32, repeats=1)
    assert (found.forward, found.backward) == (3, 3)
    assert found.memory_mb > 1.0  # three uses keep 6 MB
    assert found.seconds > 0.0


def test_a_process_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="kind='implicit' is unknown"):
        costs.step_cost("implicit", 3)
    failed = subprocess.CompletedProcess([], 1, "", "Traceback\nDataError: depth=0 must be a positive integer\n")
    monkeypatch.setattr(costs.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(DataError, match=r"depth 0 failed: DataError: depth=0 must be a positive integer"):
        costs.step_cost("explicit", 0)
