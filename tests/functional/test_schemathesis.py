# SPDX-License-Identifier: Apache-2.0
"""The API against its own OpenAPI document, with what nobody thought of.

Schemathesis reads the document and asks, over HTTP, what it allows and what
it does not: values at the edges, wrong types, missing and unknown fields,
undeclared methods, calls in a row.  The same seed brings the same requests.
It is imported where it is used: that takes seconds, which each process would
spend that collects tests.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any
from wsgiref import simple_server

from energy_accounting.api import openapi, schemas
from tests.unit.api import cloud

# One check is off: a schema cannot say that start is before end, or which
# marker an answer gave, so a request that it allows may still be wrong.
SETTINGS = {
    'seed': 1, 'workers': 1,
    'auth': {'openapi': {'token': {'api_key': 'admin-p1'}}},
    'generation': {'deterministic': True, 'max-examples': 5,
                   'database': 'none'},
    'checks': {'positive_data_acceptance': {'enabled': False}},
}


class _Quiet(simple_server.WSGIRequestHandler):

    def log_message(self, *words: object) -> None:
        pass


def serve(test: cloud.ApiCase) -> str:
    """The whole application behind a real HTTP server; its address."""
    server = simple_server.make_server('127.0.0.1', 0, test.app,
                                       handler_class=_Quiet)
    thread = threading.Thread(target=server.serve_forever,
                              kwargs={'poll_interval': 0.01}, daemon=True)
    thread.start()
    test.addCleanup(thread.join)
    test.addCleanup(server.server_close)
    test.addCleanup(server.shutdown)
    return f'http://127.0.0.1:{server.server_port}/'


class SchemathesisTest(cloud.ApiCase):

    def setUp(self) -> None:
        super().setUp()
        # Thousands of requests: their log is longer than it is useful.
        logging.disable(logging.ERROR)
        self.addCleanup(logging.disable, logging.NOTSET)

    def run_all(self, document: dict[str, Any]) -> Iterator[Any]:
        """What happens while every operation is tried."""
        import schemathesis
        from schemathesis import config, engine

        schema = schemathesis.openapi.from_dict(
            document, config=config.SchemathesisConfig.from_dict(
                {**SETTINGS, 'base-url': serve(self)}))
        yield from engine.from_schema(schema).execute()

    def problems(self, document: dict[str, Any],
                 ) -> tuple[set[str], dict[str, int]]:
        """What was wrong, and how many requests each operation had."""
        from schemathesis.engine import events

        found: set[str] = set()
        tried: dict[str, int] = {}
        for event in self.run_all(document):
            if isinstance(event, events.NonFatalError):
                found.add(f'{event.label}: {event.value}')
            elif isinstance(event, events.FatalError):
                found.add(str(event.exception))
            elif isinstance(event, events.ScenarioFinished):
                record = event.recorder
                tried[record.label] = (tried.get(record.label, 0)
                                       + len(record.interactions))
                found |= set(_failures(record))
        return found, tried

    def test_the_api_is_not_what_its_document_says(self) -> None:
        found, tried = self.problems(openapi.document())
        self.assertEqual('', '\n'.join(sorted(found)))
        for method, path in schemas.ENDPOINTS:
            self.assertGreater(tried.get(f'{method} {path}', 0), 3, path)

    def test_a_document_that_lies_is_believed(self) -> None:
        document = openapi.document()
        answer = document['paths']['/v1']['get']['responses']['200']
        answer['content']['application/json']['schema'] = {'type': 'array'}
        found, _ = self.problems({
            **document, 'paths': {'/v1': document['paths']['/v1']}})
        self.assertIn('response_schema_conformance',
                      {text.partition(':')[0] for text in found})


def _failures(record: Any) -> Iterator[str]:
    for key, checks in record.checks.items():
        case = record.cases[key].value
        for check in checks:
            if check.failure_info is not None:
                yield (f'{check.name}: {check.failure_info.failure.message}'
                       f'\n{case.as_curl_command()}\n')
