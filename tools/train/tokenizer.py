"""A byte-level BPE tokenizer for ASCII text: in GGUF files "gpt2", with the pre-tokenizer "llama-bpe"."""

import re
from collections import Counter
from itertools import pairwise

# llama.cpp's for "llama-bpe" (src/llama-vocab.cpp), for ASCII.
WORD = re.compile(
    r"'(?:[sS]|[tT]|[rR][eE]|[vV][eE]|[mM]|[lL][lL]|[dD])|[^\r\nA-Za-z0-9]?[A-Za-z]+|[0-9]{1,3}"
    r"| ?[^\sA-Za-z0-9]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL = ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"]


def byte_alphabet() -> list[str]:
    """GPT-2's printable stand-ins for the 256 bytes, in byte order: the space is "Ġ"."""
    hidden = iter(range(256, 512))
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    return [chr(byte) if byte in printable else chr(next(hidden)) for byte in range(256)]


ALPHABET = byte_alphabet()


class Tokenizer:
    """Tokens 0 to 255 are the bytes; then comes what each merge makes, in order; the special ones are last."""

    def __init__(self, text: str, vocabulary: int) -> None:
        self.merges = learned_merges(text, vocabulary - 256 - len(SPECIAL))
        self.tokens = [*ALPHABET, *("".join(pair) for pair in self.merges), *SPECIAL]
        self.ranks = {pair: rank for rank, pair in enumerate(self.merges)}
        self.ids = {token: number for number, token in enumerate(self.tokens)}
        self.known: dict[str, list[int]] = {}

    def encode(self, text: str) -> list[int]:
        return [token for word in WORD.findall(text) for token in self.of_word(word)]

    def decode(self, tokens: list[int]) -> str:
        return bytes(ALPHABET.index(letter) for token in tokens for letter in self.tokens[token]).decode()

    def of_word(self, word: str) -> list[int]:
        if word not in self.known:
            parts = spelled(word)
            while ranked := [(self.ranks[pair], pair) for pair in pairwise(parts) if pair in self.ranks]:
                parts = merged(parts, min(ranked)[1])
            self.known[word] = [self.ids[part] for part in parts]
        return self.known[word]


def spelled(word: str) -> list[str]:
    return [ALPHABET[byte] for byte in word.encode()]


def merged(parts: list[str], pair: tuple[str, str]) -> list[str]:
    result: list[str] = []
    for part in parts:
        if result and (result[-1], part) == pair:
            result[-1] += part
        else:
            result.append(part)
    return result


def learned_merges(text: str, count: int) -> list[tuple[str, str]]:
    """Each joins the pair that is then the most frequent; of several, the first in the alphabet."""
    words = [(spelled(word), times) for word, times in Counter(WORD.findall(text)).items()]
    merges = []
    for _ in range(count):
        pairs: Counter[tuple[str, str]] = Counter()
        for parts, times in words:
            for pair in pairwise(parts):
                pairs[pair] += times
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        words = [(merged(parts, best) if best[0] in parts else parts, times) for parts, times in words]
    return merges
