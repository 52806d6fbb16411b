"""Alerts and the dashboard ask for metrics that the real api gives, in PromQL that Prometheus takes."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from api import grafana
from appliance.contract.appliance import GetStatus
from appliance.contract.base import ErrorKind, refused
from tests.unit.control_bed import settings

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "configs" / "prometheus"
TESTS = ROOT / "tests" / "ops" / "alerts_test.yml"
METRIC = re.compile(r"\bxdpcopy_\w+")
BOUNDED = {"transfer", "device", "le"}

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool here")


def alerts():
    groups = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def queries():
    """Of the dashboard."""
    made = json.loads(grafana.dashboard())
    asked = [target["expr"] for panel in made["panels"] for target in panel["targets"]]
    return [*asked, made["templating"]["list"][1]["query"]]


def promtool(*words):
    done = subprocess.run(("promtool", *map(str, words)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def families(scene):
    scene.operator.post("/api/v1/transfers", json={"id": "shop", "settings": settings()})
    return list(text_string_to_metric_families(scene.viewer.get("/metrics").text))


def test_alerts_and_dashboard_ask_for_metrics_that_exist(families):
    there = {sample.name for family in families for sample in family.samples}
    there |= {f"{family.name}_bucket" for family in families if family.type == "histogram"}
    for query in [*(rule["expr"] for rule in alerts().values()), *queries()]:
        asked = set(METRIC.findall(query))
        assert asked <= there, f"{query}: there is no {asked - there}"


def test_an_engine_that_stands_aside_is_up_and_counts_nothing(scene, monkeypatch):
    context = scene.app.state.context
    call = context.client.call

    def busy(request):
        if isinstance(request, GetStatus):
            return call(request).model_copy(update={"aside": "a replay has the ports"})
        raise refused(ErrorKind.CONFLICT, "a replay has the ports")

    monkeypatch.setattr(context.client, "call", busy)
    said = scene.viewer.get("/metrics").text
    assert "xdpcopy_engine_up 1.0" in said
    assert "xdpcopy_aside 1.0" in said
    assert "xdpcopy_mirror_frames" not in said


def test_labels_are_bounded_by_the_configuration(families):
    assert {label for each in families for sample in each.samples for label in sample.labels} == BOUNDED


def test_every_alert_has_a_severity_and_says_what_to_do():
    for name, rule in alerts().items():
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}, name
        assert set(rule["annotations"]) == {"summary", "cure"}, name


def test_the_dashboard_fills_its_grid_and_nothing_overlaps():
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(grafana.dashboard())["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        taken |= cells
    assert len(taken) == grafana.WIDTH * (1 + max(y for _, y in taken))


@needs_promtool
def test_prometheus_takes_the_rules_and_the_example():
    promtool("check", "rules", PROMETHEUS / "alerts.yml")
    promtool("check", "config", "--syntax-only", PROMETHEUS / "prometheus.yml")


@needs_promtool
def test_alerts_fire_when_they_should(tmp_path):
    for path in (PROMETHEUS / "alerts.yml", TESTS):
        shutil.copy(path, tmp_path)
    promtool("test", "rules", tmp_path / TESTS.name)


@needs_promtool
def test_prometheus_takes_the_queries_of_the_dashboard(tmp_path):
    asked = (query.replace("$__rate_interval", "1m") for query in queries() if "label_values" not in query)
    rules = [{"record": f"query{number}", "expr": query} for number, query in enumerate(asked)]
    path = tmp_path / "queries.yml"
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", path)
