"""A client's configuration, put behind the gateway and back, and what ``delego doctor`` says of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from delego_agent.gateway.wrapping import ClientConfigError, configured, unwrapping, wrapping
from delego_cli import mcp_wrap
from mcp_lines import make_home

BEFORE: dict[str, Any] = {
    "mcpServers": {
        "My Time!": {"command": "uvx", "args": ["mcp-server-time"], "env": {"TOKEN": "kept"}},
        "my-time": {"command": "python", "args": []},
        "far": {"type": "sse", "url": "https://mcp.example.com/sse"},
        "odd": {"command": 7},
    },
    "projects": {"p": {"mcpServers": {"inner": {"command": "x", "args": ["--", "y"]}}}, "q": 1},
    "other": {"kept": [1.5, None]},
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return make_home(tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / ".mcp.json"
    path.write_text(json.dumps(BEFORE), encoding="utf-8")
    path.chmod(0o640)
    return path


def delego(home: Path, *words: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "delego_cli", "--home", str(home), *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "HOME": str(folder or home)},
    )


def test_each_started_server_goes_behind_a_gateway_of_its_own_name(home: Path, file: Path) -> None:
    done = delego(home, "mcp-gateway", "wrap", str(file), "--hold", "0", "--instruction", "go")
    assert done.returncode == 3, done.stderr
    assert "far bypasses the gateway: the type 'sse' is not supported" in done.stdout
    assert "odd bypasses the gateway: it has no command" in done.stdout
    after = json.loads(file.read_text(encoding="utf-8"))
    servers = after["mcpServers"]
    assert servers["My Time!"]["env"] == {"TOKEN": "kept"}
    args = servers["My Time!"]["args"]
    gateway = ["--home", str(home), "mcp-gateway", "run", "--server", "my-time"]
    assert (
        args[-12:] == [*gateway, "--hold", "0", "--instruction", "go", "--", "uvx", "mcp-server-time"][-12:]
    )
    assert "my-time-2" in servers["my-time"]["args"]
    assert after["projects"]["p"]["mcpServers"]["inner"]["args"][-3:] == ["x", "--", "y"]
    assert (servers["far"], after["other"]) == (BEFORE["mcpServers"]["far"], BEFORE["other"])
    assert file.stat().st_mode & 0o777 == 0o640
    backup = file.with_name(".mcp.json.delego-backup")
    assert json.loads(backup.read_text(encoding="utf-8")) == BEFORE


def test_wrapping_twice_changes_nothing_and_unwrapping_gives_back_what_was(home: Path, file: Path) -> None:
    delego(home, "mcp-gateway", "wrap", str(file))
    once = file.read_bytes()
    done = delego(home, "mcp-gateway", "wrap", str(file), "--json")
    assert json.loads(done.stdout)["changed"] == []
    assert file.read_bytes() == once
    done = delego(home, "mcp-gateway", "unwrap", str(file))
    assert done.returncode == 0
    assert json.loads(file.read_text(encoding="utf-8")) == BEFORE
    assert file.with_name(".mcp.json.delego-backup-2").read_bytes() == once
    assert "nothing to change" in delego(home, "mcp-gateway", "unwrap", str(file)).stdout


def test_a_wrapped_server_runs(home: Path, tmp_path: Path) -> None:
    evil = [str(Path(__file__).parent.parent / "mcp_evil.py"), str(tmp_path / "effects")]
    path = tmp_path / "mcp.json"
    path.write_text(
        json.dumps({"servers": {"evil": {"command": sys.executable, "args": evil}}}), encoding="utf-8"
    )
    assert delego(home, "mcp-gateway", "wrap", str(path), "--instruction", "go").returncode == 0
    entry = json.loads(path.read_text(encoding="utf-8"))["servers"]["evil"]
    lines = [
        '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}',
        '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo","arguments":{"a":1}}}',
    ]
    with subprocess.Popen(
        [entry["command"], *entry["args"]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n".join([*lines, ""]).encode())
        process.stdin.flush()
        answers = [json.loads(process.stdout.readline()) for _ in lines]
        process.stdin.close()
    assert {answer["id"] for answer in answers} == {1, 2}
    assert (tmp_path / "effects").read_text(encoding="utf-8") == 'echo {"a": 1}\n'


def test_doctor_names_each_server_that_bypasses_the_gateway(home: Path, file: Path) -> None:
    def findings() -> list[tuple[str, str]]:
        done = delego(home, "--json", "doctor", folder=file.parent)
        return [
            (one["status"], one["text"]) for one in json.loads(done.stdout)["checks"] if one["name"] == "mcp"
        ]

    named = [text for status, text in findings() if status == "warn"]
    assert [sum(name in text for text in named) for name in ("'My Time!'", "'far'", "'odd'", "'inner'")] == [
        1
    ] * 4
    delego(home, "mcp-gateway", "wrap", str(file))
    assert len(findings()) == 2
    file.write_text('{"mcpServers": {"a": {"command": "b"}}}', encoding="utf-8")
    delego(home, "mcp-gateway", "wrap", str(file))
    assert findings() == [("ok", ".mcp.json: all 1 servers are behind the gateway")]
    file.write_text("{", encoding="utf-8")
    assert findings()[0][0] == "warn"


@pytest.mark.parametrize("text", ["", "[]", '{"a":1,"a":2}', "[" * 100_000])
def test_what_is_no_configuration_is_refused_and_left_alone(home: Path, tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ClientConfigError):
        wrapping(path, ["delego"], home)
    with pytest.raises(ClientConfigError):
        configured(path)
    assert path.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("text", ["{}", '{"mcpServers": [1]}', '{"projects": {"p": {}}}'])
def test_a_file_without_servers_is_not_answered_as_if_all_were_wrapped(
    home: Path, tmp_path: Path, text: str
) -> None:
    path = tmp_path / "x.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ClientConfigError, match="names no servers; it needs mcpServers or servers"):
        wrapping(path, ["delego"], home)
    with pytest.raises(ClientConfigError, match="names no servers"):
        unwrapping(path)
    assert configured(path) == ()
    path.write_text('{"mcpServers": {}}', encoding="utf-8")
    assert wrapping(path, ["delego"], home).changed == ()


@pytest.mark.parametrize(
    ("data", "says"), [(b"[" * 100_000, "is nested too deeply"), (b"{\xff", r"is not UTF-8 \(byte 1\)")]
)
def test_what_cannot_be_read_as_json_is_said_in_plain_words(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(data)
    with pytest.raises(ClientConfigError, match=says):
        configured(path)


def test_a_file_that_is_absent_or_in_a_closed_folder_is_one_plain_line(home: Path, tmp_path: Path) -> None:
    done = delego(home, "mcp-gateway", "wrap", str(tmp_path / "absent"))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    path = tmp_path / "gone" / "mcp.json"
    path.parent.mkdir()
    path.write_text('{"mcpServers": {"a": {"command": "b"}}}', encoding="utf-8")
    rewritten = wrapping(path, ["delego"], home)
    path.unlink()
    path.parent.rmdir()
    with pytest.raises(ClientConfigError):
        rewritten.write()


def test_a_server_named_delego_that_is_no_gateway_is_not_taken_for_one(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    entries = {
        "a": {"command": "other", "args": ["mcp-gateway", "--", "x"]},
        "b": {"command": "b", "args": [1]},
        "c": 1,
    }
    path.write_text(json.dumps({"mcpServers": entries}), encoding="utf-8")
    assert [one.place for one in configured(path)] == ["bypass", "unreadable", "unreadable"]
    assert unwrapping(path).changed == ()


URLS: dict[str, Any] = {
    "mcpServers": {
        "Board": {
            "type": "http",
            "url": "https://board.example/mcp?key=${BOARD_KEY}",
            "headers": {"Authorization": "Bearer sesame"},
            "disabled": False,
        },
        "board": {"url": "https://board.example/other"},
        "inputs": {"type": "http", "url": "https://a.example/", "headers": {"A": "${input:key}"}},
        "plain": {"type": "http", "url": "http://a.example/mcp"},
    },
    "projects": {"p": {"mcpServers": {"Board": {"url": "https://third.example/"}}}},
}


def test_a_server_with_a_url_goes_behind_a_gateway_and_its_secrets_into_the_home(
    home: Path, tmp_path: Path
) -> None:
    path = tmp_path / ".mcp.json"
    path.write_text(json.dumps(URLS), encoding="utf-8")
    done = delego(home, "mcp-gateway", "wrap", str(path), "--hold", "0")
    assert done.returncode == 3, done.stderr
    assert "inputs bypasses the gateway: only ${NAME}" in done.stdout
    assert "plain bypasses the gateway: 'a.example' is not this machine" in done.stdout
    after = json.loads(path.read_text(encoding="utf-8"))
    entry = after["mcpServers"]["Board"]
    assert "sesame" not in path.read_text(encoding="utf-8")
    assert (entry["disabled"], "url" in entry, "headers" in entry) == (False, False, False)
    assert entry["args"][-6:-1] == ["mcp-gateway", "run", "--hold", "0", "--config"]
    files = [Path(one["args"][-1]) for one in (entry, after["mcpServers"]["board"])]
    assert [*json.loads(files[0].read_text(encoding="utf-8"))["mcpServers"]] == ["board"]
    assert [*json.loads(files[1].read_text(encoding="utf-8"))["mcpServers"]] == ["board-2"]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert files[0].parent == home / "mcp-servers"
    assert files[0].parent.stat().st_mode & 0o777 == 0o700
    once = path.read_bytes()
    assert json.loads(delego(home, "mcp-gateway", "wrap", str(path), "--json").stdout)["changed"] == []
    assert path.read_bytes() == once
    assert delego(home, "mcp-gateway", "unwrap", str(path)).returncode == 0
    assert json.loads(path.read_text(encoding="utf-8")) == URLS
    assert [*(home / "mcp-servers").iterdir()] == []


def test_what_a_server_was_is_not_guessed(home: Path, tmp_path: Path) -> None:
    path = tmp_path / ".mcp.json"
    path.write_text(json.dumps({"mcpServers": {"a": {"url": "https://a.example/"}}}), encoding="utf-8")
    wrapping(path, ["delego"], home).write()
    assert [one.place for one in configured(path)] == ["gateway"]
    (file,) = (home / "mcp-servers").iterdir()
    file.write_text("{}", encoding="utf-8")
    with pytest.raises(ClientConfigError, match="cannot be read"):
        unwrapping(path)
    own = {"command": "delego", "args": ["mcp-gateway", "run", "--config", "/etc/servers.yaml"]}
    path.write_text(json.dumps({"mcpServers": {"own": own}}), encoding="utf-8")
    assert [one.place for one in configured(path)] == ["gateway"]
    assert unwrapping(path).changed == ()


def test_a_home_that_cannot_be_written_leaves_the_configuration_as_it_is(home: Path, tmp_path: Path) -> None:
    path = tmp_path / ".mcp.json"
    path.write_text(json.dumps({"mcpServers": {"a": {"url": "https://a.example/"}}}), encoding="utf-8")
    (home / "mcp-servers").write_text("", encoding="utf-8")
    before = path.read_bytes()
    with pytest.raises(ClientConfigError):
        wrapping(path, ["delego"], home).write()
    assert path.read_bytes() == before


def test_where_there_is_no_command_python_starts_without_modules_of_the_folder(
    home: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A click.py in the folder that the client is started in would have been the gateway's."""
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    wrapping(file, mcp_wrap._delego(), home).write()
    server = json.loads(file.read_text(encoding="utf-8"))["mcpServers"]["my-time"]
    assert [server["command"], *server["args"][:3]] == [sys.executable, "-P", "-m", "delego_cli"]
    assert all(one.place != "bypass" for one in configured(file))
    unwrapping(file).write()
    assert json.loads(file.read_text(encoding="utf-8"))["mcpServers"]["my-time"]["command"] == "python"


def test_an_entry_with_a_command_and_a_url_is_not_said_to_be_behind_the_gateway(tmp_path: Path) -> None:
    """Some clients would start the one, some would reach the other."""
    file = tmp_path / ".mcp.json"
    both = {"command": "x", "args": [], "url": "https://mcp.example.com/mcp"}
    file.write_text(json.dumps({"mcpServers": {"both": both}}), encoding="utf-8")
    assert [entry.place for entry in configured(file)] == ["unreadable"]
    assert wrapping(file, ["delego"], tmp_path).changed == ()
