"""An agent with a shell under another account: it cannot decide, and what the owner's programs do for it
stays what the owner wants. Real accounts, and a real home with signed approvals.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

import mcp_lines
from two_users import AGENT, OWNER, Machine, machine, why_not

_REASON = why_not()
pytestmark = pytest.mark.skipif(_REASON is not None, reason=str(_REASON))

SQL = "UPDATE approvals SET status = 'approved', body = CAST(replace(body, 'pending', 'approved') AS BLOB)"
# (what it is, a shell command with $HOME_OF for a home, $KEY for the approver's key, $ID for what waits).
ATTEMPTS = {
    "read the ledger's key": "cat $HOME_OF/keys/ledger.pem",
    "read the token key": "cat $HOME_OF/keys/token.pem",
    "read the approver's key": "cat $KEY",
    "read the ledger": "cat $HOME_OF/ledger.db",
    "read the policy": "cat $HOME_OF/policy.yaml",
    "link to a key": "ln -sfn $HOME_OF/keys/ledger.pem mine && cat mine",
    "take a key under another name": "rm -f mine; ln $HOME_OF/keys/ledger.pem mine",
    "list what waits": "delego --home $HOME_OF pending",
    "say yes": "delego --home $HOME_OF approve $ID --as alice --yes",
    "say yes as somebody else": "delego --home $HOME_OF approve $ID --as mallory --yes",
    "say yes with a key of its own": "rm -f own.pem own.pub; delego keys new-approver alice --no-passphrase"
    " --out own.pem && delego --home $HOME_OF approve $ID --as alice --key own.pem --yes",
    "say no": "delego --home $HOME_OF deny $ID --as alice --yes",
    "enrol a key of its own": "rm -f own.pem own.pub; delego keys new-approver mallory --no-passphrase"
    " --out own.pem && delego --home $HOME_OF keys trust mallory own.pub --yes",
    "settle what is in flight": "delego --home $HOME_OF recover",
    "write 'approved' into the ledger": 'python -c "import sqlite3; c = sqlite3.connect('
    f"'$HOME_OF/ledger.db',"
    f' isolation_level=None); c.execute(\\"{SQL}\\")"',
    "read the ledger beside its log": 'python -c "import sqlite3; c = sqlite3.connect('
    "'file:$HOME_OF/ledger.db?immutable=1', uri=True); c.execute('SELECT * FROM approvals').fetchall()\"",
    "copy the ledger": "cp $HOME_OF/ledger.db copy.db",
    "write another policy": "echo 'default: allow' > $HOME_OF/policy.yaml",
    "add to the configuration": "echo '# signed = false' >> $HOME_OF/config.toml",
    "put another policy in its place": "echo 'default: allow' > p; mv -f p $HOME_OF/policy.yaml",
    "put a link in its place": "ln -sfn /dev/null $HOME_OF/policy.yaml",
    "put an approver beside the others": "touch $HOME_OF/approvers/eve.pub",
    "put a log beside the ledger": "echo x >> $HOME_OF/ledger.db-wal",
    "put a temporary file where one will be": "touch $HOME_OF/.delego-new-0000000000000000",
    "take the lock": "flock -n $HOME_OF/ledger.db.lock true",
    "remove the ledger": "rm -f $HOME_OF/ledger.db && test ! -e $HOME_OF/ledger.db",
    "move the home away": "mv $HOME_OF $HOME_OF-moved",
    "open the home to all": "chmod -R a+rwX $HOME_OF",
    "take the home over": "chown -R $(id -u) $HOME_OF && touch $HOME_OF",
}
NO_TWIN = {"say yes as somebody else", "say yes with a key of its own"}


@pytest.fixture(scope="module")
def two() -> Iterator[Machine]:
    with machine() as made:
        yield made


@contextmanager
def gateway(two: Machine, *options: str) -> Iterator[mcp_lines.Gateway]:
    """The owner's gateway; the test holds the pipes, as the agent would."""
    running = mcp_lines.Gateway(two.home, two.owners / "effects", (), command=two.gateway(*options))
    try:
        running.begin()
        yield running
    finally:
        running.ended()


@pytest.fixture(scope="module")
def parked(two: Machine) -> str:
    """The approval of a call that waits."""
    with gateway(two, "--hold", "0", "--instruction", "wait a little") as running:
        running.call("slow", seconds=0)
    (approval_id,) = two.pending()
    return approval_id


def tried(two: Machine, home: Path, key: Path, approval_id: str) -> dict[str, int]:
    """The exit status of each attempt in the agent's shell; ``home``: each gets a copy where it has the name
    of the attempt's number below it."""
    lines = []
    for number, text in enumerate(ATTEMPTS.values()):
        own = f"{home}/{number}" if home.parent == two.agents else f"{home}"
        given = f"HOME_OF={own}; KEY={str(key).replace(str(home), own)}; ID={approval_id}"
        lines.append(f"{given}; ( {text} ) </dev/null >>out 2>&1; echo $?")
    (two.agents / "out").unlink(missing_ok=True)
    written = two.good(AGENT, "sh", "-c", "\n".join(lines))
    return dict(zip(ATTEMPTS, map(int, written.split()), strict=True))


def test_an_agent_under_another_account_gets_at_nothing(two: Machine, parked: str) -> None:
    before = two.state()
    found = tried(two, two.home, two.key, parked)
    assert [name for name, status in found.items() if status == 0] == []
    assert two.state() == before
    assert "PRIVATE KEY" not in (two.agents / "out").read_text()


def test_each_attempt_is_one_that_succeeds_at_an_unsigned_home_of_the_agents_own(two: Machine) -> None:
    home, copies = two.agents / "own", two.agents / "copies"
    two.good(AGENT, two.delego, "--home", home, "init", "--approver", "alice", "--policy", two.policy)
    two.run(AGENT, two.delego, "--home", home, "propose", "-i", "wait", "CALL", "mcp://evil/slow")
    listed = json.loads(two.good(AGENT, two.delego, "--home", home, "--json", "pending"))
    script = f"mkdir {copies}; for n in $(seq 0 {len(ATTEMPTS)}); do cp -a {home} {copies}/$n; done"
    two.good(AGENT, "sh", "-c", script)
    found = tried(two, copies, copies / "keys" / "token.pem", listed["pending"][0]["approval_id"])
    # Nobody called so may decide there; a key that is not enrolled signs nothing.
    assert {name for name, status in found.items() if status != 0} == NO_TWIN, (
        two.agents / "out"
    ).read_text()


def test_a_running_gateway_of_another_account_cannot_be_looked_into_or_ended(
    two: Machine, parked: str
) -> None:
    with gateway(two, "--hold", "0") as running:
        process = running.process.pid
        looks = (f"cat /proc/{process}/environ", f"ls -l /proc/{process}/fd", f"ls /proc/{process}/cwd/")
        for text in (*looks, f"kill -0 {process}"):
            assert two.run(AGENT, "sh", "-c", text).returncode != 0, text
            assert two.run(OWNER, "sh", "-c", text).returncode == 0, text
        for text in (f"kill -9 {process}", f"echo 0 > /proc/{process}/mem"):
            assert two.run(AGENT, "sh", "-c", text).returncode != 0, text
        running.call("echo", text="still here")
        assert running.process.poll() is None


def test_what_waits_is_released_once_by_the_persons_passphrase_and_by_nothing_before(
    two: Machine, parked: str
) -> None:
    with gateway(two, "--instruction", "wait for a person") as running:
        before = set(two.pending())
        held = running.tool("slow", seconds=0)
        approval_id = two.waiting(before)
        for attempt in ("say yes", "write 'approved' into the ledger"):
            given = {"HOME_OF": str(two.home), "ID": approval_id}
            assert two.run(AGENT, "sh", "-c", ATTEMPTS[attempt], env=given).returncode != 0
        without = two.run(OWNER, two.delego, "approve", approval_id, "--as", "alice", "--yes")
        assert "passphrase" in without.stderr  # the owner's own shell is not enough either
        assert approval_id in two.pending()
        assert two.effects() == []

        said = two.approve(approval_id)
        assert said.returncode == 0, said.stderr
        assert "result" in running.answer(held)
        assert two.effects() == ['slow {"seconds": 0}']
        running.tool("slow", seconds=0)  # the yes was for one: the same again waits
        assert two.waiting(before) != approval_id
        assert two.effects() == ['slow {"seconds": 0}']
    receipts, evidence = two.owners / "receipts.jsonl", two.owners / "evidence.jsonl"
    two.good(OWNER, two.delego, "export", receipts, "--evidence", evidence)
    audited = two.good(
        OWNER,
        *(two.delego, "verify", receipts, "--evidence", evidence),
        *("--approvers", two.home / "approvers", "--public-key", two.home / "keys" / "ledger.pub"),
    )
    assert "1 approved release is signed as it must be" in audited


CALLER = """
import json, sys, urllib.error, urllib.request

def post(session, token, **message):
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    headers |= {"Mcp-Session-Id": session} if session else {}
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    data = json.dumps({"jsonrpc": "2.0", **message}).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(sys.argv[1], data, headers), timeout=60) as answer:
            return answer.status, answer.headers.get("Mcp-Session-Id"), answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, None, ""

info = {"clientInfo": {"name": "a", "version": "1"}, "capabilities": {}, "protocolVersion": "2025-11-25"}
begin = {"id": 1, "method": "initialize", "params": info}
print(post(None, None, **begin)[0], post(None, "some-other-token-than-that", **begin)[0])
status, session, _ = post(None, sys.argv[2], **begin)
post(session, sys.argv[2], method="notifications/initialized")
params = {"name": "slow", "arguments": {"seconds": 0}}
print(status, post(session, sys.argv[2], id=2, method="tools/call", params=params)[2])
"""


def test_over_http_another_account_asks_with_the_token_and_gets_no_further(two: Machine, parked: str) -> None:
    token = two.write(OWNER, two.owners / "token", "a-token-for-the-agent\n")
    assert two.run(AGENT, "cat", token).returncode != 0
    before, effects = set(two.pending()), two.effects()
    words = two.gateway("--http", "0", "--token-file", str(token), "--hold", "0", "--json")
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as serving:
        try:
            assert serving.stdout is not None
            url = json.loads(serving.stdout.readline())["url"]
            said = two.good(AGENT, two.python, "-c", CALLER, url, "a-token-for-the-agent")
        finally:
            serving.terminate()
    assert said.startswith("401 401\n200 ")
    assert "pending" in said
    assert set(two.pending()) > before
    assert two.effects() == effects


# --- what the owner's own programs do in the agent's folder -----------------------------------------------


@contextmanager
def planted(two: Machine, folder: Path) -> Iterator[Path]:
    """A home of the agent's: a policy that allows all, and links to the owner's keys and ledger."""
    home = folder / ".claude" / ".delego"
    script = (
        f"mkdir -p {home} && cd {home} && printf 'version: 1\\ndefault: allow\\n' > policy.yaml"
        f" && printf 'version = 1\\n' > config.toml && ln -s {two.home}/keys {two.home}/ledger.db ."
        f" && ln -s {two.home}/ledger.db.lock . && chmod -R a+rX {folder}/.claude"
    )
    two.good(AGENT, "sh", "-c", script)
    try:
        yield home
    finally:
        shutil.rmtree(folder / ".claude")


PAY = ("propose", "-i", "pay", "POST", "https://api.example.com/pay")


def test_a_home_planted_where_the_owner_works_is_not_used(two: Machine, parked: str) -> None:
    with planted(two, two.agents) as home:
        before = two.state()
        for words in (PAY, ("pending",), ("doctor",), ("log",), ("keys", "show")):
            done = two.run(OWNER, two.delego, *words, cwd=two.agents)
            assert done.returncode == 1, done.stdout
            assert f"belongs to another account (uid {AGENT})" in done.stderr
        named = two.run(OWNER, two.delego, "--home", home, *PAY)
        assert named.returncode == 1
        assert "belongs to another account" in named.stderr
        assert two.state() == before


def test_the_gateway_uses_no_home_of_the_folder_that_the_agent_started_it_in(
    two: Machine, parked: str
) -> None:
    server = (two.python, two.folder / "server.py", two.owners / "other-effects")
    with planted(two, two.agents):
        done = two.run(OWNER, two.delego, "mcp-gateway", "--", *server, cwd=two.agents)
    assert done.returncode == 1
    assert "belongs to another account" in done.stderr
    assert not (two.owners / "other-effects").exists()


def test_links_of_another_account_inside_the_owners_home_are_not_followed(two: Machine, parked: str) -> None:
    theirs = two.write(AGENT, two.agents / "allow.yaml", "version: 1\ndefault: allow\n", 0o644)
    home = two.owners / "linked"
    two.good(OWNER, two.delego, "--home", home, "init", "--approver", "alice")
    (home / "policy.yaml").unlink()
    (home / "policy.yaml").symlink_to(theirs)
    done = two.run(OWNER, two.delego, "--home", home, *PAY)
    assert done.returncode == 1
    assert "belongs to another account" in done.stderr


@pytest.mark.parametrize(("mode", "used"), [(0o777, False), (0o1777, True), (0o775, False), (0o755, True)])
def test_a_home_below_a_folder_that_everybody_may_write_is_used_only_if_it_cannot_be_moved(
    two: Machine, parked: str, mode: int, used: bool
) -> None:
    shared = two.folder / f"shared-{mode:o}"
    shared.mkdir()
    home = shared / "home"
    os.chown(shared, OWNER, OWNER + 1)
    two.good(OWNER, two.delego, "--home", home, "init", "--approver", "alice")
    shared.chmod(mode)
    done = two.run(OWNER, two.delego, "--home", home, *PAY)
    assert (done.returncode == 3) is used, done.stderr  # denied by its policy, or not used
    assert ("others can write" in done.stderr) is not used
    moved = two.run(AGENT, "mv", home, shared / "moved")
    assert (moved.returncode != 0) is used


@pytest.mark.parametrize("mode", [0o775, 0o757])
def test_a_home_that_others_may_write_is_not_used(two: Machine, parked: str, mode: int) -> None:
    two.home.chmod(mode)
    try:
        done = two.run(OWNER, two.delego, *PAY)
    finally:
        two.home.chmod(0o755)
    assert done.returncode == 1
    assert "others can write" in done.stderr


def test_doctor_shows_no_bearer_to_a_gateway_that_another_account_has_configured(two: Machine) -> None:
    home = two.owners / "asks"
    two.good(OWNER, two.delego, "--home", home, "init", "--approver", "alice")
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        port = listening.getsockname()[1]
        config = (
            'version = 1\n[tokens]\naudience = "https://broker.example"\n'
            f'[broker]\nurl = "http://127.0.0.1:{port}"\nbearer = "env:THE_OWNERS"\n'
        )
        two.write(AGENT, home / "config.toml", config, 0o644)
        env = {"THE_OWNERS": "a secret of the owner's"}
        done = two.run(OWNER, two.delego, "--home", home, "doctor", env=env)
        listening.settimeout(0.05)
        with pytest.raises(TimeoutError):
            listening.accept()
    assert done.returncode == 3
    assert "belongs to another account" in done.stdout


def test_the_command_takes_no_module_from_the_folder_it_is_run_in(two: Machine) -> None:
    names = ("click.py", "sitecustomize.py", "delego_cli.py", "nacl.py", "json.py")
    for name in names:
        two.write(AGENT, two.agents / name, f"open({str(two.owners / 'taken')!r}, 'w')\n", 0o644)
    try:
        assert two.run(OWNER, two.delego, "pending", cwd=two.agents).returncode == 0
    finally:
        for name in names:
            (two.agents / name).unlink()
    assert not (two.owners / "taken").exists()


def test_a_key_that_a_group_may_read_decides_nothing(two: Machine, parked: str) -> None:
    two.key.chmod(0o640)
    try:
        done = two.approve(parked)
    finally:
        two.key.chmod(0o600)
    assert done.returncode == 1
    assert "others than its owner have access" in done.stderr
    assert parked in two.pending()
