"""What goes wrong with models and networks: a sentence to act on, and the page goes on working."""

import json
import re
import shutil

import pytest
from playwright.sync_api import expect


def alert(page):
    """What the page complains of."""
    return page.locator("#alert")


def shards(requests):
    """Ranges that were asked of the UNet's weights."""
    return [span for name, span in requests if name == "unet.onnx.data-00000"]


def opened(context, address):
    """The page without waiting for a model."""
    page = context.new_page()
    page.goto(address)
    return page


def test_an_altered_shard_is_refused_and_fetched_again(context, site):
    site.faults.altered["unet.onnx.data-00000"] = 1
    page = opened(context, site.entrance)
    expect(alert(page)).to_contain_text("unet.onnx.data-00000 arrived damaged")
    expect(page.locator("#make")).to_be_disabled()
    page.click("#model")
    page.get_by_role("button", name="Resume: toy").click()
    expect(page.locator("#make")).to_be_enabled()
    assert len(shards(site.faults.requests)) == 2


def test_a_lost_network_is_resumed_where_it_broke(context, site, toy):
    site.faults.broken_off["unet.onnx.data-00000"] = 1
    page = opened(context, site.entrance)
    expect(page.locator("#make")).to_be_enabled()
    first, second = shards(site.faults.requests)
    half = (toy / "unet.onnx.data-00000").stat().st_size // 2
    assert first == "" and second == f"bytes={half}-"


def test_a_network_that_stays_away_pauses_and_says_so(context, site):
    site.faults.broken_off["unet.onnx.data-00000"] = 5
    page = opened(context, site.entrance)
    expect(alert(page)).to_contain_text("press Resume when you are online again")
    page.click("#model")
    page.get_by_role("button", name="Resume: toy").click()
    expect(page.locator("#make")).to_be_enabled()


@pytest.fixture
def folder(toy, tmp_path):
    """A copy of the bundle to damage."""
    return shutil.copytree(toy, tmp_path / "mine")


def choose(page, folder):
    """Give the page a bundle's folder."""
    page.click("#model")
    page.set_input_files("#folder", folder)


def test_a_folder_is_a_model_too(page, folder, make):
    description = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps(description | {"name": "mine"}))
    choose(page, folder)
    expect(page.locator("#model .name")).to_have_text("mine")
    page.keyboard.press("Escape")
    make(page)


def test_a_model_that_arrives_while_a_clip_is_made_waits_for_it(page, folder, held_making):
    description = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps(description | {"name": "mine"}))
    page.fill(".prompt", "piano")
    with held_making(page):
        page.click("#make")
        choose(page, folder)
        expect(page.locator("#says")).to_contain_text("mine is on this device")
        expect(page.locator("#model .name")).to_have_text("toy")
    expect(page.locator("#model .name")).to_have_text("mine")
    expect(page.locator(".card h3")).to_have_text("piano")


def damage_version(folder):
    text = (folder / "bundle.json").read_text()
    (folder / "bundle.json").write_text(re.sub(r'"version": ?1', '"version": 9', text, count=1))


def damage_json(folder):
    (folder / "bundle.json").write_text("{")


def damage_missing(folder):
    description = json.loads((folder / "bundle.json").read_text())
    description["name"] = "other"
    description["format"]["sha256"] = "1" * 64
    (folder / "bundle.json").write_text(json.dumps(description))
    (folder / "mel.json").unlink()


def damage_size(folder):
    description = json.loads((folder / "bundle.json").read_text())
    description["format"] |= {"sha256": "1" * 64, "bytes": description["format"]["bytes"] - 5}
    (folder / "bundle.json").write_text(json.dumps(description))


def damage_manifest(folder):
    (folder / "bundle.json").unlink()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (damage_version, "bundle version 9, and this page reads version 1"),
        (damage_json, "not valid JSON"),
        (damage_missing, "no file mel.json"),
        (damage_size, "mel.json is damaged"),
        (damage_manifest, "this one holds 0"),
    ],
)
def test_a_damaged_folder_is_refused_in_a_sentence(page, folder, damage, said, make):
    damage(folder)
    choose(page, folder)
    expect(alert(page)).to_contain_text(said)
    page.keyboard.press("Escape")
    make(page)  # with the model that was there


def test_a_model_that_does_not_fit_is_refused_before_it_is_fetched(
    page, context, site, tmp_path, write_bundle
):
    usage = page.evaluate("() => navigator.storage.estimate().then((found) => found.usage)")
    client = context.new_cdp_session(page)
    origin = {"origin": site.url.rstrip("/"), "quotaSize": usage + 1000}
    client.send("Storage.overrideQuotaForOrigin", origin)
    new = write_bundle(tmp_path / "new", "new", seed=1)
    choose(page, new)
    expect(alert(page)).to_contain_text("free up space by removing a model")
    client.send("Storage.overrideQuotaForOrigin", {"origin": origin["origin"]})
    page.set_input_files("#folder", new)
    expect(page.locator("#model .name")).to_have_text("new")


def test_a_browser_without_any_room_says_so(context, site):
    page = context.new_page()
    client = context.new_cdp_session(page)
    client.send("Storage.overrideQuotaForOrigin", {"origin": site.url.rstrip("/"), "quotaSize": 50})
    page.goto(site.entrance)
    expect(alert(page)).to_contain_text("free up space")


def test_a_model_can_be_removed_and_had_again(page):
    page.click("#model")
    page.get_by_role("button", name="Remove from device: toy").click()
    expect(page.locator("#make")).to_be_disabled()
    page.get_by_role("button", name="Get: toy").click()
    expect(page.locator("#make")).to_be_enabled()


def test_a_prompt_over_75_tokens_says_what_is_not_read(page, make):
    make(page, "piano " * 74 + "violin trumpet")
    expect(alert(page)).to_contain_text("it did not read the end")
    expect(alert(page)).to_contain_text("trumpet")


def test_a_second_tab_waits_its_turn(context, page, site):
    other = context.new_page()
    other.goto(site.entrance)
    other.wait_for_selector("#make:enabled")
    held = "() => new Promise((go) => navigator.locks.request('dmm-making', () => new Promise((end) => { window.end = end; go(); })))"  # noqa: E501
    other.evaluate(held)  # as if it were making something
    page.fill(".prompt", "piano")
    page.click("#make")
    expect(page.locator("#job-note")).to_contain_text("another tab of this page")
    other.evaluate("() => window.end()")
    expect(page.locator("#wav")).to_be_enabled()


def test_what_was_not_finished_is_told_after_the_tab_is_back(page, make):
    page.evaluate("() => sessionStorage.setItem('dmm-player-making', '“organ”')")
    page.reload()
    expect(alert(page)).to_contain_text("“organ” was not finished")
    page.wait_for_selector("#make:enabled")
    make(page)


def test_a_frozen_tab_goes_on_when_it_wakes(context, page):
    client = context.new_cdp_session(page)
    page.fill(".prompt", "piano")
    page.click("#make")
    for state in ("frozen", "active"):
        client.send("Page.setWebLifecycleState", {"state": state})
    expect(page.locator("#wav")).to_be_enabled()


def test_two_servers_bundles_share_their_files(serve, toy, tmp_path, context):
    other = shutil.copytree(toy, tmp_path / "other")
    description = json.loads((other / "bundle.json").read_text())
    (other / "bundle.json").write_text(json.dumps(description | {"name": "other"}))
    with serve([toy, other]) as site:
        page = opened(context, site.entrance)
        page.wait_for_selector("#make:enabled")
        page.click("#model")
        page.get_by_role("button", name="Get: other").click()
        expect(page.locator("#model .name")).to_have_text("other")
        assert len(shards(site.faults.requests)) == 1
