from pathlib import Path

import pytest

from appliance import reference
from appliance.config import Config
from dataplane.binding import COUNTERS

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", reference.pages())
def test_the_generated_page_is_up_to_date(name):
    assert (ROOT / "docs" / name).read_text() == reference.pages()[name], "run make docs"


def test_every_setting_is_described():
    schema = Config.model_json_schema()
    models = [schema, *(model for model in schema["$defs"].values() if "properties" in model)]
    for model in models:
        for name, field in model["properties"].items():
            assert reference._about(field, schema), name


def test_every_counter_is_described():
    page = reference.counters()
    for counter in COUNTERS:
        assert f"| `{counter.name}` | {counter.unit} | {counter.help} |" in page


def test_the_page_writer_asks_for_a_folder(capsys, tmp_path):
    assert reference.main([]) == 2
    assert "usage" in capsys.readouterr().err
    assert reference.main([str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == set(reference.pages())
