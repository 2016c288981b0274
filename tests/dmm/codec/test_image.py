import json
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from dmm.codec.decode import decode
from dmm.codec.image import read_image, riffusion_format, write_image
from dmm.codec.mel import load_format
from dmm.errors import InputError

NANO = load_format("nano")
RIFFUSION_TAGS = {
    11000: 44100, 11005: False, 11010: 10, 11020: 100, 11030: 400,
    11040: 512, 11050: 0, 11060: 10000, 11070: 0.25,
}  # fmt: skip


@pytest.fixture
def levels(rng):
    return rng.integers(0, 256, (NANO.n_mels, 30), dtype=np.uint8)


def save_with_format(path, levels, fields):
    text = PngImagePlugin.PngInfo()
    text.add_itxt("dmm", fields if isinstance(fields, str) else json.dumps(fields))
    Image.fromarray(levels).save(path, pnginfo=text)


def assert_refused(path, match):
    with pytest.raises(InputError, match=match) as caught:
        read_image(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_levels_and_format_come_back_as_written(tmp_path, levels):
    colour = np.stack([levels, levels[::-1], levels // 2], axis=-1)
    for image in (levels, colour, levels[::-1]):
        write_image(tmp_path / "a.png", image, NANO)
        again, fmt = read_image(tmp_path / "a.png")
        assert (again == image).all() and fmt == NANO


def test_grey_stored_as_rgb_is_mono(tmp_path, levels):
    write_image(tmp_path / "a.png", np.stack([levels] * 3, axis=-1), NANO)
    assert (read_image(tmp_path / "a.png")[0] == levels).all()


def test_an_image_without_format_is_refused_unless_it_is_named(tmp_path, levels):
    Image.fromarray(levels).save(tmp_path / "a.png")
    assert_refused(tmp_path / "a.png", "does not say its mel format; name the format")
    assert read_image(tmp_path / "a.png", NANO)[1] == NANO


def test_an_unknown_version_is_refused(tmp_path, levels):
    save_with_format(tmp_path / "a.png", levels, NANO.model_dump() | {"version": 99})
    assert_refused(tmp_path / "a.png", "version 99; this program knows 1")


@pytest.mark.parametrize("fields", ["{", "[1]", "{}", {"version": 1}, {"version": 1, "x": 2}])
def test_a_damaged_format_is_refused(tmp_path, levels, fields):
    save_with_format(tmp_path / "a.png", levels, fields)
    assert_refused(tmp_path / "a.png", "mel format is damaged")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("fmax", 0.0), ("fmax", 20000.0), ("fmin", 12000.0), ("range_db", 0.0), ("ref", -1.0),
        ("ref", 1e300), ("exponent", 0.0), ("sr", 10**30), ("hop_length", 2048), ("n_fft", 3),
        ("win_length", 4096), ("n_mels", 0), ("name", "\x1b[31m"), ("fmax", "NaN"),
    ],
)  # fmt: skip
def test_a_format_out_of_its_bounds_is_refused_by_its_field(tmp_path, levels, field, value):
    text = json.dumps(NANO.model_dump() | {field: value}).replace('"NaN"', "NaN")
    save_with_format(tmp_path / "a.png", levels, text)
    assert_refused(tmp_path / "a.png", field)


@pytest.mark.parametrize("width", [40000, 1 << 20])
def test_a_huge_image_is_refused_before_its_pixels_are_made(tmp_path, width):
    header = struct.pack(">IIBBBBB", width, 4096, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    crc = struct.pack(">I", zlib.crc32(chunk))
    rows = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + crc
    (tmp_path / "a.png").write_bytes(rows + struct.pack(">I", 0) + b"IDAT" + b"\0" * 4)
    assert_refused(tmp_path / "a.png", "at most 4096 rows and 134217728 pixels are read")


def test_a_resized_image_is_refused(tmp_path, levels):
    save_with_format(tmp_path / "a.png", levels[::2], NANO.model_dump())
    assert_refused(tmp_path / "a.png", "128 rows, but format 'nano' has 256")


def test_files_that_are_no_image_are_refused(tmp_path, levels):
    path = tmp_path / "a.png"
    assert_refused(path, "no such file")
    path.write_bytes(b"")
    assert_refused(path, r"empty \(0 bytes\)")
    path.write_bytes(b"RIFF and so on")
    assert_refused(path, "no PNG image")
    write_image(path, levels, NANO)
    path.write_bytes(path.read_bytes()[:2000])
    assert_refused(path, "damaged image")


def test_sixteen_bit_levels_are_refused(tmp_path):
    Image.fromarray(np.zeros((256, 4), np.uint16)).save(tmp_path / "a.png")
    assert_refused(tmp_path / "a.png", "save it as 8-bit")


def test_writing_the_wrong_number_of_rows_is_refused(tmp_path, levels):
    with pytest.raises(ValueError, match="255 rows"):
        write_image(tmp_path / "a.png", levels[1:], NANO)
    assert not list(tmp_path.iterdir())


def test_a_riffusion_image_sounds_at_its_frequency_and_level(tmp_path):
    # Their encoder, by hand: summed magnitudes of a 16-bit sine under triangles of height 1.
    path, frequency_hz, level = tmp_path / "theirs.png", 1000.0, 0.25
    sound = level * 32767 * np.sin(2 * np.pi * frequency_hz * np.arange(44100) / 44100)
    mel = riffusion_mel(sound)
    image = 255 - 255 * (mel / mel.max()) ** 0.25
    picture = Image.fromarray(image.astype(np.uint8)[::-1].repeat(20, axis=1)).convert("RGB")
    exif = Image.Exif()
    exif.update(RIFFUSION_TAGS | {11080: float(mel.max())})
    picture.save(path, exif=exif)
    levels, fmt = read_image(path)
    restored = decode(levels, fmt)[0]
    spectrum = np.abs(np.fft.rfft(restored))
    assert spectrum.argmax() * 44100 / len(restored) == pytest.approx(frequency_hz, abs=10)
    assert np.sqrt(2 * np.mean(restored**2)) == pytest.approx(level, rel=0.1)


def riffusion_mel(sound):
    """One frame as Riffusion sees it: (512, 1)."""
    window = np.pad(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(4410) / 4410), 6615)
    magnitude = np.abs(np.fft.rfft(sound[:17640] * window))
    edges_hz = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 10000 / 700), 514) / 2595) - 1)
    bins_hz = np.arange(8821) * 2.5
    triangles = [np.interp(bins_hz, edges_hz[i : i + 3], [0, 1, 0]) for i in range(512)]
    return (np.array(triangles) @ magnitude)[:, None]


def test_the_riffusion_preset_is_what_riffusions_usual_tags_say():
    stated = riffusion_format(RIFFUSION_TAGS)
    preset = load_format("riffusion")
    assert stated.model_copy(update={"ref": preset.ref}) == preset
    assert stated.ref == pytest.approx(preset.ref, rel=1e-3)
