from ipaddress import IPv4Address, IPv6Address, ip_network
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from appliance.errors import ConfigError
from appliance.settings.api import Api
from appliance.settings.config import Config
from appliance.settings.endpoint import Source, Target
from appliance.settings.limits import Limits
from appliance.settings.loading import build, load, parse
from appliance.settings.ports import Mode
from appliance.settings.timing import Timing
from dataplane import binding

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))

BASE = """\
mirror:
  - device: m0
test: {device: t0}
transfers:
  - {source: 80, target: "198.19.0.2:8080"}
"""


def problems(text):
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return caught.value.problems


def problem(text):
    (sentence,) = problems(text)
    return sentence


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_file_of_configs_loads(path):
    assert load(path).transfers


def test_the_minimal_file_means_the_defaults():
    config = load(ROOT / "configs" / "minimal.yaml")
    assert [port.device for port in config.mirror] == ["mirror0"]
    assert config.test.device == "test0"
    assert config.test.mode is Mode.AUTO
    assert config.transfers[0].source == Source(None, 80)
    assert config.transfers[0].target == Target(IPv4Address("198.19.0.2"), 8080)
    assert config.transfers[0].label == "80-198.19.0.2:8080"


def test_the_full_file_names_every_setting_with_its_default():
    text = (ROOT / "configs" / "full.yaml").read_text()
    written = yaml.safe_load(
        text.replace("# allowed_targets", "allowed_targets").replace("# ledger", "ledger")
    )
    full = load(ROOT / "configs" / "full.yaml")
    assert set(written) == set(Config.model_fields)
    for name in ("mirror", "transfers"):
        assert set(written[name][0]) == set(type(getattr(full, name)[0]).model_fields)
    for name in ("test", "limits", "timing", "safety"):
        assert set(written[name]) == set(type(getattr(full, name)).model_fields)
    minimal = load(ROOT / "configs" / "minimal.yaml")
    assert full.api == Api()
    for name in ("api", "control"):
        assert set(written[name]) == set(type(getattr(full, name)).model_fields)
    left_out = {"transfers": (), "api": None}
    assert full.model_copy(update=left_out) == minimal.model_copy(update=left_out)


def test_defaults_are_those_of_the_dataplane():
    timing, limits = binding.Timing(), binding.Limits()
    assert Timing().settle_ms * 1e6 == timing.settle
    for name in ("response_timeout", "idle_timeout", "datagram_timeout", "gap_timeout", "linger"):
        assert getattr(Timing(), f"{name}_s") * 1e9 == getattr(timing, name)
    assert (Timing().tries, Timing().syn_tries) == (timing.tries, timing.syn_tries)
    assert Limits().model_dump() == {name: getattr(limits, name) for name in Limits.model_fields}


def test_settings_do_not_change_once_read():
    with pytest.raises(ValidationError):
        parse(BASE).workers = 2


def test_ipv6_endpoints_and_networks_are_read():
    config = parse(
        BASE + '  - {source: "[fd00::1]:80", target: "[fd00::2]:80"}\n'
        'safety: {allowed_targets: ["fd00::/64", 198.19.0.0/16]}\n'
    )
    assert config.transfers[1].source == Source(IPv6Address("fd00::1"), 80)
    assert config.safety.allowed_targets == (ip_network("fd00::/64"), ip_network("198.19.0.0/16"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty; configs/minimal.yaml shows what is required"),
        ("- 1", "holds a list, not settings; configs/minimal.yaml shows what is required"),
        (BASE + "colour: 1", "colour: there is no such setting; known are mirror, test, transfers"),
        (BASE + "worker: 1", "worker: there is no such setting; did you mean 'workers'?"),
        (BASE + "limits: {session: 1}", "limits.session: there is no such setting; did you mean 'sessions'?"),
        (
            BASE + "workers: zero",
            "workers: 'zero' cannot be used; it must be a whole number or must be 'auto'",
        ),
        (BASE + "workers: 65", "workers: 65 cannot be used; it must be less than or equal to 64"),
        (BASE + "cpus: all", "cpus: 'all' cannot be used; it must be a list or must be 'auto' or 'none'"),
        (BASE + "workers: 2\ncpus: [0]", "cpus: 1 CPUs for 2 workers; name one for each"),
        (
            BASE + "timing: {settle_ms: -1}",
            "timing.settle_ms: -1 cannot be used; it must be greater than 0 (Sil",
        ),
        (BASE + "timing: {linger_s: .inf}", "timing.linger_s: inf cannot be used; it must be less than"),
        (BASE + "stats: stats", "stats: 'stats' cannot be used; give an absolute path"),
        (
            BASE.replace("m0", "m0\n    ring_size: 100"),
            "mirror[0].ring_size: 100 is not a power of two; give 128",
        ),
        (
            BASE.replace("m0", "m0\n    mode: fast"),
            "mirror[0].mode: 'fast' cannot be used; it must be 'auto', ",
        ),
        (BASE.replace("m0", "a-very-long-name"), "mirror[0].device: 'a-very-long-name' cannot be used; it"),
        (BASE.replace("t0", "m0"), "mirror, test: 'm0' is named twice; each port needs a device of its own"),
        (
            BASE.replace("198.19.0.2:8080", "x"),
            "transfers[0].target: 'x' is not a target; write address:port",
        ),
        (
            BASE.replace("80,", "70000,"),
            "transfers[0].source: '70000' in '70000' is not a port; write a number",
        ),
        (BASE.replace("80,", "true,"), "transfers[0].source: 'True' in 'True' is not a port; write a number"),
        (BASE.replace("80,", "'[fd00::1]:80',"), "are of different IP versions; a forged client keeps"),
        (BASE + "  - {source: 80, target: '198.19.0.3:80'}", "'80' is the source of transfers[0] already"),
        (BASE + "safety: {production_networks: [1.2.3.4/8]}", "1.2.3.4/8 has host bits set; write a network"),
    ],
)
def test_an_error_names_field_value_and_cure(text, sentence):
    assert sentence in problem(text)


def test_every_wrong_field_gets_a_sentence():
    text = BASE.replace("m0", "m0\n    queues: 0\n    colour: red").replace("test:", "tset:")
    assert [sentence.split(":")[0] for sentence in problems(text)] == [
        "mirror[0].queues",
        "mirror[0].colour",
        "test",
        "tset",
    ]


def test_an_error_names_the_file(tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text(BASE + "workers: 0\n")
    with pytest.raises(ConfigError, match=rf"^{path}: workers: 0 cannot be used"):
        load(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nothing.yaml: cannot be read: No such file or directory; give"):
        load(tmp_path / "nothing.yaml")


def test_binary_rubbish_is_no_configuration(tmp_path):
    path = tmp_path / "rubbish.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="it is not UTF-8 text"):
        load(path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (BASE + "workers: [1\n", "line 7, column 1: expected ',' or ']', but got '<stream end>'"),
        (BASE + "test: {device: t1}\n", "line 6, column 1: 'test' is set twice; remove one of them"),
        (
            BASE + "limits:\n\tsessions: 3\n",
            "line 7, column 1: found character '\\t' that cannot start any token",
        ),
        (
            BASE.replace("80,", "[fd00::1]:80,"),
            "line 5, column 23: expected ',' or '}', but got ':': '- {source: [fd00::1]:80, target:",
        ),
        (BASE.replace("80,", "[fd00::1]:80,"), "; quote an IPv6 address in brackets"),
        ("mirror: \x07", "is not YAML: "),
    ],
)
def test_broken_yaml_is_reported_with_its_line(text, sentence):
    assert sentence in problem(text)


class TestSafety:
    def settings(self, source="80", target="198.19.0.2:8080", **safety):
        return {
            "mirror": [{"device": "m0"}],
            "test": {"device": "t0"},
            "transfers": [{"source": source, "target": target}],
            "safety": safety,
        }

    def test_without_a_list_the_targets_of_the_transfers_are_allowed(self):
        assert build(self.settings()).safety.allowed_targets is None

    def test_a_target_inside_allowed_targets_is_accepted(self):
        assert build(self.settings(allowed_targets=["198.19.0.0/16"]))

    @pytest.mark.parametrize("allowed", [[], ["198.18.0.0/16"], ["fd00::/8"]])
    def test_a_target_outside_allowed_targets_is_refused(self, allowed):
        with pytest.raises(ConfigError, match=r"198.19.0.2:8080' is outside safety.allowed_targets"):
            build(self.settings(allowed_targets=allowed))

    def test_a_target_inside_production_networks_is_refused_even_if_allowed(self):
        settings = self.settings(allowed_targets=["198.19.0.0/16"], production_networks=["198.19.0.0/24"])
        with pytest.raises(ConfigError, match=r"is in safety.production_networks \(198.19.0.0/24\)"):
            build(settings)

    def test_a_mirrored_server_is_refused_as_target_whatever_the_port(self):
        with pytest.raises(
            ConfigError, match="is a mirrored production server; give the address of a separate"
        ):
            build(self.settings("198.19.0.2:80", "198.19.0.2:8080"))
