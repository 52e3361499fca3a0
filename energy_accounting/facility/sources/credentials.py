# SPDX-License-Identifier: Apache-2.0
"""User names and passwords of services that are asked for readings.

In a file of its owner's alone, and from there only into the header of a
request: what is here never shows a password, and neither may its callers.
"""

from __future__ import annotations

import configparser
import dataclasses
import os
import stat
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

from energy_accounting import errors
from energy_accounting.facility import addresses

BASIC = 'basic'
SESSION = 'session'
AUTHENTICATIONS = (BASIC, SESSION)
_KEYS = {'user', 'password', 'auth'}
_MOST_BYTES = 2**20


@dataclasses.dataclass(frozen=True, slots=True)
class Credential:
    """Who asks a service.

    :ivar auth: of :data:`AUTHENTICATIONS`.
    """

    user: str
    password: str = dataclasses.field(repr=False)
    auth: str = BASIC


class _Entry(NamedTuple):
    origin: addresses.Origin
    path: str
    credential: Credential


@dataclasses.dataclass(frozen=True, slots=True)
class Credentials:
    """What a file says."""

    entries: Sequence[_Entry] = ()

    def of(self, where: addresses.Origin, path: str) -> Credential | None:
        """Those of the longest address that an address begins with."""
        fitting = sorted((len(one.path), place)
                         for place, one in enumerate(self.entries)
                         if one.origin == where and _begins(path, one.path))
        return self.entries[fitting[-1][1]].credential if fitting else None


def _begins(path: str, first: str) -> bool:
    return path == first or path.startswith(f'{first.rstrip("/")}/')


def load(path: str, option: str) -> Credentials:
    """Read a file: a section for each address, ``user`` and ``password``.

    :param option: what names the file, for errors.
    :raises errors.ConfigurationError: says what to do, and never what the
        file holds.
    """
    text = _private(path, option)
    parser = configparser.ConfigParser(
        delimiters=('=',), interpolation=None, default_section='\0',
        empty_lines_in_values=False)
    try:
        parser.read_string(text)
    except configparser.Error as error:
        # Its own words show lines of the file.
        line = getattr(error, 'lineno', None) or next(
            (number for number, _ in getattr(error, 'errors', ())), None)
        _refuse(option, path, 'is not understood' + (
            '' if line is None else f' at line {line}'))
    return Credentials([
        _entry(option, path, place, parser[name])
        for place, name in enumerate(parser.sections(), 1)])


def _entry(option: str, path: str, place: int,
           section: configparser.SectionProxy) -> _Entry:
    where = f'section {place}'
    try:
        found = addresses.parsed(section.name)
    except ValueError as error:
        _refuse(option, path, f'{where} is not the address of a service: '
                f'{error}')
    if set(section) - _KEYS:
        _refuse(option, path, f'{where} has other keys than '
                f'{", ".join(sorted(_KEYS))}')
    user, password, auth = (section.get(key, '') for key in (
        'user', 'password', 'auth'))
    if not user or ':' in user or not user.isprintable():
        _refuse(option, path, f'{where} has no user, or one with a colon')
    if not password or not password.isprintable():
        _refuse(option, path, f'{where} has no password, or one of more '
                'than a line')
    if (auth or BASIC) not in AUTHENTICATIONS:
        _refuse(option, path, f'auth of {where} must be one of '
                f'{", ".join(AUTHENTICATIONS)}')
    return _Entry(found.origin, found.path,
                  Credential(user, password, auth or BASIC))


def _private(path: str, option: str) -> str:
    try:
        with open(path, encoding='utf-8') as file:
            found = os.fstat(file.fileno())
            text = file.read(_MOST_BYTES)
    except (OSError, ValueError) as error:
        # What a ValueError says has the bytes of the file in it.
        _refuse(option, path, 'cannot be read: ' + (
            error.strerror or 'it is no file'
            if isinstance(error, OSError) else 'it is not UTF-8'))
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077:
        _refuse(option, path, f'has the mode {mode:04o}, so that others can '
                f'read passwords: chmod 600 {path}')
    if found.st_uid not in (0, os.geteuid()):
        _refuse(option, path, f'belongs to user {found.st_uid}: make it '
                'that of root, or of the user that this runs as')
    return text


def _refuse(option: str, path: str, reason: str) -> NoReturn:
    raise errors.ConfigurationError(f'{option}: {path} {reason}') from None
