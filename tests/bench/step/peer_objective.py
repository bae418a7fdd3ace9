"""Networks, losses and mask of the step's peer (peer_ddp_step.py) with what its author would mend for speed: the teacher stops at the last
tokens that a loss reads, attention gives no weights, and torch.compile finds nothing to stop at. Same names, same numbers."""
import torch
import torch.nn as nn
import torch.nn.functional as F

OUTPUTS, HIDDEN, BOTTLENECK, HEADS = 512, 2048, 256, 8
MASKED, CELL = 0.75, 16  # of the columns; their width in voxels


class Net(nn.Module):
    """A backbone and its heads. The backbone gives tokens of encoder and decoder, and the image anew if asked."""
    def __init__(self, backbone, encoder, decoder, out=OUTPUTS):
        super().__init__()
        self.b, self.pe, self.pd = backbone, nn.Linear(encoder, encoder), nn.Linear(decoder, encoder)
        self.mlp = nn.Sequential(nn.Linear(encoder, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, BOTTLENECK))
        self.last, self.last2 = nn.Linear(BOTTLENECK, out, bias=False), nn.Linear(BOTTLENECK, out, bias=False)

    def forward(self, image, mask=None, reconstructs=True):
        e, d, y = self.b(image if mask is None else image * (1 - mask), reconstructs)
        tokens = torch.cat([e.mean(1, keepdim=True), self.pe(e), self.pd(d)], 1)
        tokens, n = F.normalize(self.mlp(tokens), dim=-1), e.shape[1]
        return self.last(tokens[:, 0]), self.last2(tokens[:, 1:1 + n]), self.last2(tokens[:, 1 + n:]), y


class Student(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net
        self.att = nn.MultiheadAttention(OUTPUTS, HEADS, batch_first=True)
        self.ffn = nn.Sequential(nn.Linear(OUTPUTS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, OUTPUTS))

    def align(self, queries, keys):
        out = self.att(queries, keys, keys, need_weights=False)[0]
        return out + self.ffn(out)

    def forward(self, image, mask, teachers):
        cls, encoder, decoder, y = self.net(image, mask)
        # Detached, not no_grad: where torch.compile cuts a DDP network into buckets, what follows would stay without gradients.
        return cls, self.align(encoder, decoder), self.align(encoder, teachers).detach(), y


def loss_of(cls, aligned, to_teacher, y, teachers_cls, image, centre):
    entropy = lambda target, logits: -(target * F.log_softmax(logits / 0.1, -1)).sum(-1).mean()
    across = F.softmax((teachers_cls.roll(image.shape[0] // 2, 0) - centre) / 0.04, -1)  # the other view is the target
    return entropy(across, cls) + entropy(F.softmax(to_teacher / 0.04, -1), aligned) + 10 * F.mse_loss(y.float(), image)


def mask_of(rows, crop):
    x, y, z = crop
    across, down = max(1, x // CELL), max(1, y // CELL)
    mask = torch.zeros(rows, across * down)
    for row in mask:
        row[torch.randperm(across * down)[:max(1, round(MASKED * across * down))]] = 1
    columns = mask.view(rows, 1, across, down, 1).repeat_interleave(x // across, 2).repeat_interleave(y // down, 3)
    return columns.expand(rows, 1, x, y, z).contiguous()
