# SPDX-License-Identifier: Apache-2.0
"""How the ``openstack`` command finds the energy API.

It is imported at every call of ``openstack``, also for other services:
nothing may be imported here at module level that takes time.
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from energy_accounting import client

API_NAME = 'energy'
API_VERSION_OPTION = 'os_energy_api_version'
DEFAULT_API_VERSION = '1'
API_VERSIONS = ('1', '1.0')


def make_client(instance: Any) -> client.Client:
    """The client for the cloud and the credentials of this call.

    :param instance: osc-lib's client manager.
    """
    from energy_accounting import client

    version = instance._api_version[API_NAME]
    config = instance.get_configuration()
    return client.Client(
        instance.session,
        region_name=instance.region_name,
        interface=instance.interface,
        default_microversion=version if '.' in version else f'{version}.0',
        endpoint_override=config.get('energy_accounting_endpoint_override'))


def build_option_parser(
        parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add the plugin's global options."""
    parser.add_argument(
        '--os-energy-api-version', metavar='<energy-api-version>',
        default=os.environ.get('OS_ENERGY_API_VERSION', ''),
        help=f'Energy API version, default={DEFAULT_API_VERSION} '
             '(Env: OS_ENERGY_API_VERSION)')
    return parser
