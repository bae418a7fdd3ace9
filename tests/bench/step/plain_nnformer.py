"""nnFormer as a PyTorch user writes it: plain products for the attention, the mask and the bias added to the scores, one
module a layer. Names and numbers are those of homolog's own (src/model/backbones/nnformer.h), so weights move between them.

Net is a network for peer_ddp_step.py in the place of its Swin UNETR, with the same heads."""
import peer_objective
import torch
import torch.nn as nn
import torch.nn.functional as F

DEPTHS, WINDOWS, CHANNELS_A_HEAD = (2, 2, 2, 2), (4, 4, 8, 4), 8


def relative_index(w):
    place = torch.stack(torch.meshgrid(*[torch.arange(w)] * 3, indexing="ij")).flatten(1)
    offset = (place[:, :, None] - place[:, None]).permute(1, 2, 0) + w - 1
    return offset[..., 0] * (3 * w - 1) + offset[..., 1] * (2 * w - 1) + offset[..., 2]  # offsets collide, as published


def cut(x, w):
    b, h, d, t, c = x.shape
    return x.view(b, h // w, w, d // w, w, t // w, w, c).permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(-1, w ** 3, c)


def join(x, w, sides):
    h, d, t = sides
    return x.view(-1, h // w, d // w, t // w, w, w, w, x.shape[-1]).permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(-1, h, d, t, x.shape[-1])


def shift_mask(side, w, shift):
    region = torch.zeros(1, side, side, side, 1)
    spans = slice(0, -w), slice(-w, -shift), slice(-shift, None)
    for i, (a, b, c) in enumerate((a, b, c) for a in spans for b in spans for c in spans):
        region[:, a, b, c] = i
    of = cut(region, w).squeeze(-1)
    return torch.zeros(of.shape[0], w ** 3, w ** 3).masked_fill(of[:, None] != of[:, :, None], -100.0)


class Attention(nn.Module):
    def __init__(self, channels, heads, window, skip):
        super().__init__()
        self.heads, self.skip = heads, skip
        self.relative_position_bias_table = nn.Parameter(torch.randn((2 * window - 1) ** 3, heads) * 0.02)
        self.register_buffer("index", relative_index(window), persistent=False)
        if skip:
            self.kv = nn.Linear(channels, 2 * channels)
        else:
            self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, query, source, mask):
        b, n, c = source.shape
        apart = lambda x, k: x.view(b, n, k, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = (apart(query, 1)[0], *apart(self.kv(source), 2)) if self.skip else apart(self.qkv(source), 3)
        scores = q * (c // self.heads) ** -0.5 @ k.transpose(-2, -1)
        scores = scores + self.relative_position_bias_table[self.index].permute(2, 0, 1)
        if mask is not None:
            scores = (scores.view(-1, mask.shape[0], self.heads, n, n) + mask[:, None]).view(-1, self.heads, n, n)
        return self.proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, n, c))


class Block(nn.Module):
    def __init__(self, channels, side, window, shifted, skip=False):
        super().__init__()
        self.side, self.window = side, min(window, side)
        self.shift = window // 2 if shifted and side > window else 0
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.attn = Attention(channels, channels // CHANNELS_A_HEAD, self.window, skip)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(channels, 4 * channels), "fc2": nn.Linear(4 * channels, channels)})
        self.register_buffer("mask", shift_mask(side, self.window, self.shift) if self.shift else None, persistent=False)

    def windows(self, tokens):
        x = self.norm1(tokens).view(tokens.shape[0], *[self.side] * 3, tokens.shape[2])
        return cut(torch.roll(x, [-self.shift] * 3, (1, 2, 3)) if self.shift else x, self.window)

    def forward(self, tokens, query=None, source=None):
        source = self.windows(tokens if source is None else source)
        out = self.attn(self.windows(query) if query is not None else None, source, self.mask)
        out = join(out, self.window, [self.side] * 3)
        out = torch.roll(out, [self.shift] * 3, (1, 2, 3)) if self.shift else out
        tokens = tokens + out.flatten(1, 3)
        return tokens + self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(tokens))))


def to_map(tokens, side):
    return tokens.transpose(1, 2).view(tokens.shape[0], -1, side, side, side)


def to_tokens(volume):
    return volume.flatten(2).transpose(1, 2)


class Project(nn.Module):
    def __init__(self, before, after, stride, last):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv3d(before, after, 3, stride, 1), nn.Conv3d(after, after, 3, 1, 1)
        self.norm1, self.norm2 = nn.LayerNorm(after), None if last else nn.LayerNorm(after)

    def forward(self, x):
        normed = lambda norm, y: norm(F.gelu(y).permute(0, 2, 3, 4, 1)).permute(0, 4, 1, 2, 3)
        y = self.conv2(normed(self.norm1, self.conv1(x)))
        return y if self.norm2 is None else normed(self.norm2, y)


class PatchEmbed(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.proj1, self.proj2 = Project(1, channels // 2, 2, False), Project(channels // 2, channels, 1, True)
        self.norm = nn.LayerNorm(channels)

    def forward(self, x):
        return self.norm(to_tokens(self.proj2(self.proj1(x))))


class Down(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.reduction, self.norm = nn.Conv3d(channels, 2 * channels, 3, 2, 1), nn.LayerNorm(channels)

    def forward(self, tokens, side):
        return to_tokens(self.reduction(to_map(self.norm(F.gelu(tokens)), side)))


class Up(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.norm, self.up = nn.LayerNorm(channels), nn.ConvTranspose3d(channels, channels // 2, 2, 2)

    def forward(self, tokens, side):
        return to_tokens(self.up(to_map(self.norm(tokens), side)))


class NnFormer(nn.Module):
    def __init__(self, embed, crop):
        super().__init__()
        self.sides = [crop >> s + 1 for s in range(4)]
        down = self.model_down = nn.Module()
        down.mask_token = nn.Parameter(torch.zeros(1, 1, embed), requires_grad=False)  # of no use in this recipe
        down.absolute_pos_embed = nn.Parameter(torch.randn(1, self.sides[0] ** 3, embed) * 0.02)
        down.patch_embed, down.layers = PatchEmbed(embed), nn.ModuleList()
        for s, depth in enumerate(DEPTHS):
            layer = nn.Module()
            layer.blocks = nn.ModuleList(Block(embed << s, self.sides[s], WINDOWS[s], b % 2 == 1) for b in range(depth))
            if s < 3:
                layer.downsample = Down(embed << s)
            down.layers.append(layer)
            setattr(down, f"norm{s}", nn.LayerNorm(embed << s))
        self.decoder, self.final = nn.Module(), nn.ModuleList()
        self.decoder.layers = nn.ModuleList()
        for level in range(3):
            layer, head = nn.Module(), nn.Module()
            layer.blocks = nn.ModuleList(Block(embed << level, self.sides[level], WINDOWS[level], b == 1, b == 0) for b in range(2))
            layer.Upsample = Up(embed << level + 1)
            self.decoder.layers.append(layer)
            head.up = nn.ConvTranspose3d(embed << level, 1, 2, 2).requires_grad_(level == 0)  # deeper ones are for segmentation
            self.final.append(head)

    def decode(self, level, below, skip):
        layer = self.decoder.layers[level]
        up = layer.Upsample(below, self.sides[level + 1])
        return layer.blocks[1](layer.blocks[0](up + skip, up, skip))

    def forward(self, image, reconstructs=True):
        down, skips = self.model_down, []
        tokens = down.patch_embed(image) + down.absolute_pos_embed
        for s, layer in enumerate(down.layers):
            for block in layer.blocks:
                tokens = block(tokens)
            skips.append(getattr(down, f"norm{s}")(tokens))
            if s < 3:
                tokens = layer.downsample(tokens, self.sides[s])
        first = self.decode(2, skips[3], skips[2])
        if not reconstructs:
            return skips[3], first, None
        last = self.decode(0, self.decode(1, first, skips[1]), skips[0])
        return skips[3], first, self.final[0].up(to_map(last, self.sides[0]))


class Net(peer_objective.Net):
    """With the peer's heads, under the peer's names."""
    def __init__(self, embed, crop):
        super().__init__(NnFormer(embed, crop), 8 * embed, 4 * embed)
