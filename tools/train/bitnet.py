"""BitNet b1.58 as ik_llama.cpp's and bitnet.cpp's graphs (`build_bitnet_158`) have it, for training.

Linear layers have ternary weights with one scale, the mean of their absolute values, and activations of 8 bits, scaled
by the largest of a token (arxiv.org/abs/2402.17764). Gradients pass straight through both roundings. Attention and
feed-forward block each have a norm of their own before their last matrix, and the feed-forward block a squared ReLU.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Shape:
    """ik_llama.cpp's kernels need a width of at least 512, and its flash attention heads of 64."""

    vocabulary: int
    width: int = 512
    feed_forward: int = 768
    layers: int = 2
    heads: int = 8
    kv_heads: int = 2
    context: int = 256
    rope_base: float = 10_000.0
    epsilon: float = 1e-5

    @property
    def head_width(self) -> int:
        return self.width // self.heads


def ternary(weight: Tensor) -> tuple[Tensor, Tensor]:
    """A matrix of -1, 0 and +1, and what it is multiplied by."""
    scale = weight.abs().mean().clamp(min=1e-5)
    return (weight / scale).round().clamp(-1, 1), scale


def eight_bits(activations: Tensor) -> Tensor:
    unit = activations.abs().amax(dim=-1, keepdim=True).clamp(min=1e-5) / 127
    return (activations / unit).round() * unit


class BitLinear(nn.Module):
    def __init__(self, columns: int, rows: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(rows, columns) / columns**0.5)

    def forward(self, x: Tensor) -> Tensor:
        whole, scale = ternary(self.weight)
        weight = self.weight + (whole * scale - self.weight).detach()
        return functional.linear(x + (eight_bits(x) - x).detach(), weight)


class Norm(nn.Module):
    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        return x * (x.pow(2).mean(dim=-1, keepdim=True) + self.epsilon).rsqrt() * self.weight


def rotated(x: Tensor, base: float) -> Tensor:
    """Rotary position embedding that pairs a head's dimension with the one half a head away."""
    positions, half = x.shape[-2], x.shape[-1] // 2
    speeds = base ** (-torch.arange(half, dtype=x.dtype) / half)
    angles = torch.arange(positions, dtype=x.dtype)[:, None] * speeds
    first, second = x[..., :half], x[..., half:]
    cos, sin = angles.cos(), angles.sin()
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


class Layer(nn.Module):
    """Its parts have the names that their tensors have in a GGUF file."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        width, kv_width = shape.width, shape.kv_heads * shape.head_width
        self.attn_norm = Norm(width, shape.epsilon)
        self.attn_q = BitLinear(width, width)
        self.attn_k = BitLinear(width, kv_width)
        self.attn_v = BitLinear(width, kv_width)
        self.attn_sub_norm = Norm(width, shape.epsilon)
        self.attn_output = BitLinear(width, width)
        self.ffn_norm = Norm(width, shape.epsilon)
        self.ffn_gate = BitLinear(width, shape.feed_forward)
        self.ffn_up = BitLinear(width, shape.feed_forward)
        self.ffn_sub_norm = Norm(shape.feed_forward, shape.epsilon)
        self.ffn_down = BitLinear(shape.feed_forward, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn_output(self.attn_sub_norm(self.attended(self.attn_norm(x))))
        f = self.ffn_norm(x)
        units = functional.relu(self.ffn_gate(f)).pow(2) * self.ffn_up(f)
        return x + self.ffn_down(self.ffn_sub_norm(units))

    def attended(self, x: Tensor) -> Tensor:
        def heads(values: Tensor) -> Tensor:
            return values.unflatten(-1, (-1, self.shape.head_width)).transpose(1, 2)

        base = self.shape.rope_base
        query, key = rotated(heads(self.attn_q(x)), base), rotated(heads(self.attn_k(x)), base)
        value = heads(self.attn_v(x))
        key, value = (kv.repeat_interleave(self.shape.heads // self.shape.kv_heads, dim=1) for kv in (key, value))
        # In plain products: PyTorch's own attention leaves bfloat16 on a CPU, and is ten times as slow.
        hidden = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
        scores = (query @ key.mT / self.shape.head_width**0.5).masked_fill(hidden, -torch.inf)
        result = scores.softmax(dim=-1) @ value
        return result.transpose(1, 2).flatten(-2)


class BitNet(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.token_embd = nn.Embedding(shape.vocabulary, shape.width)
        nn.init.normal_(self.token_embd.weight, std=0.05)
        self.blk = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.output_norm = Norm(shape.width, shape.epsilon)

    def forward(self, tokens: Tensor) -> Tensor:
        """For each position what speaks for each token as the next; the output matrix is the embedding's."""
        x = self.token_embd(tokens)
        for layer in self.blk:
            x = layer(x)
        return functional.linear(self.output_norm(x), self.token_embd.weight)
