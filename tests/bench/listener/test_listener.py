import numpy as np
import pytest
import torch

from bench.listener.augment import augment, transposed
from bench.listener.data import facts_of, heard_clips
from bench.listener.pieces import TEST_SEED, base_piece, recast
from bench.listener.scores import centre, even_cut, retrieval, scores
from bench.listener.train import caption_loss, labels_of, train
from dataset_tools.sources.minimidi import compose
from dataset_tools.sources.minimidi.instruments import INSTRUMENTS
from eval.listening.listener import Listener, load_listener

CLIPS = 6


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A listener after two steps on six clips."""
    return train(tmp_path_factory.mktemp("train") / "tiny.safetensors", CLIPS, 2, 0)


def test_two_trainings_write_the_same_bytes(trained, tmp_path):
    again = train(tmp_path / "again.safetensors", CLIPS, 2, 0)
    assert again.read_bytes() == trained.read_bytes()


def test_a_stopped_training_goes_on_from_its_clips_and_state(trained):
    before = trained.read_bytes()
    clips = sorted((trained.parent / "tiny.state").rglob("*.npz"))
    made = [path.stat().st_mtime_ns for path in clips]
    assert len(clips) == 2
    trained.unlink()
    assert train(trained, CLIPS, 2, 0).read_bytes() == before
    assert [path.stat().st_mtime_ns for path in clips] == made


def test_what_is_written_can_be_loaded_and_knows_minimidis_labels(trained):
    listener, _ = load_listener(trained)
    assert listener.labels.instruments == tuple(INSTRUMENTS)
    assert "piano" in listener.labels.words
    assert trained.stat().st_size < 4e6


def test_recast_pieces_keep_their_notes_and_new_players_reach_them():
    for seed in range(30):
        piece = compose(seed)
        other = recast(piece, np.random.default_rng(seed))
        assert [n.pitch for n in other.notes] == [n.pitch for n in piece.notes]
        assert {n.instrument for n in other.notes} <= {*other.instruments, other.drums}
        for note in other.notes:
            if note.instrument in set(other.instruments) - set(piece.instruments):
                player = INSTRUMENTS[note.instrument]
                assert player.low <= note.pitch <= player.high


def test_facts_name_what_sounds():
    piece = compose(5)
    facts = facts_of(piece)
    assert set(facts["instruments"]) <= set(piece.instruments)
    assert facts["key"] == f"{piece.key} {piece.mode}"
    assert len(set(facts["texts"])) > 1


def test_augmented_pictures_stay_levels_and_come_out_alike_for_one_seed():
    timbre, pitch = torch.rand(4, 128, 256), torch.rand(4, 216, 48)
    first, again = (augment(timbre, pitch, torch.Generator().manual_seed(3)) for _ in range(2))
    for picture, same in zip(first, again, strict=True):
        assert picture.min() >= 0
        assert picture.amax((1, 2)) == pytest.approx(1)
        assert torch.equal(picture, same)


def test_a_transposed_picture_moves_by_whole_semitones_and_back():
    pitch = torch.rand(2, 216, 48)
    up = transposed(pitch, torch.tensor([1, 2]))
    assert torch.equal(up[0, 3:], pitch[0, :-3])
    assert torch.equal(transposed(up, torch.tensor([-1, -2])), pitch)


def test_right_pairs_lose_less_than_wrong_ones_and_equal_captions_cost_nothing():
    sounds = torch.eye(4)
    scale = torch.tensor(20.0)
    assert caption_loss(sounds, sounds, scale) < 1e-3 < caption_loss(sounds, sounds.flip(0), scale)
    twins = torch.eye(4)[[0, 0, 1, 2]]
    assert caption_loss(twins, twins, scale) < 1e-3


def test_above_the_cut_lie_as_many_as_sound(rng):
    logits, own = rng.normal(size=50), rng.random(50) < 0.3
    assert (logits > even_cut(logits, own)).sum() == own.sum()
    assert even_cut(logits, np.zeros(50, bool)) == 0


def test_chance_hears_little_and_a_centred_bias_hears_more(tmp_path):
    heard = heard_clips(tmp_path, base_piece, TEST_SEED, 32)
    torch.manual_seed(0)
    listener = Listener(labels_of(heard)).eval()
    before = scores(listener, heard)
    assert before["caption among 32"] < 0.3
    centre(listener, heard)
    assert scores(listener, heard)["instrument F1"] > before["instrument F1"]


def test_equal_words_are_equally_right(tmp_path):
    heard = heard_clips(tmp_path, base_piece, TEST_SEED, 32)
    listener = Listener(labels_of(heard)).eval()
    sounds = listener.answer(heard.pictures).embedding
    assert retrieval(listener, sounds, ["piano"] * 32) == 1
