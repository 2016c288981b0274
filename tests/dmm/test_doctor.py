"""``dmm doctor`` names what fits into this machine and what an hour of training costs."""

from types import SimpleNamespace

import pytest

from dmm.commands import doctor
from dmm.machine_settings import store_machine_settings

GB = 2**30


@pytest.mark.parametrize(
    ("ram_gb", "gpu_gb", "expected"),
    [
        (32, 24, "nano-cpu, and sdxl-24gb, sdxl-16gb, sdxl-12gb, sd15-12gb at 512 x 512"),
        (10, None, "nano-cpu, and sd15-12gb at 512 x 512 on the CPU, minutes a step"),
        (2, None, "nano-cpu; SDXL and SD 1.5 do not fit"),
    ],
)
def test_presets_that_fit_are_named(monkeypatch, ram_gb, gpu_gb, expected):
    memory = SimpleNamespace(total=ram_gb * GB, available=GB)
    monkeypatch.setattr("psutil.virtual_memory", lambda: memory)
    monkeypatch.setattr(
        "dmm.training.forecast.memory.estimate.installed_gpu_bytes",
        lambda: gpu_gb and gpu_gb * GB,
    )
    ram, fits = doctor._check_what_fits()
    assert ram.found == f"{ram_gb} GB, 1 GB of them free" and fits.found == expected


def test_an_hour_is_priced_once_a_price_is_stored(monkeypatch, tmp_path):
    monkeypatch.setenv("DMM_CONFIG", str(tmp_path))
    assert "dmm doctor --set price=" in next(doctor._check_cost()).found
    store_machine_settings({"price": "0.50/kWh", "watts": "400"})
    assert next(doctor._check_cost()).found == "0.4 kWh (at 400 W), 0.20 (at 0.5/kWh)"
