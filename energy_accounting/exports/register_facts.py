# SPDX-License-Identifier: Apache-2.0
"""What an operator says of its sites for registers: a TOML file.

A table for each site, by its name, with any of the fields that ``register``
has and no meter measures.  What is made of it is ``register_fields``'s.
"""

from __future__ import annotations

import decimal
import pathlib
import re
import tomllib
from collections.abc import Mapping
from typing import Any, NoReturn

from energy_accounting import errors
from energy_accounting.exports import register_fields as fields

_BY_NAME = {field.name: field for field in fields.FIELDS}
_MONTH = re.compile('[12][0-9]{3}-(0[1-9]|1[0-2])')
_TYPES: Mapping[str, tuple[Any, str]] = {
    fields.TEXT: (str, 'a text in quotes'),
    fields.NUMBER: ((int, decimal.Decimal), 'a number'),
    fields.LIST: (list, 'a list of texts, be it empty')}


def load(path: str | None) -> dict[str, dict[str, Any]]:
    """By site, what is said of it; numbers as decimal texts.

    :param path: None: nothing is said of any.
    :raises errors.ConfigurationError: names the site, the field, the remedy.
    """
    if path is None:
        return {}
    where = f'[exports] register_file: {path}'
    try:
        given = tomllib.loads(pathlib.Path(path).read_text('utf-8'),
                              parse_float=decimal.Decimal)
    except (OSError, UnicodeError, tomllib.TOMLDecodeError) as error:
        raise errors.ConfigurationError(
            f'{where}: {error}: give a TOML file in UTF-8 that the service '
            'may read') from error
    return {site: _site(f'{where}: {site}', said)
            for site, said in given.items()}


def _site(where: str, said: Any) -> dict[str, Any]:
    if not isinstance(said, Mapping):
        raise errors.ConfigurationError(
            f'{where}: it is outside a table: begin one with [NAME OF THE '
            'SITE]')
    return {name: _value(f'{where}.{name}', name, value)
            for name, value in said.items()}


def _value(where: str, name: str, value: Any) -> Any:
    field = _BY_NAME.get(name)
    if field is None:
        _wrong(where, 'it is no field: there is '
               + ', '.join(one for one in _BY_NAME
                           if one not in fields.DERIVED))
    if name in fields.DERIVED:
        _wrong(where, 'it follows from other fields: leave it out')
    kinds, words = _TYPES[field.kind]
    if not isinstance(value, kinds) or isinstance(value, bool):
        _wrong(where, f'{value!r} is not {words}')
    if field.kind == fields.NUMBER:
        number = decimal.Decimal(value)
        if not number.is_finite() or (number < 0 and field.unit != 'degC'):
            _wrong(where, f'{value} is out of range: give a number from 0 '
                   f'on, in {field.unit or "its unit"}')
        return format(number, 'f')
    if field.kind == fields.LIST and not all(
            isinstance(one, str) and one for one in value):
        _wrong(where, f'{value!r} is not {words}')
    if field.choices and value not in field.choices:
        _wrong(where, f'{value!r} is not one of {", ".join(field.choices)}')
    if name == 'started' and _MONTH.fullmatch(value) is None:
        _wrong(where, f'{value!r} is no month: give one such as "2019-04"')
    if value == '':
        _wrong(where, 'it is empty: leave it out where it is not known')
    return value


def _wrong(where: str, text: str) -> NoReturn:
    raise errors.ConfigurationError(f'{where}: {text}')
