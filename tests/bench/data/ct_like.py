"""CT-like crops without scans: pairs of one body, HU as int16, in the noise of a soft kernel (15 HU, correlated).

crops(count, shape, seed) -> [count, 2, z, y, x]. Enough structure for a codec to meet what it meets in a patient: air, fat,
muscle, contrast-filled organs, lung, bone, and noise that no codec can foresee.
"""
import numpy as np
import torch
import torch.nn.functional as functional

NOISE_HU = 15.0
SPACING = (2.5, 0.8, 0.8)  # z, y, x in mm


def blurred(volume, sigmas):
    tensor = torch.from_numpy(volume)[None, None]
    for axis, sigma in enumerate(sigmas):
        reach = max(1, round(3 * sigma))
        kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
        shape, padding = [1, 1, 1, 1, 1], [0, 0, 0]
        shape[2 + axis], padding[axis] = -1, reach
        tensor = functional.conv3d(tensor, (kernel / kernel.sum()).reshape(shape), padding=padding)
    return tensor[0, 0].numpy()


def body(shape, random):
    """One trunk: layers around the axis, then organs, lungs and spine laid over them."""
    z, y, x = (((np.arange(n) - n / 2) * mm).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
               for axis, (n, mm) in enumerate(zip(shape, SPACING)))
    width, depth = random.uniform(150, 180), random.uniform(105, 135)
    radius = (x / width) ** 2 + (y / depth) ** 2 - 0.05 * np.sin(z / 60 + random.uniform(0, 6))
    hu = np.full(shape, -1000, np.float32)
    for within, value in ((1.0, -100), (0.8, 45), (0.7, -80)):  # fat, muscle, fat around the organs
        hu[np.broadcast_to(radius < within, shape)] = value
    for _ in range(28):
        centre = random.uniform(-0.6, 0.6, 3) * (shape[0] * SPACING[0] * 0.8, depth, width)
        half = random.uniform((15, 10, 10), (90, 55, 65))
        inside = ((z - centre[0]) / half[0]) ** 2 + ((y - centre[1]) / half[1]) ** 2 + ((x - centre[2]) / half[2]) ** 2 < 1
        hu[inside & (radius < 0.68)] = random.choice([20, 35, 50, 60, 80, 110, 150, 180, -850])
    spine = (x / 24) ** 2 + ((y - 0.6 * depth) / 20) ** 2
    hu[np.broadcast_to(spine < 1, shape)] = 280
    hu[np.broadcast_to(spine < 0.5, shape)] = 160
    noise = blurred(random.standard_normal(shape, dtype=np.float32), (0.35, 0.7, 0.7))
    return np.clip(np.rint(blurred(hu, (0.5, 0.8, 0.8)) + noise * (NOISE_HU / noise.std())), -1024, 3071).astype(np.int16)


def crops(count, shape, seed=0, per_body=16):
    random = np.random.default_rng(seed)
    out = np.empty((count, 2, *shape), np.int16)
    for pair in range(count):
        if pair % per_body == 0:
            volume = body((max(96, shape[0]), max(400, 2 * shape[1]), max(400, 2 * shape[2])), random)
        for side in range(2):
            while True:  # centres lie in the body, as landmarks do
                centre = [int(random.integers(0, n)) for n in volume.shape]
                if volume[tuple(centre)] > -500:
                    break
            first = [min(max(0, c - s // 2), n - s) for c, s, n in zip(centre, shape, volume.shape)]
            out[pair, side] = volume[tuple(slice(f, f + s) for f, s in zip(first, shape))]
    return out


def noise(count, shape, seed=0):
    """Crops without a body, where only their number matters."""
    return np.random.default_rng(seed).integers(-120, 250, (count, *shape), dtype=np.int16)
