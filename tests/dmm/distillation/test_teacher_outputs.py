import pytest
import torch

from dmm.distillation.embedding_table import EmbeddingTable
from dmm.distillation.examples import Examples
from dmm.distillation.noise_schedule import NoiseSchedule
from dmm.distillation.shards import Shards
from dmm.distillation.teacher_outputs import LiveOutputs, StoredOutputs
from dmm.distillation.training_clips import (
    TrainingClips,
    clips_from_dataset,
    load_clips,
    load_texts,
)
from dmm.errors import DmmError, InputError
from dmm.generation.conditioning import Conditioning, embed_prompts
from dmm.generation.denoising import predict

ATTENTION = "mid_block.attentions.0.transformer_blocks.0.attn1"


@pytest.fixture
def examples(teacher, tmp_path):
    def make(guidance=3.0, seed=0, texts=("piano", "flute", "drums")):
        latents = torch.randn(3, 8, 8, 8, generator=torch.manual_seed(0))
        clips = TrainingClips(latents, [[text] for text in texts])
        table = EmbeddingTable(teacher, list(texts), tmp_path)
        return Examples(clips, table, NoiseSchedule.of("v_prediction"), guidance, seed)

    return make


def test_an_example_is_the_same_whatever_it_stands_beside(examples):
    made = examples(guidance=(2.0, 8.0))
    several, alone = made.batch(torch.tensor([7, 3, 9])), made.batch(torch.tensor([3]))
    for name in ("noisy", "target", "timesteps", "guidance"):
        assert torch.equal(getattr(several, name)[1:2], getattr(alone, name))
    assert ((several.guidance >= 2) & (several.guidance <= 8)).all()
    assert several.guidance.unique().numel() == 3


def test_the_teacher_is_guided_as_when_it_generates(teacher, examples):
    batch = examples().batch(torch.tensor([0, 1]))
    found = teacher.guided_prediction(
        batch.noisy, batch.timesteps, batch.embeddings, batch.guidance
    )
    empty = embed_prompts(teacher.pipeline, [""]).rows([0, 0])
    asked = Conditioning(batch.embeddings, empty, 3.0)
    for row, timestep in enumerate(batch.timesteps):
        wanted = predict(teacher.pipeline, batch.noisy[[row]], timestep, asked.rows([row]))
        assert torch.allclose(found[[row]], wanted, atol=2e-3)  # half precision


def test_stored_outputs_are_the_live_ones(teacher, examples, tmp_path):
    made, live = examples(), LiveOutputs(teacher, [ATTENTION])
    stored = StoredOutputs(live, made, 5, 2, tmp_path)
    numbers = torch.tensor([4, 0])
    batch = made.batch(numbers)
    (guided, features), (kept, kept_features) = live(numbers, batch), stored(numbers, batch)
    assert torch.allclose(guided, kept, atol=2e-3)
    assert features[0].shape == kept_features[0].shape == (2, 128, 4)
    assert torch.allclose(features[0], kept_features[0], atol=2e-3)


def test_outputs_of_other_examples_are_refused(teacher, examples, tmp_path):
    live = LiveOutputs(teacher, [])
    StoredOutputs(live, examples(), 2, 2, tmp_path)
    StoredOutputs(live, examples(), 2, 2, tmp_path)
    for other in (examples(guidance=4.0), examples(seed=1), examples(texts=("a", "b", "c"))):
        with pytest.raises(InputError, match="of other clips, captions or settings; remove"):
            StoredOutputs(live, other, 2, 2, tmp_path)


def test_shards_are_filled_where_an_interruption_left_off(tmp_path):
    made = []

    def make(numbers):
        if 4 in numbers and not made.count("again"):
            raise KeyboardInterrupt
        made.append(list(numbers))
        return {"x": torch.tensor([[float(n)] for n in numbers])}

    shards = Shards(tmp_path, rows=5, size=2)
    with pytest.raises(KeyboardInterrupt):
        shards.make_missing_files("rows", make, 1)
    assert len(list(tmp_path.iterdir())) == 2
    made[:] = ["again"]
    shards.make_missing_files("rows", make, 1)
    assert made == ["again", [4]]
    assert shards.rows([4, 0, 3])["x"].flatten().tolist() == [4, 0, 3]


def test_too_little_disk_is_reported_before_the_second_file(tmp_path, monkeypatch):
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")(1, 1, 10)
    monkeypatch.setattr("dmm.distillation.shards.shutil.disk_usage", lambda _: usage)
    shards = Shards(tmp_path, rows=4, size=2)
    with pytest.raises(DmmError, match=r"the rows need .* GB more and 0\.0 GB are free"):
        shards.make_missing_files("rows", lambda numbers: {"x": torch.zeros(len(numbers), 9)}, 2)
    assert len(list(tmp_path.iterdir())) == 1


def test_pictures_and_captions_come_from_one_list(teacher, data, tmp_path):
    found = clips_from_dataset(teacher, data, 2, tmp_path, seed=0)
    assert found.latents.shape == (4, 8, 32, 32)
    parts = {"mel music", "piano", "slow"}  # of the first picture's caption, with the anchor
    assert all(set(text.split(", ")) <= parts for text in found.texts[0])
    assert [len(texts) for texts in found.texts] == [2] * 4


def test_clips_of_the_teachers_own_making_have_its_prompts(teacher, tmp_path, monkeypatch):
    from dataclasses import replace

    from dmm.generation.sampling import Sampling

    quick = replace(teacher.settings, sampling=Sampling("euler", 1, 1.0), anchor="mel music")
    monkeypatch.setattr(teacher, "settings", quick)
    (tmp_path / "prompts.txt").write_text("piano\nflute\n")
    arguments = (teacher, None, str(tmp_path / "prompts.txt"), 3, 1, tmp_path, 0)
    first, again = load_clips(*arguments), load_clips(*arguments)
    assert [texts[0] for texts in first.texts] == [
        "mel music, piano", "mel music, flute", "mel music, piano"
    ]  # fmt: skip
    assert torch.equal(first.latents, again.latents)
    assert not torch.equal(first.latents[0], first.latents[2])


def test_a_dataset_of_another_format_and_nothing_at_all_are_refused(teacher, data, tmp_path):
    import json
    import shutil

    other = shutil.copytree(data, tmp_path / "other")
    (other / "dataset.json").write_text(json.dumps({"format": {"name": "sdxl-512"}}))
    with pytest.raises(InputError, match=r"mel format is sdxl-512, that of .* is nano; build it"):
        load_clips(teacher, other, None, 0, 1, tmp_path, 0)
    with pytest.raises(InputError, match="no training data"):
        load_texts(teacher, None, None, 0)
    with pytest.raises(InputError, match="clips = 0"):
        load_clips(teacher, None, "minimidi", 0, 1, tmp_path, 0)
