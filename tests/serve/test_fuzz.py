"""Requests that the OpenAPI description allows, and some that it forbids: every answer is one that it describes."""

from collections.abc import Iterator

import httpx
import pytest

from tests.serve.conftest import LIMITS, Site, serving
from tunesmith.serve.house import House, Served

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

from hypothesis import HealthCheck, Phase, given, settings  # noqa: E402
from schemathesis.checks import CHECKS  # noqa: E402
