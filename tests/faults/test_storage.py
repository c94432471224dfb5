"""Storage that cannot be written refuses before the broker is called, and works again afterwards."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from delego_authorizer import Home
from faultlab import CHILDREN, LONG, effects, make_home, nursery, verified_receipts

ROUNDS = 60


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_home(tmp_path / "home")


def in_namespace(script: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    """A shell script in a mount namespace, which ends with its mounts. Skips where that is forbidden."""
    unshare = shutil.which("unshare")
    if (
        unshare is None
        or subprocess.run([unshare, "-m", "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no mount namespace can be made here")
    done = subprocess.run(
        [unshare, "-m", "sh", "-ec", script, "sh", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=LONG,
        env={**os.environ, "PYTHONPATH": str(CHILDREN.parents[1])},
        check=False,
    )
    if done.returncode == 77:
        pytest.skip("nothing can be mounted here")
    assert done.returncode == 0, done.stderr
    return done


def test_files_that_cannot_grow_refuse_before_the_broker_is_called(home: Home, tmp_path: Path) -> None:
    done = tmp_path / "effects"
    with nursery() as children:
        worker = children.start("cramped", home=home.path, effects=done, rounds=ROUNDS)
        said = [worker.hear() for _ in range(ROUNDS)]
        assert worker.rest()[0]["outcome"] == "allow"  # once there is room again
    refused = [one for one in said if one.get("error") not in (None, "Unsettled")]
    happened = {one["n"] for one in effects(done)}
    assert {one["n"] for one in refused} & happened == set()
    assert {one["n"] for one in said} - {one["n"] for one in refused} <= happened
    assert [one["n"] for one in refused][:5] == [1, 2, 3, 4, 5]
    assert len(refused) > ROUNDS // 4
    ahead = {one.action_fingerprint for one in verified_receipts(home) if one.phase == "decision"}
    assert {one["fingerprint"] for one in effects(done)} <= ahead


def test_a_result_that_cannot_be_recorded_is_said_and_recovered_as_unknown(
    home: Home, tmp_path: Path
) -> None:
    done = tmp_path / "effects"
    with nursery() as children:
        worker = children.start("cramped_by_its_effect", home=home.path, effects=done)
        said = worker.hear()
        assert "do not send the action again" in said["text"]
        assert "Executed" in said["outcome"]
        assert worker.hear() == []  # it lives, and its deadline has not come
        worker.finish()
    auditor = home.authorizer()  # opening recovers
    assert auditor.ledger.executions() == ()
    auditor.ledger.close()
    assert len(effects(done)) == 1
    ahead, result = verified_receipts(home)
    assert ahead.reasons[0] == "authorized by rule 'work'; execution follows"
    assert result.reasons[-1].startswith("outcome unknown: the process that called the broker ended")


def test_a_full_disk_refuses_before_the_broker_is_called(tmp_path: Path) -> None:
    mounted = tmp_path / "small"
    mounted.mkdir()
    script = 'mount -t tmpfs -o size=1m tmpfs "$1" || exit 77; exec "$2" "$3" full "$1" "$4"'
    done = in_namespace(script, mounted, Path(sys.executable), CHILDREN / "mounted.py", tmp_path / "effects")
    said = json.loads(done.stdout)
    assert said["refused"] > 3
    assert said["refused_after_effect"] == 0
    assert said["unsettled"] == said["in_flight"]
    assert said["problems"] == []
    assert said["after"] == "allow"


@pytest.mark.parametrize("log", [False, True], ids=["at rest", "with a log that a crash left"])
def test_a_read_only_disk_refuses_before_the_broker_is_called(home: Home, tmp_path: Path, log: bool) -> None:
    done = tmp_path / "effects"
    if log:
        with nursery() as children:
            worker = children.start("toil", home=home.path, effects=tmp_path / "before", first=0)
            worker.hear()
            worker.kill()
    mount = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" || exit 77'
    script = f'{mount}; exec "$2" "$3" read-only "$1" "$4"'
    said = json.loads(
        in_namespace(script, home.path, Path(sys.executable), CHILDREN / "mounted.py", done).stdout
    )
    assert said["error"] == "ReadOnlyLedger"
    assert "nothing was changed" in said["text"]
    assert not done.exists()


def test_files_without_write_permission_refuse_before_the_broker_is_called() -> None:
    folder = Path(tempfile.mkdtemp())  # pytest's own folders are closed to other accounts
    folder.chmod(0o755)
    home, done = make_home(folder / "home"), folder / "effects"
    try:
        with nursery() as children:
            said = children.start("unprivileged", home=home.path, effects=done).rest()
        assert said[0]["outcome"] == "allow"
        assert said[1]["error"] == "ReadOnlyLedger"
        assert "nothing was changed" in said[1]["text"]
        assert len(effects(done)) == 1
    finally:
        home.path.chmod(0o700)
        shutil.rmtree(folder)
