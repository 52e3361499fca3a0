# SPDX-License-Identifier: Apache-2.0
"""The real ``openstack`` shell, in this process.  No test is here."""

from __future__ import annotations

import contextlib
import io
import logging

from openstackclient import shell
from osc_lib import clientmanager


def run(words: list[str]) -> tuple[int, str, str]:
    """The exit status, stdout and stderr of a command line."""
    # It makes each client once in a process and keeps it.
    for kept in vars(clientmanager.ClientManager).values():
        if isinstance(kept, clientmanager.ClientCache):
            kept._handle = None
    out, err = io.StringIO(), io.StringIO()
    logging.getLogger().handlers[:] = []
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = shell.OpenStackShell().run(words)
    return status, out.getvalue(), err.getvalue()
