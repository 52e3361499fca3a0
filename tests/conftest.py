# SPDX-License-Identifier: Apache-2.0
"""When tests run: in which order, and beside which others.

No fixture belongs here: a test says itself what it needs.
"""

import pytest

from tests import quiet


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol():
    with quiet.among_others():
        return (yield)
