import numpy as np
import pytest
import torch

from bench.listener.augment import augment, transposed_up
from bench.listener.data import labels_and_captions, load_or_render_clips
from bench.listener.pieces import TEST_SEED, base_piece, with_swapped_instruments
from bench.listener.scores import (
    balance_instrument_biases,
    balanced_threshold,
    listener_scores,
    retrieval_share,
)
from bench.listener.train import caption_loss, make_labels, train_and_save
from dataset_tools.sources.minimidi import compose
from dataset_tools.sources.minimidi.instruments import INSTRUMENTS
from dmm.cli import run
from eval.listening.listener import Listener, load_listener

CLIPS = 6


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A listener after two steps on six clips."""
    return train_and_save(tmp_path_factory.mktemp("train") / "tiny.safetensors", CLIPS, 2, 0)


def test_two_trainings_write_the_same_bytes(trained, tmp_path):
    again = train_and_save(tmp_path / "again.safetensors", CLIPS, 2, 0)
    assert again.read_bytes() == trained.read_bytes()


def test_a_stopped_training_resumes_from_its_clips_and_state(trained):
    before = trained.read_bytes()
    clips = sorted((trained.parent / "tiny.state").rglob("*.npz"))
    made = [path.stat().st_mtime_ns for path in clips]
    assert len(clips) == 2
    trained.unlink()
    assert train_and_save(trained, CLIPS, 2, 0).read_bytes() == before
    assert [path.stat().st_mtime_ns for path in clips] == made


def test_a_saved_listener_loads_with_minimidis_labels(trained):
    listener, _ = load_listener(trained)
    assert listener.labels.instruments == tuple(INSTRUMENTS)
    assert "piano" in listener.labels.words
    assert trained.stat().st_size < 4e6


def test_recast_pieces_keep_their_notes_and_new_players_reach_them():
    for seed in range(30):
        piece = compose(seed)
        other = with_swapped_instruments(piece, np.random.default_rng(seed))
        assert [n.pitch for n in other.notes] == [n.pitch for n in piece.notes]
        assert {n.instrument for n in other.notes} <= {*other.instruments, other.drums}
        for note in other.notes:
            if note.instrument in set(other.instruments) - set(piece.instruments):
                player = INSTRUMENTS[note.instrument]
                assert player.low <= note.pitch <= player.high


def test_a_description_names_the_instruments_that_play():
    piece = compose(5)
    found = labels_and_captions(piece)
    assert set(found["instruments"]) <= set(piece.instruments)
    assert found["key"] == f"{piece.key} {piece.mode}"
    assert len(set(found["texts"])) > 1


def test_augmented_spectrograms_stay_in_range_and_depend_on_the_seed_alone():
    timbre, pitch = torch.rand(4, 128, 256), torch.rand(4, 216, 48)
    first, again = (augment(timbre, pitch, torch.Generator().manual_seed(3)) for _ in range(2))
    for spectrogram, same in zip(first, again, strict=True):
        assert spectrogram.min() >= 0
        assert spectrogram.amax((1, 2)) == pytest.approx(1)
        assert torch.equal(spectrogram, same)


def test_a_transposed_spectrogram_moves_by_whole_semitones_and_back():
    pitch = torch.rand(2, 216, 48)
    up = transposed_up(pitch, torch.tensor([1, 2]))
    assert torch.equal(up[0, 3:], pitch[0, :-3])
    assert torch.equal(transposed_up(up, torch.tensor([-1, -2])), pitch)


def test_right_pairs_have_less_loss_than_wrong_ones_and_equal_captions_add_none():
    sounds = torch.eye(4)
    scale = torch.tensor(20.0)
    assert caption_loss(sounds, sounds, scale) < 1e-3 < caption_loss(sounds, sounds.flip(0), scale)
    twins = torch.eye(4)[[0, 0, 1, 2]]
    assert caption_loss(twins, twins, scale) < 1e-3


def test_as_many_logits_lie_above_the_threshold_as_clips_are_positive(rng):
    logits, own = rng.normal(size=50), rng.random(50) < 0.3
    assert (logits > balanced_threshold(logits, own)).sum() == own.sum()
    assert balanced_threshold(logits, np.zeros(50, bool)) == 0


def test_random_weights_score_little_and_thresholds_raise_f1(tmp_path):
    clips = load_or_render_clips(tmp_path, base_piece, TEST_SEED, 32)
    torch.manual_seed(0)
    listener = Listener(make_labels(clips)).eval()
    before = listener_scores(listener, clips)
    assert before["caption among 32"] < 0.3
    balance_instrument_biases(listener, clips)
    assert listener_scores(listener, clips)["instrument F1"] > before["instrument F1"]


def test_equal_captions_are_equally_right(tmp_path):
    clips = load_or_render_clips(tmp_path, base_piece, TEST_SEED, 32)
    listener = Listener(make_labels(clips)).eval()
    sounds = listener.window_logits(clips.spectrograms).embedding
    assert retrieval_share(listener, sounds, ["piano"] * 32) == 1


def test_scores_of_fewer_clips_than_retrieval_compares_are_a_usage_error(capsys):
    assert run(["bench", "score-listener", "--clips", "31"]) == 2
    assert "--clips" in (line := capsys.readouterr().err) and "32" in line
