"""Descriptions of the tracks of a folder by their sound."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from dataset_tools.cli import app
from dataset_tools.inspection.describe_folder import describe_folder
from dataset_tools.sources import SourceRequest
from dataset_tools.sources.minimidi_clips import tracks
from dmm.errors import InputError


@pytest.fixture
def pieces(music):
    """Six MiniMIDI pieces as WAV files, a silent file and a broken one."""
    for n, piece in enumerate(tracks(SourceRequest(count=6, seed=7_100_000))):
        music(f"{n}.wav", samples=piece.load(22050, 1).T)
    music("silent.wav", samples=np.zeros((5 * 22050, 1), np.float32))
    (music.root / "broken.wav").write_bytes(b"no sound")
    return music.root


def test_readable_tracks_are_described_and_others_refused(pieces):
    found, rejected = describe_folder(pieces, "nano-clap")
    assert [track["input"] for track in found] == [f"{n}.wav" for n in range(6)]
    assert {track.input for track in rejected} == {"silent.wav", "broken.wav"}
    assert all(45 <= track["tempo_bpm"] <= 200 for track in found if track["tempo_bpm"])
    assert all(-40 < track["loudness_lufs"] < 0 for track in found)
    assert {o for t in found for o in t["origins"]["instrument"].values()} == {"classifier"}


def test_without_an_embedder_there_are_no_instruments(pieces):
    result = CliRunner().invoke(app, ["describe", str(pieces), "--json"])
    found = json.loads(result.stdout)
    assert result.exit_code == 0 and "refused silent.wav: silent" in result.stderr
    assert "--embedder clap:" in result.stderr
    assert not any("instrument" in track["facets"] for track in found)
    assert all(track["key"].split()[1] in ("major", "minor") for track in found)


def test_a_folder_without_usable_tracks_is_an_error(music):
    music("silent.wav", samples=np.zeros((5 * 22050, 1), np.float32))
    with pytest.raises(InputError, match=r"no track can be used; silent.wav: silent"):
        describe_folder(music.root, None)
