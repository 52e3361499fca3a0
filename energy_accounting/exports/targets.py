# SPDX-License-Identifier: Apache-2.0
"""What a plug-in of exports is, and which there are.

A plug-in is one object, named by an entry point: it says which options it
has, and writes a file or brings a service to what statements say.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import IO, Any, Protocol

from oslo_config import cfg

from energy_accounting import errors, plugins, wire
from energy_accounting.exports import sources
from energy_accounting.ledger import engine
from energy_accounting.statements import periods

NAMESPACE = 'energy_accounting.exports'
MOST = 255
"""Characters of options, as the outbox keeps them."""


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
    :ivar register_file: what the operator says of its sites.
    """

    provider: str
    currency: str
    register_file: str | None = None


@dataclasses.dataclass(frozen=True)
class Asked:
    """What is to be exported.

    :ivar project_id: None: of all projects; '': what belongs to none.
    :ivar now_ns: the time of day.
    """

    database: engine.Database
    period: periods.Period
    project_id: str | None
    settings: Settings
    now_ns: int


def statements(asked: Asked) -> sources.Source:
    """What most plug-ins export: closed statements."""
    return sources.find(asked.database, asked.period, asked.project_id)


@dataclasses.dataclass(frozen=True)
class File:
    """A plug-in that makes a file.

    :ivar write: (file, what was found, options, settings, progress) -> rows.
    :ivar suffix: of the file's name, by its options.
    :ivar find: what goes in: the same, as long as its digest is.
    """

    options: Mapping[str, Option]
    suffix: Callable[[Mapping[str, str]], str]
    write: Callable[[IO[bytes], Any, Mapping[str, str], Settings,
                     Callable[[int], object]], int]
    find: Callable[[Asked], sources.Exported] = statements


class Remote(Protocol):
    """A service, as the configuration leads to it.

    What of it fails is raised as one of :mod:`energy_accounting.errors`.

    :ivar address: which one it is; an export goes to it alone.
    """

    address: str

    def send(self, source: sources.Source,
             progress: Callable[[int], object]) -> None:
        """Give it what it has not; it may have been killed at this before.

        :param progress: told of lines that are done, at least every half
            minute, be it 0.
        """

    def check(self, source: sources.Source,
              progress: Callable[[int], object]) -> None:
        """Look at what it has.

        :raises errors.Conflict: it is not what the statements say.
        """


@dataclasses.dataclass(frozen=True)
class Service:
    """A plug-in that sends to a service.

    :ivar open: raises errors.ConfigurationError.
    """

    options: Mapping[str, Option]
    open: Callable[[cfg.ConfigOpts], Remote]
    find: Callable[[Asked], sources.Source] = statements


def load(name: str) -> File | Service:
    """The plug-in of that name.

    :raises errors.InvalidRequest: there is none; names those there are.
    :raises errors.MissingExtra: it needs what is not installed.
    """
    try:
        found: File | Service = plugins.load(NAMESPACE, name, 'target')
    except errors.MissingExtra:
        raise
    except errors.ConfigurationError as error:
        raise errors.InvalidRequest(f'{error}') from error
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
    found = {name: given.get(name, option.default)
             for name, option in sorted(target.options.items())}
    if len(wire.to_json(found)) > MOST:
        raise errors.InvalidRequest(
            f'options: as JSON they are longer than {MOST} characters; give '
            'shorter ones')
    return found
