"""No program, however it behaves, stops a run, outlives it, or gets round a verdict."""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance_programs import OBEDIENT, PATIENCE, detail, judged, plain, program, told, verdicts
from delego_conformance.errors import StartError
from delego_conformance.process import Adapter
from delego_conformance.vectors import DEFAULT_CTX, JSONObject

SHORT = 0.3  # seconds that a program that will never answer is given


def stub(name: str) -> list[str]:
    return [sys.executable, "-m", f"delego_conformance.stubs.{name}"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("always_crash", "it ended with exit status 1"),
        ("hangs", "no reply within 0.3 s"),
        ("half_lines", "no reply within 0.3 s; half a line came"),
        ("wrong_id", "the reply has the id \"A[12]x\", not 'A[12]'"),
        ("two_replies", "it wrote a line that nobody asked for|it answered A[12] a second time"),
        ("prints_to_stdout", 'the reply is not JSON: .*: "working on fingerprint"'),
        ("random_bytes", "the reply (is not UTF-8|is not JSON)"),
        ("closes_stdin_and_sleeps", "it closed its standard input|no reply within 0.3 s"),
        ("floods", "it wrote a line of over 16 MiB"),
        ("leaves_children", "it ended with exit status 0"),
    ],
)
def test_a_misbehaving_program_has_an_error_on_every_vector(name: str, said: str) -> None:
    patient = name not in ("hangs", "half_lines", "closes_stdin_and_sleeps")
    found = judged(stub(name), plain("A1", "A2"), timeout=PATIENCE if patient else SHORT)
    assert verdicts(found) == {"A1": "error", "A2": "error"}
    for one in ("A1", "A2"):
        assert re.search(said, detail(found, one)), detail(found, one)
    assert not found.conformant


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("os.kill(os.getpid(), 9)", "it was killed by SIGKILL"),
        ("sys.stdout.write('{'); sys.stdout.flush(); os._exit(7)", "exit status 7 in the middle of a line"),
        ("os.close(1); import time; time.sleep(600)", "it closed its standard output"),
        ("print('[]', flush=True)", "the reply is no object"),
        ("print(flush=True)", "the reply is not JSON"),
        ("send(request, ok={}, error={'message': ''})", "has to have one of ok, refused"),
        ("send(request, ok={'x': float('nan')})", "the reply has NaN"),
        ('print(\'{"id":"A","ok":\' + \'[\' * 100000, flush=True)', "nested more than 200 deep"),
        ("send(request, error={'message': 'not yet'})", "it answers an error: not yet"),
    ],
)
def test_a_bad_reply_fails_its_vector_and_says_why(body: str, said: str) -> None:
    found = judged(program(body), plain("A"))
    assert verdicts(found) == {"A": "error"}
    assert said in detail(found, "A")


def test_a_reply_in_pieces_is_one_reply() -> None:
    body = (
        "for part in json.dumps({'id': 'A', 'ok': {}}) + chr(10): sys.stdout.write(part); sys.stdout.flush()"
    )
    assert verdicts(judged(program(body), plain("A"))) == {"A": "pass"}


def test_a_long_reply_and_a_long_request_pass() -> None:
    text = "x" * 5_000_000
    assert verdicts(judged(OBEDIENT, [told("A", {"ok": {"x": text}}, {"ok": {"x": text}})])) == {"A": "pass"}


def test_a_program_that_never_reads_a_long_request_is_timed_out() -> None:
    frame = program("")[-1].replace("for line in sys.stdin:", "for line in [sys.stdin.readline()]:")
    frame += "\nimport time; time.sleep(600)\n"
    long = told("A", {"ok": {"x": "x" * 5_000_000}}, {"ok": {}})
    found = judged([sys.executable, "-c", frame], [long], timeout=SHORT)
    assert "no reply within 0.3 s" in detail(found, "A")


def test_output_before_the_first_request_ends_the_run_with_its_words() -> None:
    command = [sys.executable, "-c", "print('welcome'); import sys; sys.stdin.read()"]
    with pytest.raises(StartError, match=r"no usable hello: the reply is not JSON.*welcome"):
        judged(command, plain("A"))


def test_a_program_that_cannot_start_says_its_last_words() -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no such module: x')"]
    with pytest.raises(StartError, match="exit status 1; its standard error ends with 'no such module: x'"):
        judged(command, plain("A"))


def test_a_command_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(StartError, match="no-such-program: cannot be started: no such file"):
        judged(["./no-such-program"], plain("A"))


def test_a_reply_after_the_last_reply_is_noticed() -> None:
    late = program("send(request, ok={})", bye="send({'id': 'A'}, ok={})\nbreak")
    assert verdicts(judged(late, plain("A"))) == {"A": "pass"}  # the reply to bye is not judged
    late = program("send(request, ok={})", bye="send(request, ok={})\nsend({'id': 'A'}, ok={})\nbreak")
    found = judged(late, plain("A"))
    assert verdicts(found) == {"A": "error"}
    assert "nobody asked for" in detail(found, "A")


def test_a_second_reply_that_comes_late_is_laid_at_the_door_of_its_own_vector() -> None:
    # The second reply comes when the next request is there, so it is in the place of that one's reply.
    body = "if asked == 2: send({'id': last}, ok={})\nlast = request['id']\nsend(request, ok={})"
    found = judged(program(body), plain("A", "B"))
    assert set(verdicts(found).values()) == {"error"}
    assert re.fullmatch("it answered [AB] a second time", detail(found, "A"))
    assert re.fullmatch("it answered [AB] a second time", detail(found, "B"))


def test_one_crash_costs_one_vector() -> None:
    body = "if request['id'] == 'A': os._exit(1)\nsend(request, ok={})"
    found = judged(program(body), plain("A", "B", "C", "D"))
    assert verdicts(found) == {"A": "error", "B": "pass", "C": "pass", "D": "pass"}
    assert found.restarts == 1  # a vector without a usable reply is not sent a second time


def test_a_program_that_dies_every_time_is_given_up() -> None:
    vectors = plain(*(f"A{number:02}" for number in range(60)))
    found = judged(program("os._exit(1)"), vectors)
    details = [result.detail for result in found.results]
    assert {result.verdict for result in found.results} == {"error"}
    assert sum(text.startswith("not asked: 20 requests in a row") for text in details) == 40
    assert found.restarts == 19


def test_a_program_that_claims_less_after_a_crash_is_found_out(tmp_path: Path) -> None:
    mark = tmp_path / "started"
    command = program("os._exit(1)")
    changed = (
        f"if os.path.exists({str(mark)!r}): HELLO['roles'] = []\nopen({str(mark)!r}, 'w').close()\nasked = 0"
    )
    command[-1] = command[-1].replace("asked = 0", changed)
    found = judged(command, plain("A", "B"))
    details = " ".join(result.detail for result in found.results)
    assert "claims other roles or features than at its first start" in details


def test_standard_error_is_kept_with_the_vector_and_bounded() -> None:
    body = (
        "sys.stderr.write('y' * 1_000_000 + 'the end of ' + request['id']); sys.stderr.flush(); os._exit(1)"
    )
    found = judged(program(body), plain("A", "B"))
    for result in found.results:
        assert result.stderr.endswith(f"the end of {result.vector.id}")
        assert len(result.stderr) <= 16 * 1024


def test_what_an_ended_program_left_behind_is_ended_too(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    child = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid()) + '.'); time.sleep(600)"
    body = (
        "import subprocess, time\n"
        f"subprocess.Popen([sys.executable, '-c', {child!r}])\n"
        f"while not os.path.exists({str(note)!r}) or not open({str(note)!r}).read().endswith('.'):"
        " time.sleep(0.01)\n"
        "os._exit(0)"
    )
    judged(program(body), plain("A"))
    assert is_gone(int(note.read_text().rstrip(".")))


def is_gone(pid: int) -> bool:
    """Whether a process ends within our patience."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{pid}/stat").exists() and ") Z " in Path(f"/proc/{pid}/stat").read_text():
            return True  # ended, and waiting for whoever has inherited it
        time.sleep(0.01)
    return False


def test_pipes_held_in_another_process_group_hold_up_nothing(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    child = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid()) + '.'); time.sleep(600)"
    body = (
        "import subprocess, time\n"
        f"subprocess.Popen([sys.executable, '-c', {child!r}], start_new_session=True)\n"
        f"while not os.path.exists({str(note)!r}) or not open({str(note)!r}).read().endswith('.'):"
        " time.sleep(0.01)\n"
        "os._exit(3)"
    )
    try:
        found = judged(program(body), plain("A"))
        assert detail(found, "A") == "it ended with exit status 3"
    finally:
        os.kill(int(note.read_text().rstrip(".")), 9)


def request(id: str) -> JSONObject:
    return {"v": 1, "id": id, "op": "fingerprint", "args": {}, "ctx": dict(DEFAULT_CTX)}


def test_a_program_that_ignores_being_asked_to_end_is_ended() -> None:
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        'print(\'{"id":"A","ok":{}}\', flush=True)\n'
        "time.sleep(600)"
    )
    adapter = Adapter([sys.executable, "-c", code], timeout=PATIENCE)
    adapter.start()
    assert adapter.ask(request("A")) == ({"id": "A", "ok": {}}, None)
    assert adapter.stop(politely=True) is None
    assert is_gone(adapter.process_id)


def test_a_program_ends_by_itself_after_bye() -> None:
    adapter = Adapter(program("send(request, ok={})"), timeout=PATIENCE)
    adapter.start()
    assert adapter.stop(politely=True) is None
    assert is_gone(adapter.process_id)


@pytest.mark.parametrize("after", ["", "\n"])
@settings(max_examples=6)
@given(data=st.binary(min_size=1, max_size=300))
def test_a_program_that_prints_any_bytes_gets_an_error(after: str, data: bytes) -> None:
    code = f"import sys; sys.stdin.readline(); sys.stdout.buffer.write({data!r} + {after.encode()!r})"
    adapter = Adapter([sys.executable, "-S", "-c", code], timeout=PATIENCE)
    adapter.start()
    reply, problem = adapter.ask(request("A"))
    adapter.stop(politely=False)
    assert reply is None
    assert problem
