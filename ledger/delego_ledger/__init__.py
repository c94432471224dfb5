"""Durable truth: receipts, approvals, executions, used nonces, keys and anchors."""
