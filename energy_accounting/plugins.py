# SPDX-License-Identifier: Apache-2.0
"""A plug-in, by the name that an option gives it.

The only place that asks stevedore; what a plug-in must be able to do is
said where it is used.
"""

from __future__ import annotations

from typing import Any

import stevedore.driver
import stevedore.exception
import stevedore.extension

from energy_accounting import errors


def load(namespace: str, name: str, option: str) -> Any:
    """What the entry point of that name in a namespace stands for.

    :param option: the option that named it, with its section.
    :raises errors.ConfigurationError: when there is none; names those there
        are.
    """
    try:
        return stevedore.driver.DriverManager(
            namespace, name, on_load_failure_callback=_failed,
            # It is said below, with those that there are.
            warn_on_missing_entrypoint=False).driver
    except stevedore.exception.NoMatches as error:
        known = sorted(stevedore.extension.ExtensionManager(
            namespace, on_load_failure_callback=lambda *_: None).names())
        raise errors.ConfigurationError(
            f'{option} names {name!r}, which is not installed; there is '
            f'{", ".join(known) or "none"}') from error


def _failed(manager: object, entry_point: object,
            error: BaseException) -> None:
    raise error
