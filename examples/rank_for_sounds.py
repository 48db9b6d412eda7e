"""Rank sources for sounds: WAV files become spectrograms, which networks of images and functions of arrays read.

The sounds are synthesised, written as WAV files and read back: plucked strings (Karplus and Strong), struck bars, tones
of odd and of all harmonics, and drums, at random pitches and with background noise. Which of them a file is, is the
label. Put files of your own into folders named after their classes, and drop `write_sounds`.
"""

import tempfile
import wave
from itertools import pairwise
from pathlib import Path

import jax.numpy as jnp
import numpy as np

import leepjax as lj

RATE, SECONDS, PER_CLASS = 8000, 0.5, 60
WINDOW, HOP, SIZE = 512, 128, 32


def plucked(rng, pitch, time):
    """A burst of noise in a delay line that averages neighbours: Karplus and Strong, 1983."""
    line = rng.uniform(-1, 1, max(int(RATE / pitch), 2))
    sound = np.empty(len(time))
    for i in range(0, len(sound), len(line)):
        part = sound[i : i + len(line)]
        part[:] = line[: len(part)]
        line = 0.498 * (line + np.roll(line, 1))
    return sound


def struck(rng, pitch, time):
    """The partials of a free bar, the higher ones sooner gone."""
    ratios = np.array([1, 2.756, 5.404, 8.933])[:, None]
    partials = np.sin(2 * np.pi * pitch * ratios * time + rng.uniform(0, 6.28, (4, 1)))
    return (partials * np.exp(-4 * ratios * time) * (pitch * ratios < RATE / 2)).sum(axis=0)


def odd_harmonics(rng, pitch, time):
    return harmonics(rng, pitch, time, np.arange(1, 16, 2))


def all_harmonics(rng, pitch, time):
    return harmonics(rng, pitch, time, np.arange(1, 16))


def harmonics(rng, pitch, time, numbers):
    numbers = numbers[numbers * pitch < RATE / 2][:, None]
    vibrato = 0.02 * np.sin(2 * np.pi * 5 * time)
    return (np.sin(2 * np.pi * numbers * (pitch * time + vibrato)) / numbers).sum(axis=0) * np.minimum(20 * time, 1)


def drum(rng, pitch, time):
    """A falling tone under a burst of noise."""
    tone = np.sin(2 * np.pi * (pitch / 2 * time + 2 * np.exp(-20 * time)))
    return (tone + rng.normal(size=len(time))) * np.exp(-rng.uniform(6, 14) * time)


def write_sounds(folder, seed=0):
    rng, time = np.random.default_rng(seed), np.arange(int(RATE * SECONDS)) / RATE
    for make in (plucked, struck, odd_harmonics, all_harmonics, drum):
        (folder / make.__name__).mkdir(parents=True)
        for number in range(PER_CLASS):
            sound = make(rng, 110 * 2 ** rng.uniform(0, 2), time)
            sound = sound / np.abs(sound).max() + rng.uniform(0.02, 0.3) * rng.normal(size=len(time))
            with wave.open(str(folder / make.__name__ / f"{number}.wav"), "wb") as file:
                file.setparams((1, 2, RATE, 0, "NONE", ""))
                file.writeframes((32767 * sound / np.abs(sound).max()).astype("<i2").tobytes())


def read_sound(path):
    with wave.open(str(path), "rb") as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768


def spectrogram(sound):
    """[32 32] uint8: logarithmic power of 32 bands, from low to high, over time; what is below -60 dB is 0."""
    frames = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::HOP] * np.hanning(WINDOW)
    power = np.abs(np.fft.rfft(frames)) ** 2
    edges = np.geomspace(2, power.shape[1], SIZE + 1).astype(int)  # bands as wide as they are high, as of ears
    bands = np.stack([power[:, a : max(b, a + 1)].mean(axis=1) for a, b in pairwise(edges)])
    columns = np.linspace(0, bands.shape[1] - 1, SIZE).round().astype(int)
    decibels = 10 * np.log10(bands[::-1, columns] + 1e-9)
    return (255 * np.clip((decibels - decibels.max() + 60) / 60, 0, 1)).astype(np.uint8)


def band_statistics(params, images):
    """A function of arrays without any training: the mean and the spread over time of cepstral coefficients."""
    coefficients = jnp.einsum("cf,nft->nct", params, images[..., 0])
    features = jnp.concatenate([coefficients.mean(axis=2), coefficients.std(axis=2)], axis=1)
    return features, features[:, :0]  # no head, so no logits: measures of features rank it


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_sounds(folder)
        paths = sorted(folder.glob("*/*.wav"))
        images = np.stack([spectrogram(read_sound(path)) for path in paths])
        labels = np.array([path.parent.name for path in paths])

    plain = lj.Preprocessing(image_size=SIZE, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    cosines = np.cos(np.pi * np.arange(1, 14)[:, None] * (np.arange(SIZE) + 0.5) / SIZE).astype(np.float32)
    cepstrum = lj.as_source(band_statistics, cosines, name="cepstrum", preprocessing=plain, num_classes=0)

    pixels = images.reshape(len(images), -1) / 127.5 - 1
    axes = np.linalg.svd(pixels - pixels.mean(axis=0), full_matrices=False)[2][:50].astype(np.float32)

    def project(params, images):
        features = images[..., 0].reshape(len(images), -1) @ params.T
        return features, features[:, :0]

    baseline = lj.as_source(project, axes, name="spectrogram PCA", preprocessing=plain, num_classes=0)

    sources = ["cifar10", "fashion-mnist", "random", cepstrum, baseline]
    ranking = lj.rank((images, labels), sources, ["logme", "h_score"], verify="ridge", resamples=20)
    print(ranking)
    assert not ranking.failures


if __name__ == "__main__":
    main()
