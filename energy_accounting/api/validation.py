# SPDX-License-Identifier: Apache-2.0
"""Requests are what the schema of their endpoint says, or are refused.

The description of a parameter, and of a field of a body, is the remedy in
the error about it.  Rules that join several parameters do not belong here
(see ``parameters.py``).
"""

from __future__ import annotations

import decimal
import functools
import itertools
import json
import urllib.parse
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NoReturn

import jsonschema
import webob

from energy_accounting import errors
from energy_accounting.api import forms, schemas

_MOST_SHOWN = 20


@functools.cache
def _validator(method: str, path: str, part: Literal['query', 'body'],
               ) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(
        getattr(schemas.ENDPOINTS[method, path], part))


def query(method: str, path: str, environ: Mapping[str, Any],
          ) -> dict[str, str]:
    """The query of a request to an endpoint, as its schema has it.

    :raises errors.InvalidRequest: names the parameter and the remedy.
    """
    given = parse_query(environ)
    _check(given, _validator(method, path, 'query'), 'query', 'parameter')
    return given


def body(method: str, path: str, request: webob.Request) -> dict[str, Any]:
    """The body of a request to an endpoint, as its schema has it.

    A number with a fraction is a Decimal.

    :raises errors.UnsupportedMediaType: when it is not said to be JSON.
    :raises errors.InvalidRequest: names the field and the remedy.
    """
    if request.content_type != 'application/json':
        raise errors.UnsupportedMediaType(
            f'body: {request.content_type[:64]!r} is not what this resource '
            'takes; send JSON with the header Content-Type: '
            'application/json')
    given: dict[str, Any] = _parse(request.body)
    _check(given, _validator(method, path, 'body'), 'body', 'field')
    return given


def _parse(text: bytes) -> Any:
    """JSON as RFC 8259 has it: in UTF-8, and each name once."""
    try:
        found = json.loads(
            text.decode(), parse_float=decimal.Decimal,
            parse_constant=_no_constant, object_pairs_hook=_each_once)
        # Half a surrogate pair is no character: nobody could store it.
        json.dumps(found, ensure_ascii=False, default=str).encode()
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise errors.InvalidRequest(
            'body: it is not JSON; send one JSON object, in UTF-8'
        ) from error
    return found


def _no_constant(word: str) -> NoReturn:
    raise errors.InvalidRequest(
        f'body: {word} is not a number of JSON; leave the field out, or '
        'send null where the field takes it')


def _each_once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise errors.InvalidRequest(
                f'{name[:64]}: given more than once; give it once')
        found[name] = value
    return found


def _check(given: Any, validator: jsonschema.Draft202012Validator,
           whole: str, part: str) -> None:
    """Refuse what a schema does not allow: all items of a list by name.

    :param whole: what is checked.
    :param part: one of its values.
    """
    found = list(validator.iter_errors(given))
    if not found:
        return
    items: dict[Any, list[jsonschema.ValidationError]] = {}
    for error in found:
        items.setdefault(_item(error), []).append(error)
    if None in items:
        items = {None: found}
    problems = [
        _problem(jsonschema.exceptions.best_match(errors_of), validator,
                 whole, part)
        for errors_of in itertools.islice(items.values(), _MOST_SHOWN)]
    if len(items) > _MOST_SHOWN:
        problems.append(f'and {len(items) - _MOST_SHOWN} more')
    raise errors.InvalidRequest('; '.join(problems))


def _item(error: jsonschema.ValidationError) -> tuple[Any, ...] | None:
    """The item of a list in a body that an error is in, if it is in one."""
    path = tuple(error.absolute_path)
    return path[:2] if len(path) > 1 and isinstance(path[1], int) else None


def _problem(error: jsonschema.ValidationError,
             validator: jsonschema.Draft202012Validator, whole: str,
             part: str) -> str:
    where = '.'.join(str(step)[:64] for step in error.absolute_path)
    below = f'{where}.' if where else ''
    known = error.schema.get('properties', {})
    listed = f'known are {", ".join(known) or "none"}'
    value = error.instance
    match error.validator:
        case 'additionalProperties':
            name = min(set(value) - set(known))
            problem = f'{below}{name[:64]}: there is no such {part}; {listed}'
        case 'required':
            name = next(name for name in error.validator_value
                        if name not in value)
            problem = (f'{below}{name}: must be given; give: '
                       f'{known[name]["description"]}')
        case 'minProperties':
            problem = f'{where or whole}: has no {part}; {listed}'
        case 'type' if not where:
            problem = f'{whole}: must be an object; {listed}'
        case _:
            wrong = 'must not be empty' if value == '' else (
                f'{_shown(value)} {_wrong(error)}')
            problem = (f'{where}: {wrong}; give: '
                       f'{_remedy(validator.schema, error.absolute_path)}')
    return problem


def _wrong(error: jsonschema.ValidationError) -> str:
    match error.validator, error.validator_value:
        case 'pattern', forms.NO_CONTROL:
            return 'has a line break or another control character'
        case 'maxLength', most:
            return f'is longer than {most} characters'
        case _:
            return 'is not valid'


def _shown(value: Any) -> str:
    """A value as the caller may recognise it, and never at full length."""
    if isinstance(value, str):
        return repr(value[:64])
    return (str(value) if isinstance(value, decimal.Decimal)
            else json.dumps(value, default=str))[:64]


def _remedy(schema: forms.Schema, path: Iterable[str | int]) -> str:
    """The description that is nearest to a value."""
    found = ''
    for step in path:
        schema = (schema.get('items', {}) if isinstance(step, int)
                  else schema.get('properties', {}).get(step, {}))
        found = schema.get('description', found)
    return found


def parse_query(environ: Mapping[str, Any]) -> dict[str, str]:
    """The parameters of a request, each given once.

    :raises errors.InvalidRequest: for one given twice, or for too many.
    """
    try:
        # WSGI hands bytes over as Latin-1 text.
        text = environ.get('QUERY_STRING', '').encode('latin-1').decode()
        pairs = urllib.parse.parse_qsl(
            text, keep_blank_values=True, errors='strict',
            max_num_fields=100)
    except ValueError as error:
        raise errors.InvalidRequest(
            'query: it is not UTF-8, or has more than 100 parameters; '
            'give each parameter once, percent-encoded') from error
    return _each_once(pairs)
