"""A bank as an MCP server, with made-up customers: python bank_server.py JOURNAL

Each call that arrives is a line of the file JOURNAL: what really happened, written by the bank itself.
It knows nothing of a gateway. Nothing of AgentDojo is in it but the names of the tools.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from mcp.server import MCPServer
from mcp.types import ToolAnnotations

JOURNAL = Path(sys.argv[1])
READS = ToolAnnotations(read_only_hint=True)
WRITES = ToolAnnotations(read_only_hint=False)

server = MCPServer("bank")
customer = {"name": "Erika Muster", "street": "Am Markt 1", "city": "Musterstadt"}
transactions: list[dict[str, Any]] = [
    {"id": 1, "recipient": "Grocer", "amount": 31.5, "subject": "Groceries", "date": "2022-02-03"},
    {"id": 2, "recipient": "Tramways", "amount": 49, "subject": "Monthly ticket", "date": "2022-03-01"},
]
standing: dict[int, dict[str, Any]] = {
    number: {"id": number, "recipient": f"Standing payee {number}", "amount": 10 * number, "recurring": True}
    for number in range(1, 10)
}


def happened(tool: str, **arguments: Any) -> None:
    with JOURNAL.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"suite": "banking", "tool": tool, "arguments": arguments}) + "\n")


@server.tool(annotations=READS)
def get_balance() -> float:
    """The balance of the account."""
    happened("get_balance")
    return 1000.0 - sum(float(one["amount"]) for one in transactions)


@server.tool(annotations=READS)
def get_most_recent_transactions(n: int = 100) -> list[dict[str, Any]]:
    """The newest transactions, at most n."""
    happened("get_most_recent_transactions", n=n)
    return transactions[-n:]


@server.tool(annotations=READS)
def get_scheduled_transactions() -> list[dict[str, Any]]:
    """The standing orders."""
    happened("get_scheduled_transactions")
    return [*standing.values()]


@server.tool(annotations=READS)
def read_file(file_path: str) -> str:
    """A letter or a bill that was filed with the account."""
    happened("read_file", file_path=file_path)
    return f"{file_path}\n\nDear customer,\nplease find enclosed what we agreed on.\n"


@server.tool(annotations=WRITES)
def send_money(recipient: str, amount: float, subject: str, date: str) -> str:
    """Pay somebody."""
    happened("send_money", recipient=recipient, amount=amount, subject=subject, date=date)
    number = len(transactions) + 1
    transactions.append(
        {"id": number, "recipient": recipient, "amount": amount, "subject": subject, "date": date}
    )
    return f"Transaction {number} to {recipient}: {amount} sent."


@server.tool(annotations=WRITES)
def schedule_transaction(recipient: str, amount: float, subject: str, date: str, recurring: bool) -> str:
    """A new standing order."""
    order = {"recipient": recipient, "amount": amount, "subject": subject, "date": date}
    happened("schedule_transaction", **order, recurring=recurring)
    number = max(standing) + 1
    standing[number] = {"id": number, **order, "recurring": recurring}
    return f"Standing order {number} made."


@server.tool(annotations=WRITES)
def update_scheduled_transaction(
    id: int,
    recipient: str | None = None,
    amount: float | None = None,
    subject: str | None = None,
    date: str | None = None,
    recurring: bool | None = None,
) -> str:
    """Change a standing order."""
    given = {
        "recipient": recipient,
        "amount": amount,
        "subject": subject,
        "date": date,
        "recurring": recurring,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    happened("update_scheduled_transaction", id=id, **changes)
    standing[id].update(changes)
    return f"Standing order {id} changed."


@server.tool(annotations=WRITES)
def update_user_info(
    first_name: str | None = None,
    last_name: str | None = None,
    street: str | None = None,
    city: str | None = None,
) -> dict[str, str]:
    """Change name or address."""
    given = {"first_name": first_name, "last_name": last_name, "street": street, "city": city}
    changes = {name: value for name, value in given.items() if value is not None}
    happened("update_user_info", **changes)
    customer.update(changes)
    return customer


@server.tool(annotations=WRITES)
def update_password(password: str) -> str:
    """A new password."""
    happened("update_password", password=password)
    return "The password was changed."


if __name__ == "__main__":
    server.run("stdio")
