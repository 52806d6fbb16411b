"""The forms follow the api's schema: whatever a transfer or a replay can be given, they ask for."""

import pytest

from api.routes.replays import NewReplay
from api.routes.transfers import NewTransfer
from appliance.contract.replays import ReplayOptions
from appliance.contract.transfers import CreateTransfer, GetTransfer
from appliance.settings.transfer import Transfer
from tests.dashboard.test_captures import recording
from tests.unit.control_bed import settings

CONTROL = "return document.querySelector('dialog').querySelector(`[name=${arguments[0]}]`)"
BOUNDS = ("minimum", "maximum", "minLength", "maxLength")
ATTRIBUTES = dict(zip(BOUNDS, ("min", "max", "minlength", "maxlength"), strict=True))

# A setting of every kind, none of which a transfer has.
INVENTED = {
    "properties": {
        "wait_ms": {
            "type": "integer",
            "minimum": 5,
            "exclusiveMaximum": 10,
            "default": 7,
            "description": "Why.",
        },
        "colour": {"anyOf": [{"enum": ["red", "blue"], "type": "string"}, {"type": "null"}]},
        "loud": {"type": "boolean", "default": True},
        "tags": {"type": "array", "items": {"type": "string"}, "default": ["a", "b"]},
        "match": {"type": "object", "default": {"path": "/"}},
        "code": {"type": "string", "pattern": "^[a-z.-]{2}$"},
    },
    "required": ["code"],
}
BUILD = """
const [schema, done] = arguments;
(async () => {
  const { fields } = await import("/dashboard/schema.js");
  const { arranged, entry } = await import("/dashboard/form.js");
  const known = { loud: { label: "Volume" } };
  const made = arranged(fields(schema), known).map((field) => entry(field, known[field.name]));
  document.body.replaceChildren(...made.map(({ node }) => node));
  return made.map(({ control, read }) => [control.name, control.type, control.labels[0].textContent, read()]);
})().then(done, (error) => done(String(error)));
"""


def create(engine):
    wanted = Transfer.model_validate(settings())
    engine.client.call(CreateTransfer(transfer="shop", settings=wanted))


@pytest.fixture
def form(page, tokens):
    """The form of a new transfer, unfolded."""
    page.open(tokens.operator, "transfers")
    page.press("New transfer")
    page.press("More settings")
    return page


def bounded(model):
    """Every number and text of the model with a bound: its name, the attribute, and its value."""
    for name, schema in model.model_json_schema()["properties"].items():
        for one in schema.get("anyOf", [schema]):
            for bound in BOUNDS & one.keys():
                yield name, ATTRIBUTES[bound], one[bound]


def test_every_setting_of_a_transfer_is_in_its_form_with_its_description(form):
    settings = Transfer.model_json_schema()["properties"]
    form.photograph("transfer-form-unfolded")
    around = NewTransfer.model_json_schema()["properties"]
    for name, schema in {**settings, **around}.items():
        if name == "settings":
            continue  # the fields of which are looked at
        control = form.driver.execute_script(CONTROL, name)
        assert control is not None, name
        assert control.is_displayed(), name
        help_text = form.driver.find_element("id", f"{name}-hint").get_property("textContent")
        assert help_text == schema["description"], name


def test_the_bounds_of_a_transfers_form_are_those_of_the_schema(form):
    found = list(bounded(Transfer))
    assert len(found) > 10
    for name, attribute, value in found:
        control = form.driver.execute_script(CONTROL, name)
        assert float(control.get_attribute(attribute)) == value, (name, attribute)


def test_a_transfer_that_is_saved_untouched_keeps_its_settings(page, tokens, engine):
    """Every default of the form is the schema's: nothing is sent, so nothing is changed."""
    create(engine)
    before = engine.client.call(GetTransfer(transfer="shop"))
    page.open(tokens.operator, "transfers")
    page.press("Edit shop")
    page.press("Save")
    page.wait(lambda: not page.all("dialog"))
    assert engine.client.call(GetTransfer(transfer="shop")) == before


def test_a_value_out_of_bounds_unfolds_its_field_and_is_not_sent(form):
    form.type("Source", "80")
    form.type("Target", "198.19.0.2:8080")
    form.type("Maximum segment size", "12")
    form.press("More settings")
    form.press("Create")
    assert form.named("Maximum segment size").get_attribute("validationMessage")
    form.type("Maximum segment size", "1400")
    form.press("Create")
    form.one("tbody tr")


def test_every_slider_has_the_bounds_of_its_setting(page, tokens, engine):
    create(engine)
    page.open(tokens.operator, "transfers")
    page.one("tbody tr", "shop")
    limits = set(bounded(Transfer))
    numbers = page.all(".stepped input[type=number]")
    assert numbers
    for number in numbers:
        for attribute in ("min", "max"):
            value = float(number.get_attribute(attribute))
            assert (number.get_attribute("name"), attribute, value) in limits


def test_every_option_of_a_replay_is_in_its_form(page, tokens, tmp_path):

    page.open(tokens.operator, "captures")
    page.upload(recording(tmp_path / "forms.pcap"))
    page.press("Replay forms.pcap")
    assert "options" in NewReplay.model_fields
    for name in ReplayOptions.model_fields.keys() - {
        "captures",
        "transfers",
        "settings",
    }:  # chosen, not typed
        assert page.driver.execute_script(CONTROL, name).is_displayed(), name
    for name, attribute, value in bounded(ReplayOptions):
        assert float(page.driver.execute_script(CONTROL, name).get_attribute(attribute)) == value
    page.press("Cancel")
    page.press("Delete forms.pcap")
    page.press("Delete")


def test_a_setting_of_any_kind_has_a_control(page, tokens):
    page.open(tokens.viewer)
    made = page.driver.execute_async_script(BUILD, INVENTED)
    assert made[0] == ["loud", "checkbox", "Volume", True]  # the one with a hint
    assert sorted(made[1:]) == [
        ["code", "text", "Code", ""],
        ["colour", "select-one", "Colour", None],
        ["match", "text", "Match", {"path": "/"}],
        ["tags", "text", "Tags", ["a", "b"]],
        ["wait_ms", "number", "Wait, ms", 7],
    ]
    wait, code = page.named("Wait, ms"), page.named("Code")
    assert (wait.get_attribute("min"), wait.get_attribute("max")) == ("5", "9")
    code.send_keys("A!")
    assert "does not match" in code.get_attribute("validationMessage")
    page.type("Code", "a-")
    assert code.get_attribute("validationMessage") == ""
    page.type("Match", "{")
    assert "not JSON" in page.named("Match").get_attribute("validationMessage")


def test_no_hint_is_for_a_field_that_is_gone(page, tokens):
    page.open(tokens.viewer)
    hints = page.driver.execute_async_script(
        'const done = arguments[0]; import("/dashboard/hints.js").then((hints) => done({ ...hints }))'
    )
    transfer = Transfer.model_fields.keys() | NewTransfer.model_fields.keys()
    assert set(hints["TRANSFER"]) <= transfer
    assert set(hints["SLIDERS"]) <= Transfer.model_fields.keys()
    assert set(hints["REPLAY"]) <= ReplayOptions.model_fields.keys()


def test_anybody_who_signs_in_can_read_the_schema(page, tokens):
    for token in (tokens.viewer, tokens.operator):
        page.open(token)
        assert f"{page.base}/api/v1/openapi.json" in page.requests()
