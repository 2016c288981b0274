import json
from dataclasses import asdict

import numpy as np
import pytest
import torch

from dataset_tools.commands.fidelity import fidelity
from dataset_tools.inspection.base_vae import load_vae_round_trip
from dataset_tools.inspection.fidelity import (
    energy_share_above,
    measure_loss,
    psnr_db,
    write_fidelity_report,
)
from dataset_tools.inspection.fidelity_summary import expectation_sentences
from dmm.checkpoints.pipeline import load_pipeline
from dmm.codec.image import write_image
from dmm.codec.mel import encode, load_format
from dmm.errors import InputError
from dmm.sound.audio import write_audio
from dmm.training.sound_limits import sound_limits

FMT = load_format("nano")


def tone(hz, level=0.3, n=FMT.clip_samples):
    return (level * np.sin(2 * np.pi * hz * np.arange(n) / FMT.sr))[None].astype(np.float32)


@pytest.fixture
def dataset(tmp_path):
    """A built dataset's bare bones: three test clips, one of them in stereo on disk."""
    folder = tmp_path / "data <b>"
    for number in range(3):
        sound = tone(300 * (number + 1)) + tone(1510)
        path = folder / "test" / f"clip-{number}.flac"
        write_audio(path, sound, FMT.sr)
        write_image(path.with_suffix(".png"), encode(sound, FMT), FMT)
        path.with_suffix(".txt").write_text(f"tone {number} <i>", encoding="utf-8")
    built = {"format": FMT.model_dump(), "options": {"anchor": "music", "stereo": False}}
    (folder / "dataset.json").write_text(json.dumps(built), encoding="utf-8")
    return folder


def test_a_sound_compared_with_itself_has_lost_nothing():
    same = asdict(measure_loss(tone(440), tone(440), FMT.sr))
    assert same.pop("image_psnr_db") is None
    assert same.pop("centroid_ratio") == pytest.approx(1)
    assert list(same.values()) == pytest.approx([0, 0, 0], abs=1e-6)


def test_gain_is_reported_as_loudness_alone():
    softer = measure_loss(tone(440), tone(440, level=0.15), FMT.sr)
    assert softer.loudness_lu == pytest.approx(-20 * np.log10(2), abs=1e-3)
    assert softer.spectral_convergence == pytest.approx(0, abs=1e-5)
    assert softer.log_spectral_db == pytest.approx(0, abs=1e-3)


def test_losing_one_of_two_equal_tones_is_half_the_energy():
    both = tone(400) + tone(4000)
    lost = measure_loss(both, tone(400), FMT.sr)
    assert lost.spectral_convergence == pytest.approx(np.sqrt(0.5), abs=0.02)
    assert lost.centroid_ratio < 0.5


def test_the_share_above_a_frequency_is_that_of_the_tones_there():
    both = tone(400, level=0.3) + tone(9000, level=0.1)
    assert energy_share_above(both, FMT.sr, 5000.0) == pytest.approx(0.1, abs=0.005)


def test_psnr_of_a_uniform_error_is_its_closed_form():
    image = np.full((16, 16), 100, np.uint8)
    assert psnr_db(image, image + np.uint8(5)) == pytest.approx(20 * np.log10(255 / 5))
    assert psnr_db(image, image) == 100


def test_the_report_gives_the_image_alone_without_a_base(dataset, tmp_path):
    report = write_fidelity_report(dataset, None, tmp_path / "out", clips=2)
    assert report == json.loads((tmp_path / "out" / "fidelity.json").read_text("utf-8"))
    assert (report["n"], report["test_clips"], list(report["stages"])) == (2, 3, ["image"])
    image = report["stages"]["image"]
    assert image["spectral_convergence"]["mean"] < 0.3 and "image_psnr_db" not in image
    assert abs(image["loudness_lu"]["mean"]) < 0.6


def test_the_page_plays_each_stage_and_escapes_text_from_files(dataset, tmp_path):
    write_fidelity_report(dataset, None, tmp_path / "out")
    page = (tmp_path / "out" / "fidelity.html").read_text("utf-8")
    assert page.count("<audio") == 6 and "after the VAE:" not in page
    assert "tone 1 &lt;i&gt;" in page and "data &lt;b&gt;" in page and "<i>" not in page
    assert "http" not in page


def test_a_base_adds_its_vae(dataset, tmp_path, tiny_checkpoint, capsys):
    fidelity(dataset, tmp_path / "out", tiny_checkpoint, clips=1)
    report = json.loads((tmp_path / "out" / "fidelity.json").read_text("utf-8"))
    losses = report["clips"][0]
    assert losses["vae"]["spectral_convergence"] > losses["image"]["spectral_convergence"]
    assert 0 < losses["vae"]["image_psnr_db"] < 100
    assert (tmp_path / "out" / "fidelity.html").read_text("utf-8").count("<audio") == 3
    assert "fidelity.html" in capsys.readouterr().out.split()[-1]


def test_the_same_seed_takes_the_same_clips(dataset, tmp_path):
    first, again = (
        write_fidelity_report(dataset, None, tmp_path / name, clips=1, seed=4) for name in "ab"
    )
    assert first == again


def test_a_dataset_without_test_clips_says_how_to_get_them(dataset, tmp_path):
    for path in (dataset / "test").glob("*.flac"):
        path.unlink()
    with pytest.raises(InputError, match=r"no test clips with their sound .* --test 0\.1"):
        write_fidelity_report(dataset, None, tmp_path / "out")


def test_a_folder_that_is_no_dataset_is_refused(tmp_path):
    with pytest.raises(InputError, match="no finished dataset"):
        write_fidelity_report(tmp_path, None, tmp_path / "out")


def test_a_base_of_another_format_is_reported():
    stage = {name: {"mean": 0.1, "least": 0.1, "most": 0.1} for name in ("loudness_lu",)}
    stage |= {n: {"mean": 1.0} for n in ("spectral_convergence", "log_spectral_db")}
    stage |= {"centroid_ratio": {"mean": 1.0}, "image_psnr_db": {"mean": 40.0}}
    report = {"format": {"name": "sdxl-512", "fmax": 20000.0}, "base_format": "nano"}
    report |= {"stages": {"image": stage, "vae": stage}, "energy_above_fmax": {"mean": 0.0}}
    assert any("made for pictures of format 'nano'" in s for s in expectation_sentences(report))


def test_what_a_base_loses_is_kept_for_the_check_of_a_training(dataset, tiny_checkpoint):
    (line,) = sound_limits(dataset, tiny_checkpoint)
    assert "not measured with this base" in line and "dmm data fidelity" in line
    write_fidelity_report(dataset, tiny_checkpoint, None, clips=1)
    (line,) = sound_limits(dataset, tiny_checkpoint)
    assert line.startswith("sound, at best: After the VAE") and "Loudness" in line


def test_a_vae_that_overflows_in_half_precision_is_measured_in_full(overflowing_vae, rng):
    vae = load_pipeline(overflowing_vae).vae
    pixels = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        assert not vae.half().encode(pixels.half()).latent_dist.mean.isfinite().all()
    vae = vae.double()
    image = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    with torch.no_grad():
        given = torch.from_numpy(image).permute(2, 0, 1)[None] / 127.5 - 1
        restored = vae.decode(vae.encode(given.double()).latent_dist.mean).sample
    expected = ((restored[0].permute(1, 2, 0).numpy() + 1) * 127.5).clip(0, 255)
    assert expected.std() > 1
    assert np.abs(load_vae_round_trip(overflowing_vae)(image) - expected).max() < 1
