"""Images, sound, weights and tables with damaged bytes, and mel formats of any numbers."""

import io
import struct

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from hypothesis import strategies as st
from PIL import Image
from safetensors.numpy import save

from dataset_tools.dataset import read_manifest
from dataset_tools.sources import SourceRequest
from dataset_tools.sources.huggingface import tracks
from dmm.checkpoints.header import read_header, read_metadata
from dmm.codec.decode import decode
from dmm.codec.image import read_image, write_image
from dmm.codec.mel import load_format, parse_format
from dmm.sound.audio import stream_audio

SMALL = load_format("nano").model_copy(update={"n_mels": 16, "n_frames": 8})


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "a.png"
    levels = np.random.default_rng(0).integers(0, 256, (16, 8), np.uint8)
    write_image(path, levels, SMALL)
    jpeg = io.BytesIO()
    Image.fromarray(levels).save(jpeg, "JPEG")
    return path, [path.read_bytes(), jpeg.getvalue(), bomb()]


def bomb():
    """A PNG whose header promises 40000 x 4000 pixels."""
    return b"\x89PNG\r\n\x1a\n" + struct.pack(
        ">I4sIIBBBBBI", 13, b"IHDR", 40000, 4000, 8, 2, 0, 0, 0, 0
    )


def test_images_are_read_or_refused(image, count, try_inputs, hostile):
    path, contents = image

    def target(data):
        path.write_bytes(data)
        levels, fmt = read_image(path)
        assert levels.dtype == np.uint8 and len(levels) == fmt.n_mels

    try_inputs("PNG and JPEG images", hostile.mutated(contents), target, count)


def test_a_format_is_sound_as_a_whole_or_refused(count, try_inputs, hostile):
    fields = st.dictionaries(
        st.sampled_from(sorted(SMALL.model_dump())) | st.text(max_size=5),
        hostile.numbers | st.text(max_size=5) | st.sampled_from(["power", "width", "left-right"]),
        max_size=4,
    )

    def target(changes):
        fmt = parse_format(SMALL.model_dump() | changes, "format")
        if fmt.n_mels * fmt.n_fft < 1 << 20:
            samples = decode(np.full((fmt.n_mels, 4), 200, np.uint8), fmt, "fast")
            assert np.isfinite(samples).all() and samples.shape[1] == 4 * fmt.hop_length

    try_inputs("mel formats", fields, target, count)


@pytest.fixture
def sounds():
    wave = np.random.default_rng(0).normal(0, 0.1, (4000, 2)).astype(np.float32)
    found = []
    for kind in ("WAV", "FLAC", "OGG", "MP3", "AIFF"):
        buffer = io.BytesIO()
        soundfile.write(buffer, wave, 22050, format=kind)
        found.append(buffer.getvalue())
    return found


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "m4a"])
def test_sound_is_read_or_refused(sounds, suffix, count, tmp_path, try_inputs, hostile):
    path = tmp_path / f"a.{suffix}"

    def target(data):
        path.write_bytes(data)
        for block in stream_audio(path, 16000, 1):
            assert np.isfinite(block).all()

    try_inputs("sound files", hostile.mutated(sounds), target, count)


def test_headers_of_weights_are_read_or_refused(count, tmp_path, try_inputs, hostile):
    path = tmp_path / "a.safetensors"
    tensors = {"a.weight": np.ones((2, 3), np.float32), "b.weight": np.ones(4, np.float16)}
    whole = save(tensors, {"dmm_format": "nano"})

    def target(data):
        path.write_bytes(data)
        return read_header(path), read_metadata(path)

    try_inputs("safetensors headers", hostile.mutated([whole]), target, count)


def test_tables_are_read_or_refused(count, tmp_path, try_inputs, hostile):
    rows = [{"id": f"a-{n}", "split": "train", "text": "piano", "audio": None} for n in range(50)]
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)

    def target(data):
        (tmp_path / "manifest.parquet").write_bytes(data)
        list(tracks(SourceRequest(tmp_path / "manifest.parquet")))
        return read_manifest(tmp_path)

    try_inputs("Parquet tables", hostile.mutated([buffer.getvalue()]), target, count)


@pytest.mark.parametrize("column", ["id", "split"])
def test_names_in_a_table_never_leave_their_folder(column, count, tmp_path, try_inputs):
    names = st.sampled_from(["../x", "/etc/passwd", "a/b", "..", "C:\\x", "a\0b", ""]) | st.text()

    def target(name):
        row = {"id": "a", "split": "train"} | {column: name}
        table = pa.Table.from_pylist([row])
        pq.write_table(table, tmp_path / "manifest.parquet")
        for found in read_manifest(tmp_path)[0]:
            place = tmp_path / found["split"] / f"{found['id']}.png"
            assert place.resolve().is_relative_to(tmp_path.resolve())

    try_inputs(
        "names in tables", names.filter(lambda n: n.isprintable() or "\0" in n), target, count
    )
