"""Sentences that explain the numbers of ``dmm data fidelity``."""

from typing import Any

SHARP_PSNR_DB, SOFT_PSNR_DB = 38.0, 30.0
"""PSNR of an image: from the first on a difference is hardly audible, below the second blur is
obvious."""
AUDIBLE_LU = 0.5
"""Smallest change of loudness that a listener may notice."""
AUDIBLE_CENTROID = 0.05
"""Smallest relative change of the spectral centroid that a listener may notice."""


def expectation_sentences(report: dict[str, Any]) -> list[str]:
    """Sentences on what to expect of the sound at best."""
    stages, top_khz = report["stages"], report["format"]["fmax"] / 1000
    image = stages["image"]
    above = 100 * report["energy_above_fmax"]["mean"]
    sentences = [
        f"The mel image alone: {_error_sentence(image)}. {_loudness_sentence(image)} "
        "Images hold no phases; decoding estimates them, so attacks and low notes soften a little.",
        f"Images hold nothing above {top_khz:g} kHz: {_percent_text(above)} of these clips' "
        "energy (measured in the clips as stored, at the format's own sampling rate).",
    ]
    own, name = report["base_format"], report["format"]["name"]
    if own and own != name:
        sentences.append(
            f"This base was made for pictures of format {own!r}, and these are {name!r}: its VAE "
            f"was not trained on them. Build the dataset with --format {own} to use it."
        )
    if "vae" in stages:
        sentences.append(_vae_sentence(stages["vae"], image))
        sentences.append(
            "This is the upper limit: a LoRA on this base generates through the same VAE, so it "
            "cannot sound better than the last column."
        )
    else:
        sentences.append("A base model's VAE loses more: name one with --base to include it.")
    return sentences


def vae_sentences(report: dict[str, Any]) -> list[str]:
    """The expectation sentences on the VAE's loss and on a base made for another format."""
    return [
        line
        for line in expectation_sentences(report)
        if line.startswith(("After the VAE", "This base"))
    ]


def _vae_sentence(vae: dict[str, Any], image: dict[str, Any]) -> str:
    psnr = vae["image_psnr_db"]["mean"]
    if psnr >= SHARP_PSNR_DB:
        description = "hardly audible after the image's own loss"
    elif psnr >= SOFT_PSNR_DB:
        description = "a slight blur: quiet detail and sharp attacks suffer first"
    else:
        description = "obvious blur: notes lose their attack and quiet ones vanish or become noise"
    more = vae["spectral_convergence"]["mean"] / max(image["spectral_convergence"]["mean"], 1e-9)
    return (
        f"After the VAE: {_error_sentence(vae)}, {more:.1f} times the image's own error; the image "
        f"keeps {psnr:.1f} dB PSNR, {description}. "
        f"{_loudness_sentence(vae)} {_timbre_sentence(vae)}"
    ).rstrip()


def _error_sentence(stage: dict[str, Any]) -> str:
    share = 100 * stage["spectral_convergence"]["mean"]
    return (
        f"{share:.0f} % of the spectrum is wrong "
        f"and levels differ by {stage['log_spectral_db']['mean']:.1f} dB on average"
    )


def _loudness_sentence(stage: dict[str, Any]) -> str:
    if "loudness_lu" not in stage:
        return ""
    found = stage["loudness_lu"]
    furthest = max(abs(found["least"]), abs(found["most"]))
    if furthest < AUDIBLE_LU:
        return f"Loudness stays within {furthest:.2f} LU."
    return f"Loudness changes by {found['mean']:+.1f} LU, at most {furthest:.1f}."


def _timbre_sentence(stage: dict[str, Any]) -> str:
    ratio = stage["centroid_ratio"]["mean"]
    if abs(ratio - 1) < AUDIBLE_CENTROID:
        return ""
    word = "duller" if ratio < 1 else "brighter"
    return f"It sounds {word}: the spectral centroid moves by {100 * (ratio - 1):+.0f} %."


def _percent_text(value: float) -> str:
    return f"{value:.2g} %" if value >= 0.01 else "less than 0.01 %"
