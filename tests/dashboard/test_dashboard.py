"""The dashboard in Chromium, before the real api and the real engine on memory ports."""

import json
import signal

import pytest
from selenium.webdriver.common.keys import Keys

from api.tokens import Role
from appliance.contract.appliance import GetStatus
from appliance.contract.transfers import CreateTransfer, GetTransfer, ListTransfers, ReplaceTransfer
from appliance.settings.transfer import Transfer
from tests.dashboard.browser import PAGES, SCRIPTS
from tests.unit.control_bed import settings

SHOP = "shop"


def create(engine, transfer=SHOP, **more):
    wanted = Transfer.model_validate(settings(**more))
    engine.client.call(CreateTransfer(transfer=transfer, settings=wanted))


def transfer(engine):
    return engine.client.call(GetTransfer(transfer=SHOP))


def test_nothing_is_loaded_from_anywhere_else(page, tokens, api):
    page.requests()
    page.open(tokens.operator)
    for name in PAGES:
        page.go(name)
    page.says(".banner", "no transfer yet")
    seen = page.requests()
    assert f"{api.base}/api/v1/counters/stream?interval=1" in seen
    assert {url for url in seen if not url.startswith((f"{api.base}/", "about:"))} == set()


def test_a_wrong_token_is_refused_once(page, api):
    page.open()
    page.photograph("sign-in")
    before = api.audit.read_text().count("\n") if api.audit.exists() else 0
    page.type("Token", "xdp_00000000_wrong")
    page.press("Sign in")
    page.says(".refusal", "a valid token is needed")
    assert [json.loads(line)["status"] for line in api.audit.read_text().splitlines()[before:]] == [401]


def test_a_token_that_is_revoked_leads_back_to_the_sign_in(page, api):
    token = api.token(Role.VIEWER)
    page.open(token)
    api.tokens.revoke(token.split("_")[1])
    page.says(".refusal", "a valid token is needed")
    assert page.driver.execute_script("return sessionStorage.length") == 0


def test_a_viewer_has_no_controls(page, tokens, engine):
    create(engine)
    page.open(tokens.viewer)
    for name in PAGES:
        page.go(name)
        if name == "transfers":
            page.one("tbody tr", SHOP)
        said = {each.text for each in page.all("button")}
        assert not said & {"Emergency stop", "Arm again", "New transfer", "Pause", "Edit", "Delete"}
    page.go("transfers")
    page.one("tbody tr", SHOP)
    assert not page.all("main input")


def test_signing_in_lasts_until_signing_out(page, tokens):
    page.open()
    page.type("Token", tokens.viewer + Keys.ENTER)
    page.one("main.overview")
    page.driver.refresh()
    page.one("main.overview")
    page.press("Sign out")
    page.one("main.sign-in")
    page.driver.refresh()
    page.one("main.sign-in")


def test_a_transfer_from_its_creation_to_its_end(page, tokens, engine):
    page.open(tokens.operator, "transfers")
    page.press("New transfer")
    for label, value in (
        ("Id", SHOP),
        ("Source", "80"),
        ("Target", "198.19.0.2:8080"),
        ("Client pool", "198.18.0.0/24"),
    ):
        page.type(label, value)
    page.photograph("transfer-form")
    page.press("Create")
    page.one("tbody tr", SHOP)
    page.one("tbody .state", "running")
    assert transfer(engine).settings == Transfer.model_validate(settings(clients="198.18.0.0/24"))
    page.type(f"Multiplier of {SHOP}", "7" + Keys.ENTER)
    page.says(".message", "changed, in force")
    page.wait(lambda: transfer(engine).settings.multiplier == 7)
    page.named(f"Sampling of {SHOP}, slider").send_keys(Keys.ARROW_LEFT)
    page.wait(lambda: transfer(engine).settings.sample_percent == 95)
    page.press(f"Edit {SHOP}")
    page.type("Gradual start, s", "60")
    page.press("Save")
    page.wait(lambda: transfer(engine).settings.ramp_s == 60)
    assert transfer(engine).settings.multiplier == 7
    page.press(f"Pause {SHOP}")
    page.one("tbody .state", "paused")
    assert transfer(engine).paused
    page.press(f"Resume {SHOP}")
    page.one("tbody .state", "running")
    page.press(f"Delete {SHOP}")
    page.press("Delete")
    page.says(".empty", "no transfer")
    assert engine.client.call(ListTransfers()).items == ()


def test_what_is_refused_is_said_beside_its_field(page, tokens, engine):
    page.open(tokens.operator, "transfers")
    page.press("New transfer")
    page.type("Source", "80")
    page.type("Target", "192.0.2.1:80")
    page.press("Create")
    page.says(".field .bad, dialog .refusal", "allowed_targets")
    page.type("Target", "nonsense")
    page.press("Create")
    page.says(".field .bad", "is not a target")
    assert page.named("Target").get_attribute("aria-invalid") == "true"
    page.photograph("transfer-refused")
    page.press("Cancel")
    page.wait(lambda: not page.all("dialog"))
    assert engine.client.call(ListTransfers()).items == ()


def test_what_somebody_else_changed_is_not_overwritten(page, tokens, engine):
    create(engine)
    page.open(tokens.operator, "transfers")
    page.press(f"Edit {SHOP}")
    other = Transfer.model_validate(settings(multiplier=5))
    engine.client.call(ReplaceTransfer(transfer=SHOP, settings=other))
    page.type("Multiplier", "9")
    page.press("Save")
    page.says("dialog .refusal", "read it again")
    assert transfer(engine).settings.multiplier == 5


def test_the_emergency_stop_is_asked_for_twice_and_holds_until_it_is_armed(page, tokens, engine):
    create(engine)
    page.open(tokens.operator)
    page.press("Emergency stop")
    page.wait(
        lambda: page.driver.switch_to.active_element.text == "Cancel", "the harmless answer has the focus"
    )
    page.photograph("emergency-stop")
    page.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    page.wait(lambda: not page.all("dialog"))
    assert engine.client.call(GetStatus()).armed
    page.press("Emergency stop")
    page.press("Stop everything")
    page.says(".banner", "Emergency stop: every session was reset")
    assert not engine.client.call(GetStatus()).armed
    page.photograph("stopped")
    page.press("Arm again")
    page.press("Arm")
    page.says("header .state", "Waiting")
    assert engine.client.call(GetStatus()).armed


def test_an_engine_that_is_gone_is_said_and_comes_back_by_itself(page, tokens, engine):
    create(engine)
    page.open(tokens.operator)
    page.says("header .state", "Waiting")
    engine.end(signal.SIGKILL)
    page.says(".banner", "Engine: down. No engine answers")
    page.photograph("engine-down")
    page.press("Emergency stop")
    page.press("Stop everything")
    page.says(".message.bad", "no engine answers")
    engine.start()
    page.says("header .state", "Waiting")
    assert engine.client.call(GetStatus()).armed


def test_the_main_view_fits_a_laptop(page, tokens, engine):
    for number in range(30):
        create(engine, f"shop-{number}", source=1000 + number)
    page.open(tokens.operator)
    page.says(".banner", "No mirrored traffic yet")
    page.wait(lambda: len(page.all(".panel")) == 6)
    size, inside, outside = page.driver.execute_script(f"{SCRIPTS}; return fit()")
    assert size == inside
    assert outside == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_has_contrast_and_controls_have_names(page, tokens, engine, theme):
    create(engine)
    page.open(tokens.operator)
    page.theme(theme)
    for name in PAGES:
        page.go(name)
        if name == "transfers":
            page.one("tbody tr", SHOP)
        assert page.driver.execute_script(f"{SCRIPTS}; return pale()") == []
        tree = page.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        controls = {"button", "link", "textbox", "slider", "spinbutton", "combobox", "checkbox"}
        found = [each for each in tree if each.get("role", {}).get("value") in controls]
        assert len(found) > 5
        assert [each for each in found if not each["name"]["value"].strip()] == []


def test_a_hidden_page_ends_its_stream_and_begins_again_when_it_is_seen(page, tokens):
    page.open(tokens.viewer)
    page.says("header .state", "Idle")
    page.requests()
    page.driver.execute_script(f"{SCRIPTS}; look(true)")
    page.wait(page.cancelled)
    page.driver.execute_script(f"{SCRIPTS}; look(false)")
    page.wait(lambda: any("/counters/stream" in url for url in page.requests()))
