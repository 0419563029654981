"""One browser for all tests of pages."""

import pytest

from tests.browser import Browser, require_browser


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    require_browser()
    with Browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened
