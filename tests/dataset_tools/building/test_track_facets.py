"""Facets of tracks, from words and from the votes of an embedder."""

from dataclasses import replace

import numpy as np
import pytest

from dataset_tools.building import track_facets
from dataset_tools.building.options import BuildOptions
from dataset_tools.building.records import write_arrays
from dataset_tools.sources import Track
from dmm.embedders import Identity

AXES = {"piano": 0, "violin": 1}


class Ear:
    """An embedder with piano on the first axis, violin on the second, all else on the third."""

    name, version, protocol, dim, logit_scale = "ear", "1", "", 3, 1.0
    identity = Identity(name, None, "", protocol, "fp32", 1)

    def embed(self, audio_files):
        raise NotImplementedError

    def embed_sounds(self, sounds, sr):
        raise NotImplementedError

    def embed_text(self, texts):
        rows = np.zeros((len(texts), 3), np.float32)
        for row, text in zip(rows, texts, strict=True):
            row[next((axis for word, axis in AXES.items() if word in text), 2)] = 1
        return rows


@pytest.fixture
def pianos(tmp_path, monkeypatch):
    """Thirty tracks, one in six a piano by its sound, all said to be one; and the two options."""
    monkeypatch.setattr(track_facets, "load_caption_embedder", lambda name: Ear())
    monkeypatch.setattr("dataset_tools.building.options.embedder_version", lambda name: name)
    tracks = [
        Track(f"t{n}", "folder", f"{n}.wav", "piano, calm", "sidecar", f"{n:064d}", len)
        for n in range(30)
    ]
    for n, track in enumerate(tracks):
        row = np.array([1.0, 0.1, 0.1] if n % 6 == 0 else [0.02 * (n % 4), 1.0, 0.1], np.float32)
        write_arrays(tmp_path, track.id, [np.zeros(3, np.uint32)], [row / np.linalg.norm(row)])
    checked = BuildOptions(vocal_classifier="none", caption_embedder="ear")
    return tracks, tmp_path, checked


def facets_by_sound(out, tracks, options):
    descriptions = track_facets.describe_by_sound(out, tracks, {}, options)
    return track_facets.facets_with_sound_votes(
        tracks, track_facets.text_facets(tracks), descriptions
    )


def test_without_an_embedder_only_words_count(pianos):
    tracks, out, _ = pianos
    text = track_facets.text_facets(tracks)
    plain = BuildOptions(vocal_classifier="none")
    assert facets_by_sound(out, tracks, plain) == text
    assert all(facets["instrument"].keys() == {"piano"} for facets in text.values())


def test_a_value_that_the_sound_denies_becomes_improbable(pianos):
    tracks, out, checked = pianos
    found = facets_by_sound(out, tracks, checked)
    piano = np.array([found[t.id]["instrument"]["piano"] for t in tracks])
    assert piano[::6].min() > max(np.delete(piano, np.s_[::6]))


def test_values_that_only_the_embedder_denies_are_dropped(pianos):
    tracks, out, checked = pianos
    found = facets_by_sound(out, tracks, checked)
    assert {v for facets in found.values() for v in facets["instrument"]} <= {"piano", "violin"}


def test_only_a_caption_from_the_file_name_is_replaced(pianos):
    tracks, _, _ = pianos
    options = BuildOptions(vocal_classifier="none", describe="ear")
    facets = {tracks[0].id: {"instrument": {"piano": 0.9}, "tempo": {"slow": 0.8}}}
    written = track_facets.with_described_caption(tracks[0], facets, options)
    named = replace(tracks[0], caption="track 01", caption_origin="rule")
    described = track_facets.with_described_caption(named, facets, options)
    assert written == tracks[0]
    assert (described.caption, described.caption_origin) == ("piano, slow", "sound")
    assert track_facets.with_described_caption(named, {}, options) == named
