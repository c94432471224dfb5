"""The conformance kit: does an implementation, in any language, speak the delego protocol?

    delego-conformance run -- ./my-implementation

The runner imports none of the packages that it might have to judge. Only ``generate`` (which makes the
vectors) and ``adapters`` (implementations to judge) do.
"""
