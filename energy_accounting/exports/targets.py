# SPDX-License-Identifier: Apache-2.0
"""What a plug-in of exports is, and which there are.

A plug-in is one object, named by an entry point: it says which options it
has, and writes a file or sends to a service.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import IO, Any, Protocol

from oslo_config import cfg

from energy_accounting import errors, plugins
from energy_accounting.exports import sources

NAMESPACE = 'energy_accounting.exports'


@dataclasses.dataclass(frozen=True)
class Option:
    """What may be asked of a target.

    :ivar choices: what it may be; empty: any text.
    """

    default: str
    help: str
    choices: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Settings:
    """What holds for all exports of a cloud.

    :ivar provider: whoever runs it, as it is called on bills.
    """

    provider: str
    currency: str


class Job(Protocol):
    """An export that is being sent, as a service's plug-in sees it."""

    source: sources.Source
    options: Mapping[str, str]
    settings: Settings
    conf: cfg.ConfigOpts
    done: int

    def sent(self, done: int) -> None:
        """So much was handed over and will not be again."""


@dataclasses.dataclass(frozen=True)
class File:
    """A plug-in that makes a file.

    :ivar write: (file, source, options, settings) -> rows.
    :ivar suffix: of the file's name, by its options.
    """

    options: Mapping[str, Option]
    suffix: Callable[[Mapping[str, str]], str]
    write: Callable[[IO[bytes], sources.Source, Mapping[str, str], Settings,
                     Callable[[int], object]], int]


@dataclasses.dataclass(frozen=True)
class Service:
    """A plug-in that sends to a service.

    :ivar address: where, from the configuration.
    :ivar send: all that was not sent; tells the job of each step.
    :ivar confirm: raises what is wrong with what is there.
    """

    options: Mapping[str, Option]
    address: Callable[[cfg.ConfigOpts], str]
    total: Callable[[sources.Source, Mapping[str, str]], int]
    send: Callable[[Job], Any]
    confirm: Callable[[Job], Any]


def load(name: str) -> File | Service:
    """The plug-in of that name.

    :raises errors.ConfigurationError: there is none; names those there are.
    """
    found: File | Service = plugins.load(NAMESPACE, name, 'target')
    return found


def chosen(target: File | Service, given: Mapping[str, str]) -> dict[str, str]:
    """All options of a target, as given or by default.

    :raises errors.InvalidRequest: names the option and the remedy.
    """
    for name, value in given.items():
        option = target.options.get(name)
        if option is None:
            known = ', '.join(sorted(target.options)) or 'none'
            raise errors.InvalidRequest(
                f'option {name[:64]!r} is not known to this target; there '
                f'is {known}')
        if option.choices and value not in option.choices:
            raise errors.InvalidRequest(
                f'option {name}: {value[:64]!r} is not one of '
                f'{", ".join(option.choices)}')
    return {name: given.get(name, option.default)
            for name, option in sorted(target.options.items())}
