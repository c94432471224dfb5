"""Hooks: a coding agent asks before each of its tool calls, and gets a decision in its own format.

``agents`` knows the formats, ``deciding`` answers one event, ``settings`` writes the agent's settings file.
"""
