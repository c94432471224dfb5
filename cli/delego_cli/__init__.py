"""The ``delego`` command: one file per verb, each thin, over a small frame."""
