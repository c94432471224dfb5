"""``delego doctor``: everything about a home that may be wrong, and what to do about it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from delego_cli.doctor_checks import Finding, Patient, examine
from delego_cli.exit_codes import ExitCode
from delego_cli.output import Styled, emit, say
from delego_cli.verbs import Session, verb
from delego_ledger.clock import system_clock
from delego_spec.display import visible

if TYPE_CHECKING:
    from delego_spec.types import JSON

_COLOURS: Final = {"ok": "green", "warn": "yellow", "fail": "red"}


@verb(
    "doctor", examples=["delego doctor", "delego doctor --json | jq '.checks[] | select(.status != \"ok\")'"]
)
def command(session: Session) -> ExitCode:
    """Look at a home for everything that may be wrong with it; nothing is changed.

    The exit status is 3 if anything fails. The chain of receipts is not verified here: 'delego verify' does.
    """
    home = session.home().require()
    findings = []
    for finding in examine(Patient(home, system_clock())):
        findings.append(finding)
        if not session.json:
            _say(finding)
    counts = Counter(finding.status for finding in findings)
    healthy = counts["fail"] == 0
    if session.json:
        checks: list[JSON] = [
            {"name": one.name, "status": one.status, "text": one.text, "todo": one.todo} for one in findings
        ]
        emit({"healthy": healthy, "home": str(home.path), "checks": checks})
    else:
        say("")
        verdict = Styled("nothing fails", fg="green", bold=True)
        if not healthy:
            verdict = Styled(f"{counts['fail']} of {len(findings)} fail", fg="red", bold=True)
        say(verdict, f"; {counts['warn']} to think about; the chain itself: delego verify")
    return ExitCode.YES if healthy else ExitCode.NO


def _say(finding: Finding) -> None:
    mark = Styled(f"{finding.status:<5}", fg=_COLOURS[finding.status], bold=finding.status != "ok")
    say(mark, f"{finding.name:<11}", visible(finding.text))
    if finding.todo is not None:
        say(f"{'':16}", Styled(f"to do: {visible(finding.todo)}", dim=True))
