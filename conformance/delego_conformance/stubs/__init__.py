"""Programs that answer wrongly, and programs that misbehave: what the kit itself is judged by.

    delego-conformance run -- python -m delego_conformance.stubs.always_accept

The first three must pass next to nothing; the others must not be able to stop a run.
"""
