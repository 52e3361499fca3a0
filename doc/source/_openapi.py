# SPDX-License-Identifier: Apache-2.0
"""The directive ``.. openapi::``: the document of the API, as pages say it.

Only a list of what there is; the schemas themselves are in the document,
which is put beside the page.
"""

from __future__ import annotations

import json
import pathlib
from typing import Any

from docutils import nodes, statemachine
from docutils.parsers import rst

DOCUMENT = pathlib.Path(__file__).parents[2] / 'api-ref' / 'openapi.json'


def _types(schema: dict[str, Any]) -> str:
    """What a value is, in a few words."""
    if 'anyOf' in schema or 'oneOf' in schema:
        kinds = [_types(one) for one in
                 schema.get('anyOf') or schema['oneOf']]
        return ' or '.join(dict.fromkeys(kinds))
    kind = schema.get('type', 'value')
    if 'const' in schema:
        return f'``{schema["const"]}``'
    if 'enum' in schema:
        return 'one of ' + ', '.join(f'``{one}``' for one in schema['enum'])
    if isinstance(kind, list):
        return ' or '.join(kind)
    return f'list of {_types(schema["items"])}' if (
        kind == 'array' and schema.get('items')) else str(kind)


def _plain(text: str) -> str:
    # No markup, and no address either, such as service:NAME.
    for sign in '\\*`|:_':
        text = text.replace(sign, f'\\{sign}')
    return text


def _table(title: str, rows: list[tuple[str, str, str]]) -> list[str]:
    lines = [f'.. list-table:: {title}', '   :widths: 22 20 58', '']
    for row in rows:
        for number, cell in enumerate(row):
            lines.append(f'   {"*" if number == 0 else " "} - {cell}')
    return [*lines, '']


def _fields(schema: dict[str, Any], before: str = '',
            ) -> list[tuple[str, str, str]]:
    """Every field of an object, those inside it with dots."""
    found = []
    for name, one in schema.get('properties', {}).items():
        inner = one.get('items', one) if one.get('type') == 'array' else one
        found.append((f'``{before}{name}``', _types(one),
                      _plain(one.get('description', ''))))
        found += _fields(inner, f'{before}{name}.')
    return found


def _text(document: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    for path, operations in document['paths'].items():
        for method, said in operations.items():
            title = f'{method.upper()} {path}'
            lines += [title, '-' * len(title), '', f'{said["summary"]}.', '']
            asked = [(f'``{one["name"]}``',
                      _types(one['schema'])
                      + (', required' if one.get('required') else ''),
                      _plain(one.get('description', '')))
                     for one in said.get('parameters', ())]
            if asked:
                lines += _table('Parameters', asked)
            for content in said.get('requestBody', {}).get(
                    'content', {}).values():
                fields = _fields(content['schema'])
                if fields:
                    lines += _table('Body', fields)
                break
            good = [(code, one) for code, one in said['responses'].items()
                    if code.startswith('2')]
            for code, one in good:
                media = one.get('content', {})
                fields = _fields(next(iter(media.values()))['schema']
                                 ) if media else []
                if fields:
                    lines += _table(f'Answer, {code}', fields)
                elif media:
                    lines += [f'Answers {code} with '
                              + ', '.join(f'``{name}``' for name in media)
                              + '.', '']
                else:
                    lines += [f'Answers {code} without a body.', '']
    return lines


class OpenAPI(rst.Directive):

    def run(self) -> list[nodes.Node]:
        for file in (str(DOCUMENT), __file__):
            self.state.document.settings.env.note_dependency(file)
        lines = statemachine.StringList(
            _text(json.loads(DOCUMENT.read_text())), str(DOCUMENT))
        node = nodes.section()
        node.document = self.state.document
        self.state.nested_parse(lines, self.content_offset, node,
                                match_titles=True)
        return node.children


def setup(app: Any) -> dict[str, Any]:
    app.add_directive('openapi', OpenAPI)
    return {'parallel_read_safe': True}
