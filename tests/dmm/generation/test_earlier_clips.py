"""Clips made at commit 850b165, of every kind, are still read and not generated again.

``clips_850b165`` was made by that commit with a model of random weights (0.64 s a clip); images and
audio of two clips are kept, of the others the JSON file.
"""

from dataclasses import replace
from pathlib import Path
from shutil import copyfile, copytree
from types import SimpleNamespace

import pytest

from dmm.codec.mel import load_format
from dmm.generation.clip_files import read_clip_json
from dmm.generation.clips import missing_requests
from dmm.generation.init_audio import read_init_audio
from dmm.generation.ranking import Ranking
from dmm.generation.requests import ClipRequest, clip_requests
from dmm.generation.sampling import Sampling
from dmm.generation.settings import GenerationSettings
from dmm.songs.stitch import StitchOptions, stitch
from dmm.ui.stored_clips import ClipsFolder
from dmm.ui.timeline_file import TimelineFile

EARLIER = Path(__file__).parent / "clips_850b165"
SHORT = load_format("nano").model_copy(update={"n_frames": 32})


@pytest.fixture
def earlier(maker, tmp_path):
    """A maker with the settings of the earlier clips, and with their model's hash.

    Clips that are kept as JSON alone get the image and the audio of another one.
    """
    folder = Path(copytree(EARLIER, tmp_path / "earlier"))
    for record in folder.glob("*.json"):
        for kind in (".png", ".flac"):
            if not record.with_suffix(kind).is_file():
                copyfile(EARLIER / f"organ-6{kind}", record.with_suffix(kind))
    sampling = Sampling("euler", steps=2, negative_prompt="noise")
    made = replace(maker(), settings=GenerationSettings(SHORT, sampling, "mel music"), out=folder)
    stored = read_clip_json(EARLIER, "organ-6") or {}
    identity = {key: stored[key] for key in ("model_sha256", "loras", "precision")}
    made.model.__dict__["identify"] = lambda: identity
    return made


def test_a_clip_of_a_plain_prompt_is_not_generated_again(earlier):
    assert missing_requests([ClipRequest("organ", 6)], earlier) == []
    assert missing_requests([ClipRequest("organ", 9)], earlier) == [ClipRequest("organ", 9)]


def test_a_clip_from_a_sound_is_not_generated_again(earlier):
    init = read_init_audio(EARLIER / "organ-6.flac", SHORT, False, 0.5, (0.2, 0.5))
    with_init = replace(earlier, settings=replace(earlier.settings, init=init))
    assert missing_requests([ClipRequest("harp", 1)], with_init) == []


def test_the_best_of_two_is_not_generated_again(earlier):
    stored = read_clip_json(EARLIER, "flute-3") or {}
    name, version = stored["rank"]["embedder"].split()
    ranking = Ranking(name, keep=1)
    ranking.__dict__["embedder"] = SimpleNamespace(name=name, version=version)
    assert missing_requests(clip_requests(["flute"], 2, 3), replace(earlier, ranking=ranking)) == []


def test_the_page_shows_them_with_their_timeline():
    clips, count = ClipsFolder(EARLIER).newest_clips_and_count(10)
    assert {clip["id"] for clip in clips} == {"organ-6", "piano-slow-5"} and count == 2
    assert TimelineFile(EARLIER).read().clips == ["organ-6", "piano-slow-5"]


def test_they_are_stitched(tmp_path):
    paths = stitch(
        [EARLIER], tmp_path / "song.wav", StitchOptions(0.1, align=False), quality="fast"
    )
    assert all(path.is_file() for path in paths)
