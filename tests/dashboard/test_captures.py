"""Capture files at the dashboard: uploaded, replayed by the real command on memory ports, removed."""

from tests.line.tape import Tape

AGES_S = 1000.0


def recording(path):
    """Two conversations, so far apart that a replay of them is under way while it is looked at."""
    tape = Tape()
    for number in range(2):
        tape.conversation(("198.18.0.10", 40000 + number)).whole()
        tape.wait(AGES_S)
    return tape.write(path)


def test_a_capture_is_uploaded_replayed_and_removed(page, tokens, tmp_path):
    page.open(tokens.operator, "captures")
    page.upload(recording(tmp_path / "monday.pcap"))
    page.one("tbody tr", "monday.pcap")
    page.press("Replay monday.pcap")
    page.type("Source", "80")
    page.type("Target", "198.19.0.2:8080")
    page.photograph("replay-form")
    page.press("Start")
    page.one(".run .state", "running")
    page.says(".banner", "has the ports")
    name = page.one(".run strong").text
    page.photograph("captures")
    page.press(f"Pause {name}")
    page.one(".run .state", "paused")
    page.press(f"Resume {name}")
    page.one(".run .state", "running")
    page.press(f"Cancel {name}")
    page.press("Cancel the replay")
    page.one(".run .state", "cancelled")
    page.press(f"Forget {name}")
    page.wait(lambda: not page.all(".run"))
    page.says("header .state", "Idle")
    page.press("Delete monday.pcap")
    page.press("Delete")
    page.says(".empty", "There is no capture yet")


def test_a_file_that_is_no_capture_is_refused(page, tokens, tmp_path):
    path = tmp_path / "letter.pcap"
    path.write_text("not a capture")
    page.open(tokens.operator, "captures")
    page.upload(path)
    page.says(".message.bad", "letter.pcap: ")
    assert not page.all(".upload")
    assert not page.all("tbody tr")
