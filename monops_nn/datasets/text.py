"""Texts for language models: tinyshakespeare, WikiText-2 and WikiText-103, as numbers of characters, words or byte pairs."""

from __future__ import annotations

import hashlib
import io
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from monops.errors import DataError
from monops_nn.datasets.digits import fetch, places, within

SHAKESPEARE = "tinyshakespeare.txt"
SHAKESPEARE_URL = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
SHAKESPEARE_SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
WIKITEXT = ("wiki.train.tokens", "wiki.valid.tokens", "wiki.test.tokens")
KINDS = ("characters", "words", "byte-pairs")
UNKNOWN, END = "<unk>", "<eos>"
Lines = Callable[[], Iterable[str]]  # reads a part of a text anew, line by line, ends of lines included


class Vocabulary(Protocol):
    """What turns text into numbers 0..size - 1 and back."""

    @property
    def size(self) -> int:
        """How many symbols there are."""
        ...

    def encode_lines(self, lines: Iterable[str]) -> Iterator[Sequence[int]]:
        """The numbers of each line."""
        ...

    def decode(self, tokens: Tensor | Sequence[int]) -> str:
        """The text of numbers."""
        ...


def encode(vocabulary: Vocabulary, text: str) -> Tensor:
    """The numbers (int64) of a text."""
    return _encoded(vocabulary, io.StringIO(text)).long()


@dataclass(frozen=True)
class Symbols:
    """Characters, or words between blanks, numbered.

    Parameters
    ----------
    symbols : tuple of str
        The symbol of each number.
    words : bool, default False
        Whether symbols are words; the end of a line is then the word <eos>, and a word that is not listed counts as <unk>.

    Raises
    ------
    DataError
        For symbols listed twice, or words without <eos> and <unk>; for a character that is not listed; for a number of none.

    Notes
    -----
    **Cost** one look-up a symbol.

    Examples
    --------
    >>> letters = Symbols(tuple("abn"))
    >>> encode(letters, "banana"), letters.decode([1, 0, 2])
    (tensor([1, 0, 2, 0, 2, 0]), 'ban')
    >>> words = Symbols(("<unk>", "<eos>", "to", "be"), words=True)
    >>> words.decode(encode(words, "to see or to be"))
    'to <unk> <unk> to be'
    """

    symbols: tuple[str, ...]
    words: bool = False

    def __post_init__(self) -> None:
        if len(self.numbers) != len(self.symbols):
            twice = Counter(self.symbols).most_common(1)[0][0]
            raise DataError(f"the symbol {twice!r} is listed twice in the vocabulary")
        if self.words and not {UNKNOWN, END} <= set(self.symbols):
            raise DataError(f"a vocabulary of words must hold {UNKNOWN} and {END}")

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each symbol."""
        return {symbol: number for number, symbol in enumerate(self.symbols)}

    @property
    def size(self) -> int:
        return len(self.symbols)

    def encode_lines(self, lines: Iterable[str]) -> Iterator[list[int]]:
        numbers = self.numbers
        unknown = numbers[UNKNOWN] if self.words else -1
        for line in lines:
            parts = _words(line) if self.words else line
            found = [numbers.get(part, unknown) for part in parts]
            if not self.words and unknown in found:
                raise DataError(
                    f"{line[found.index(unknown)]!r} is not among the {self.size} characters of this vocabulary: leave it out"
                )
            yield found

    def decode(self, tokens: Tensor | Sequence[int]) -> str:
        numbers = [int(token) for token in tokens]
        bad = [number for number in numbers if not 0 <= number < self.size]
        if bad:
            raise DataError(f"{bad[0]} is the number of no symbol: the vocabulary has 0 to {self.size - 1}")
        if not self.words:
            return "".join(self.symbols[number] for number in numbers)
        return " ".join("\n" if self.symbols[number] == END else self.symbols[number] for number in numbers)


class BytePairs:
    """Byte pairs (Sennrich, Haddow and Birch 2016) over UTF-8, by the package `tokenizers`: every text can be written.

    Parameters
    ----------
    lines : iterable of str
        What the pairs are learnt from.
    size : int, default 1000
        Symbols, at least the 256 bytes.

    Raises
    ------
    DataError
        When `tokenizers` is not installed, or size is below 256.
    """

    def __init__(self, lines: Iterable[str], size: int = 1000) -> None:
        if size < 256:
            raise DataError(f"vocabulary_size={size} must be at least 256, one symbol for each byte")
        try:
            from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
        except ImportError:
            raise DataError("byte pairs need the package tokenizers: pip install 'monops[text]', or take characters") from None
        self.tokenizer: Any = Tokenizer(models.BPE())
        self.tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        self.tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
        self.tokenizer.train_from_iterator(lines, trainer)

    @property
    def size(self) -> int:
        return int(self.tokenizer.get_vocab_size())

    def encode_lines(self, lines: Iterable[str]) -> Iterator[list[int]]:
        return (self.tokenizer.encode(line).ids for line in lines)

    def decode(self, tokens: Tensor | Sequence[int]) -> str:
        return str(self.tokenizer.decode([int(token) for token in tokens]))


class Text(NamedTuple):
    """Numbers (int32) of the parts of a text, their vocabulary, how many characters validation has, and where it came from."""

    train: Tensor
    validation: Tensor
    test: Tensor
    vocabulary: Vocabulary
    validation_characters: int
    source: str


def split_text(text: str, source: str = "a text", *, validation: float = 0.1, **vocabulary: Any) -> Text:
    """A text as numbers: its first part to train on, its last part for validation.

    Parameters
    ----------
    text : str
    source : str
        Where it came from, for records.
    validation : float, default 0.1
        Share of the last part.
    **vocabulary
        As in `load_text`.

    Raises
    ------
    DataError
        For an empty text, a share outside (0, 1), or settings of the vocabulary that are unknown.

    Examples
    --------
    >>> text = split_text("to be or not to be ", validation=0.5)
    >>> len(text.train), text.vocabulary.decode(text.validation)
    (9, 'not to be ')
    """
    if not 0.0 < validation < 1.0:
        raise DataError(f"validation={validation!r} must be a share between 0 and 1")
    cut = int((1.0 - validation) * len(text))
    if not 0 < cut < len(text):
        raise DataError(f"a text of {len(text)} characters is too short to be split")
    return _text((text[:cut], text[cut:], ""), source, **vocabulary)


def load_text(name: str, folder: str | Path | None = None, *, download: bool = False, **vocabulary: Any) -> Text:
    """A text as numbers: "tinyshakespeare", "wikitext-2" or "wikitext-103".

    Parameters
    ----------
    name : str
    folder : path, optional
        Holds tinyshakespeare.txt, or wiki.train.tokens, wiki.valid.tokens and wiki.test.tokens, directly or in a folder of the
        text's name; nothing else is then tried. Default: the environment variable MONOPS_DATA, then ~/.cache/monops.
    download : bool, default False
        When nothing is found, fetch tinyshakespeare with its checksum. WikiText has to be fetched by hand.
    kind : {"characters", "words", "byte-pairs"}, optional
        What is numbered. Default: characters of tinyshakespeare, words of WikiText.
    minimum_count : int, default 1
        Words that occur less often in the training part count as <unk>.
    vocabulary_size : int, default 1000
        Of byte pairs.

    Returns
    -------
    Text

    Raises
    ------
    DataError
        For another name or setting; when files are damaged or not there, with what to set.

    Notes
    -----
    Tinyshakespeare is split into its first 90 and last 10 per cent. Words and byte pairs are chosen by the training part alone;
    the alphabet is that of all parts. **Memory** 4 bytes a token: files are read line by line, twice.

    References
    ----------
    Merity et al. (2017), Pointer sentinel mixture models (WikiText). Karpathy (2015), char-rnn (tinyshakespeare).
    """
    if name not in TEXTS:
        raise DataError(f"the text {name!r} is unknown: choose one of {', '.join(TEXTS)}")
    return TEXTS[name](folder, download=download, **vocabulary)


def _shakespeare(folder: str | Path | None, *, download: bool, **vocabulary: Any) -> Text:
    cache = Path.home() / ".cache" / "monops"
    for root in places(folder, cache):
        for place in (root / "tinyshakespeare", root):
            if (place / SHAKESPEARE).is_file():
                return split_text(_read(place / SHAKESPEARE), f"tinyshakespeare ({place})", **vocabulary)
    if download:
        content = fetch(SHAKESPEARE_URL)
        found = hashlib.sha256(content).hexdigest()
        if found != SHAKESPEARE_SHA256:
            raise DataError(
                f"{SHAKESPEARE_URL} has sha256 {found}, expected {SHAKESPEARE_SHA256}: it is damaged or another file"
            )
        target = Path(folder) if folder is not None else cache
        target.mkdir(parents=True, exist_ok=True)
        (target / SHAKESPEARE).write_bytes(content)
        return _shakespeare(target, download=False, **vocabulary)
    raise DataError(
        f"tinyshakespeare was not found{within(folder)}: set MONOPS_DATA to a folder that holds {SHAKESPEARE}, or ask for the "
        "download (download=True, --download)"
    )


def _wikitext(name: str, folder: str | Path | None, *, download: bool, **vocabulary: Any) -> Text:
    for root in places(folder, Path.home() / ".cache" / "monops"):
        for place in (root / name, root / f"{name}-v1", root):
            if all((place / file).is_file() for file in WIKITEXT):
                parts = tuple(partial(_lines_of, place / file) for file in WIKITEXT)
                return _text(parts, f"{name} ({place})", **{"kind": "words", **vocabulary})
    raise DataError(
        f"{name} was not found{within(folder)}: fetch it by hand and set MONOPS_DATA to a folder that holds {name}/ with "
        f"{', '.join(WIKITEXT)}"
    )


def _read(path: Path) -> str:
    return "".join(_lines_of(path))


def _lines_of(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8") as stream:
            yield from stream
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text in UTF-8 ({error}): fetch it again") from error


def _text(
    parts: Sequence[str | Lines], source: str, *, kind: str = "characters", minimum_count: int = 1, vocabulary_size: int = 1000
) -> Text:
    if kind not in KINDS:
        raise DataError(f"kind={kind!r} is unknown: choose one of {', '.join(KINDS)}")
    for setting, value in (("minimum_count", minimum_count), ("vocabulary_size", vocabulary_size)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise DataError(f"{setting}={value!r} must be a positive integer")
    readers: list[Lines] = [partial(io.StringIO, part) if isinstance(part, str) else part for part in parts]
    vocabulary: Vocabulary
    if kind == "characters":
        vocabulary = Symbols(tuple(sorted({symbol for reader in readers for line in reader() for symbol in set(line)})))
    elif kind == "words":
        vocabulary = _word_vocabulary(readers[0](), minimum_count)
    else:
        vocabulary = BytePairs(readers[0](), vocabulary_size)
    train, validation, test = (_encoded(vocabulary, reader()) for reader in readers)
    if not len(train) or not len(validation):
        raise DataError(f"{source} has an empty part to train on, or for validation: fetch it again")
    return Text(train, validation, test, vocabulary, sum(map(len, readers[1]())), source)


def _word_vocabulary(lines: Iterable[str], minimum_count: int) -> Symbols:
    """Words by falling frequency, <unk> and <eos> among them."""
    counts = Counter({UNKNOWN: 0, END: 0})
    for line in lines:
        counts.update(_words(line))
    kept = (word for word, count in counts.items() if count >= minimum_count or word in (UNKNOWN, END))
    return Symbols(tuple(sorted(kept, key=lambda word: (-counts[word], word))), words=True)


def _words(line: str) -> list[str]:
    return [*line.split(), END] if line.endswith("\n") else line.split()


def _encoded(vocabulary: Vocabulary, lines: Iterable[str]) -> Tensor:
    """All numbers in one array of 4 bytes each."""
    numbers = array("i")
    for line in vocabulary.encode_lines(lines):
        numbers.extend(line)
    return torch.from_numpy(np.array(numbers, dtype=np.int32))


TEXTS: Mapping[str, Callable[..., Text]] = MappingProxyType(
    {
        "tinyshakespeare": _shakespeare,
        "wikitext-2": partial(_wikitext, "wikitext-2"),
        "wikitext-103": partial(_wikitext, "wikitext-103"),
    }
)
