"""Makes the vectors: ``python -m delego_conformance.generate`` (``--check`` compares, for CI).

Verdicts are written by hand in ``suites``; hashes, signatures and texts come from the core. Where both say
something, they have to agree, or nothing is written.
"""
