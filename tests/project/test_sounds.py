"""The example of sounds: WAV files hold what was synthesised, and a spectrogram shows where a tone is."""

import runpy

import numpy as np
import pytest
from places import ROOT

SOUNDS = runpy.run_path(str(ROOT / "examples" / "rank_for_sounds.py"))
RATE, SIZE, WINDOW = SOUNDS["RATE"], SOUNDS["SIZE"], SOUNDS["WINDOW"]


def test_sounds_of_each_class_are_written_and_read_back(tmp_path, monkeypatch):
    write = SOUNDS["write_sounds"]
    monkeypatch.setitem(write.__globals__, "PER_CLASS", 1)
    write(tmp_path)
    paths = sorted(tmp_path.glob("*/*.wav"))
    assert [path.parent.name for path in paths] == ["all_harmonics", "drum", "odd_harmonics", "plucked", "struck"]
    for path in paths:
        sound = SOUNDS["read_sound"](path)
        assert (len(sound), np.abs(sound).max()) == (RATE // 2, pytest.approx(1, abs=1e-3))


@pytest.mark.parametrize("pitch", [220, 880, 3000])
def test_a_tone_is_a_line_of_the_spectrogram_in_the_band_of_its_pitch(pitch):
    image = SOUNDS["spectrogram"](np.sin(2 * np.pi * pitch * np.arange(RATE // 2) / RATE))
    assert (image.shape, image.dtype) == ((SIZE, SIZE), np.uint8)
    edges = np.geomspace(2, WINDOW // 2 + 1, SIZE + 1).astype(int)
    row = SIZE - np.searchsorted(edges, pitch * WINDOW / RATE, side="right")  # the highest band is the first row
    assert image.max(axis=1).argmax() == pytest.approx(row, abs=1)
    assert image[row].min() > 200  # all the time
