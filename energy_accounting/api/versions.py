# SPDX-License-Identifier: Apache-2.0
"""The history of the API: what each microversion brought."""

from __future__ import annotations

from typing import Any

SERVICE_TYPE = 'energy-accounting'

VERSIONS = [
    '1.0',  # usage, balance, hosts
]


def document(application_url: str) -> dict[str, Any]:
    """Version 1 as keystoneauth's discovery reads it."""
    # Some servers leave the last slash of what was asked to SCRIPT_NAME.
    application_url = application_url.rstrip('/')
    return {'id': 'v1', 'status': 'CURRENT', 'min_version': VERSIONS[0],
            'max_version': VERSIONS[-1], 'version': VERSIONS[-1],
            'links': [{'rel': 'self', 'href': f'{application_url}/v1'}]}
