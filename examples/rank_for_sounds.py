"""Rank sources for sounds: spectrograms of WAV files, which networks of images and functions of arrays read."""

import tempfile
import wave
from functools import partial
from itertools import pairwise
from pathlib import Path

import jax.numpy as jnp
import numpy as np

import leepjax as lj

RATE, PER_CLASS, WINDOW, HOP, SIZE = 8000, 60, 512, 128, 32
TIME = np.arange(RATE // 2) / RATE


def plucked(rng, pitch):  # a burst of noise in a delay line that averages neighbours: Karplus and Strong, 1983
    line, sound = rng.uniform(-1, 1, int(RATE / pitch)), np.empty(0)
    while len(sound) < len(TIME):
        sound, line = np.append(sound, line), 0.498 * (line + np.roll(line, 1))
    return sound[: len(TIME)]


def struck(rng, pitch):  # the partials of a free bar, the higher ones sooner gone
    ratios = np.array([1, 2.756, 5.404, 8.933])[:, None]
    partials = np.sin(2 * np.pi * pitch * ratios * TIME) * np.exp(-4 * ratios * TIME)
    return (partials * (pitch * ratios < RATE / 2)).sum(axis=0)


def harmonics(step, rng, pitch):
    numbers = np.arange(1, min(16, RATE / 2 / pitch), step)[:, None]
    tones = np.sin(2 * np.pi * numbers * (pitch * TIME + 0.02 * np.sin(10 * np.pi * TIME)))
    return (tones / numbers).sum(axis=0) * np.minimum(20 * TIME, 1)


def drum(rng, pitch):  # a falling tone under a burst of noise
    tone = np.sin(2 * np.pi * (pitch / 2 * TIME + 2 * np.exp(-20 * TIME)))
    return (tone + rng.normal(size=len(TIME))) * np.exp(-rng.uniform(6, 14) * TIME)


def write_sounds(folder):
    rng, makers = np.random.default_rng(0), {"plucked": plucked, "struck": struck, "drum": drum}
    for name, make in (makers | {"all": partial(harmonics, 1), "odd": partial(harmonics, 2)}).items():
        (folder / name).mkdir()
        for number in range(PER_CLASS):
            sound = make(rng, 110 * 2 ** rng.uniform(0, 2))
            sound = sound / np.abs(sound).max() + rng.uniform(0.02, 0.3) * rng.normal(size=len(TIME))
            with wave.open(str(folder / name / f"{number}.wav"), "wb") as file:
                file.setparams((1, 2, RATE, 0, "NONE", ""))
                file.writeframes((32767 * sound / np.abs(sound).max()).astype("<i2").tobytes())


def spectrogram(path):  # [32 32] uint8: 60 dB of power in bands as wide as they are high, over time
    with wave.open(str(path), "rb") as file:
        sound = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
    power = (
        np.abs(np.fft.rfft(np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::HOP] * np.hanning(WINDOW))) ** 2
    )
    edges = np.geomspace(2, power.shape[1], SIZE + 1).astype(int)
    bands = np.stack([power[:, a : max(b, a + 1)].mean(axis=1) for a, b in pairwise(edges)])[::-1]
    decibels = 10 * np.log10(bands[:, np.linspace(0, bands.shape[1] - 1, SIZE).round().astype(int)] + 1e-9)
    return (255 * np.clip((decibels - decibels.max() + 60) / 60, 0, 1)).astype(np.uint8)


def cepstrum(cosines, images):  # no head, and so no logits: measures of features rank it
    coefficients = jnp.einsum("cf,nft->nct", cosines, images[..., 0])
    return jnp.concatenate([coefficients.mean(axis=2), coefficients.std(axis=2)], axis=1), images[:, 0, :0, 0]


with tempfile.TemporaryDirectory() as temporary:
    write_sounds(Path(temporary))  # or folders of your own, each with the files of a class
    paths = sorted(Path(temporary).glob("*/*.wav"))
    images, labels = np.stack([spectrogram(path) for path in paths]), np.array([path.parent.name for path in paths])
plain = lj.Preprocessing(image_size=SIZE, mean=(0.5,) * 3, std=(0.5,) * 3)
cosines = np.cos(np.pi * np.arange(1, 14)[:, None] * (np.arange(SIZE) + 0.5) / SIZE)
own = lj.as_source(cepstrum, cosines.astype(np.float32), name="cepstrum", preprocessing=plain, num_classes=0)
pixels = images.reshape(len(images), -1) - images.reshape(len(images), -1).mean(axis=0)
baseline = lj.as_table(pixels @ np.linalg.svd(pixels, full_matrices=False)[2][:50].T / 255, name="spectrogram PCA")
print(lj.rank((images, labels), ["cifar10", "fashion-mnist", "random", own, baseline], "logme", verify="ridge"))
