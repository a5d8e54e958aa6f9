"""Imports alpaca-py once, as it cannot be imported with warnings as errors, and has the fixtures of REST."""

import warnings

with warnings.catch_warnings():
    # alpaca-py 0.44 imports websockets.legacy for the streams that we do not use.
    warnings.filterwarnings("ignore", "websockets.legacy is deprecated", DeprecationWarning)
    import condord.upstream.without_pandas  # noqa: F401

# isort: split
from tests.upstream.rest_harness import canned_harness, harness, server  # noqa: F401 - fixtures of several files
