import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlparse

import pytest

from api import reference as written
from appliance.settings import reference
from appliance.settings.config import Config
from dataplane.binding import COUNTERS
from tests import markdown

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = {"console", "text", "yaml", "json"}
ELSEWHERE = re.compile(r'(?:src|href)="(?:https?:)?//[^"]*"')


@pytest.mark.parametrize("name", written.files())
def test_the_generated_file_is_up_to_date(name):
    assert (ROOT / name).read_text() == written.files()[name], "run make docs"


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
    assert written.main([]) == 2
    assert "usage" in capsys.readouterr().err
    for name in written.files():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    assert written.main([str(tmp_path)]) == 0
    assert all((tmp_path / name).read_text() == text for name, text in written.files().items())


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    argv = (sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder))
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_site_has_every_page_and_no_broken_link(site):
    wanted = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    pages = {path.relative_to(site) for path in site.rglob("*.html")}
    assert {path.parent / "index.html" if path.stem == "README" else path for path in wanted} <= pages


def test_the_site_loads_nothing_from_elsewhere(site):
    for path in site.rglob("*.html"):
        loaded = re.findall(r"<(?:script|link|img|iframe)\b[^>]*>", path.read_text())
        assert not [tag for tag in loaded if ELSEWHERE.search(tag)]
    for path in site.rglob("*.css"):
        assert not re.search(r"url\([\'\"]?(?:https?:)?//", path.read_text())


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=lambda path: path.name)
def test_links_of_pages_beside_the_site_lead_somewhere(page):
    links = markdown.links(page)
    assert links
    for link in links:
        target = urlparse(link)
        assert target.scheme or (page.parent / target.path).exists(), link


@pytest.mark.parametrize("page", markdown.pages(), ids=markdown.name)
def test_every_command_of_a_page_is_run_or_says_why_not(page):
    """What is run, is run by tests/e2e/test_docs_commands.py."""
    for block in markdown.blocks(page):
        assert block.language in LANGUAGES, f"{block.where}: a block of {block.language or 'no language'}"
        if block.language == "console":
            assert markdown.commands(block), f"{block.where}: no command"
        else:
            assert not block.reason, f"{block.where}: no commands, and yet a reason why they are not run"
        if block.language == "text":
            assert not markdown.COMMAND.search(block.text), f"{block.where}: a command outside of console"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("```\n$ ls\n```\n", "language"),
        ("    sudo make\n", "indented"),
        ("```text\nsudo make\n```\n", "outside"),
        ("```console\nls\n```\n", "prompt"),
        ("```console\nmoon# ls\n```\n", "moon"),
        ("<!-- not run: -->\n```console\n$ ls\n```\n", "reason"),
    ],
)
def test_a_command_that_is_neither_run_nor_excused_is_found(tmp_path, text, complaint):
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(AssertionError, match=complaint):
        test_every_command_of_a_page_is_run_or_says_why_not(page)
