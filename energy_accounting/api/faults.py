# SPDX-License-Identifier: Apache-2.0
"""Every error in the form of the API special interest group.

Nothing that a library, the database or Python says about an error reaches
a caller: only our own words do, and a request id that finds the rest in
the log.
"""

from __future__ import annotations

import http
import json
import logging
import urllib.parse
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import webob
import webob.exc
from keystoneauth1 import exceptions as ksa_exceptions
from oslo_db import exception as db_errors

from energy_accounting import errors

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

LOG = logging.getLogger(__name__)

# For errors of the framework: what to say, under which code.
_CODES = {
    400: ('energy.request.invalid', 'The path or the query is not UTF-8, or '
          'a header is not valid; percent-encode the URL as UTF-8.'),
    401: ('energy.unauthorized', 'A valid token is required in the header '
          'X-Auth-Token.'),
    403: ('energy.forbidden', 'This is not allowed.'),
    404: ('energy.not_found', 'There is no such resource; the document at '
          '/v1 says where the API begins.'),
    405: ('energy.method_not_allowed', 'This resource does not have this '
          'method.'),
    406: ('energy.microversion.unsupported', 'This version of the API is '
          'not supported; the document at / says which are.'),
    413: ('energy.request.too_large', 'The request body is too large; send '
          'less at a time.'),
    503: ('energy.unavailable', 'A service that is needed to answer is '
          'away; try again later.'),
}
RETRY_SECONDS = 10
"""When to ask again what is away: it is often a restart."""

_REFUSED = ('energy.request.invalid', 'The request is not what this '
            'resource takes.')
_INTERNAL = ('energy.internal', 'The service failed; its log knows why, '
             'under the request id.')


def response(status: int, code: str, detail: str, request_id: str | None,
             headers: Mapping[str, str] | None = None) -> webob.Response:
    """An error as an HTTP answer."""
    body = {'errors': [{
        'status': status, 'title': _title(status), 'detail': detail,
        'code': code, 'request_id': request_id, 'links': []}]}
    return webob.Response(
        status=status, content_type='application/json', charset='UTF-8',
        body=json.dumps(body).encode(),
        headerlist=[*dict(headers or {}).items(),
                    ('Content-Type', 'application/json')])


def _title(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return 'Error'


class Guard:
    """WSGI middleware: whatever goes wrong below leaves in our form."""

    # Headers of an error that say something its form does not.
    _KEPT = ('Allow', 'WWW-Authenticate', 'Retry-After', 'Vary',
             'OpenStack-API-Version')

    def __init__(self, application: WSGIApplication) -> None:
        self.application = application

    def __call__(self, environ: Any, start_response: Any,
                 ) -> Iterable[bytes]:
        # We speak JSON only; a browser's wishes would bring HTML errors.
        environ['HTTP_ACCEPT'] = 'application/json'
        request_id = environ.get('openstack.request_id')
        answer = self._answer(environ, request_id)
        return answer(environ, start_response)

    def _answer(self, environ: Any, request_id: str | None,
                ) -> webob.Response:
        if not _is_utf8(environ):
            return self._known(400, request_id)
        try:
            answer = webob.Request(environ).get_response(self.application)
        except errors.EnergyAccountingError as error:
            if error.status < 500:
                return response(error.status, error.code, str(error),
                                request_id)
            # What is wrong inside is for the log.
            LOG.exception('request failed')
            return self._known(error.status, request_id)
        except (db_errors.DBConnectionError, db_errors.DBDeadlock,
                sa.exc.TimeoutError):
            LOG.exception('the database is away')
            return self._known(503, request_id)
        except ksa_exceptions.ClientException:
            LOG.exception('Keystone is away, or does not trust us')
            return self._known(503, request_id)
        except webob.exc.HTTPException as error:
            answer = error
        except Exception:
            LOG.exception('request failed')
            return self._known(500, request_id)
        if answer.status_int < 400 or _ours(answer):
            return answer
        return self._known(answer.status_int, request_id, {
            name: answer.headers[name] for name in self._KEPT
            if name in answer.headers})

    def _known(self, status: int, request_id: str | None,
               headers: Mapping[str, str] | None = None) -> webob.Response:
        code, detail = _CODES.get(
            status, _INTERNAL if status >= 500 else _REFUSED)
        if status == 503:
            headers = {'Retry-After': str(RETRY_SECONDS), **(headers or {})}
        return response(status, code, detail, request_id, headers)


def _is_utf8(environ: Mapping[str, Any]) -> bool:
    """Whether path and query can be read; WSGI hands bytes as Latin-1."""
    try:
        environ.get('PATH_INFO', '').encode('latin-1').decode()
        urllib.parse.unquote_to_bytes(
            environ.get('QUERY_STRING', '').encode('latin-1')).decode()
    except UnicodeError:
        return False
    return True


def _ours(answer: webob.Response) -> bool:
    return (answer.content_type == 'application/json'
            and answer.body.startswith(b'{"errors"'))
