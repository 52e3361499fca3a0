# SPDX-License-Identifier: Apache-2.0
"""The HTTP pipeline, whole and visible in :func:`make_app`.

Nothing happens when this module is imported, and no path is handled here
but ``/healthcheck``.
"""

from __future__ import annotations

import configparser
import datetime
import json
import logging
import pathlib
import re
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import pecan
import webob
from keystonemiddleware import auth_token
from keystonemiddleware import opts as ksm_opts
from microversion_parse import middleware as microversion
from oslo_config import cfg
from oslo_middleware import (
    cors,
    healthcheck,
    http_proxy_to_wsgi,
    request_id,
    sizelimit,
)

from energy_accounting import errors, units
from energy_accounting.api import (
    context,
    faults,
    policies,
    scraping,
    versions,
)
from energy_accounting.api.controllers import Service, root
from energy_accounting.exports import sending
from energy_accounting.facility import server_models
from energy_accounting.ledger.audit import Actor

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

LOG = logging.getLogger(__name__)
ACCESS = logging.getLogger('energy_accounting.api.access')

# 100,000 readings, with the longest of values; 50,000 factors.
_BATCH_BYTES = 16 << 20
_BATCHES = re.compile('/v1/(meters/[^/]+/readings|factors)/?')
AUDIT_MAP = pathlib.Path(__file__).parent / 'api_audit_map.conf'
_WITHOUT_TOKEN = frozenset({'', '/', '/v1', '/v1/'})


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


class Request(pecan.Request):
    """A request whose body nobody reads but ``validation.body``.

    Pecan would parse it first, in its own way, and make arguments of it.
    """

    json = None

    @property
    def params(self) -> Any:
        return self.GET


def make_app(conf: cfg.ConfigOpts, database: Any, *, auth: bool = True,
             clock: Callable[[], datetime.datetime] = _now,
             ) -> WSGIApplication:
    """The API as a WSGI application.

    :param database: see :class:`energy_accounting.ledger.engine.Database`.
    :param auth: False makes every caller an administrator: for the
        standalone service on the loopback interface, and nothing else.
    :param clock: gives the aware time of a request.
    :raises errors.ConfigurationError: a file that is named is wrong.
    """
    service = Service(database, policies.make_enforcer(conf), clock,
                      conf.api.max_limit, sending.from_conf(
                          conf, database, Actor('api'),
                          lambda: units.wall_ns(clock())),
                      conf.collector.user_ids,
                      server_models.load(conf.api.server_models_file)
                      if conf.api.server_models_file else {},
                      conf.api.tenant_metrics)

    # From the inside out.  Pecan guesses nothing: a host's name may end in
    # .json, and the request is an argument, not a global.
    app: Any = pecan.make_app(
        root.Root(service), use_context_locals=False, request_cls=Request,
        guess_content_type_from_ext=False)
    app = microversion.MicroversionMiddleware(
        app, versions.SERVICE_TYPE, versions.VERSIONS)
    # Who asks is known before anything is answered; discovery asks nobody.
    inner = app
    nobody = context.Context(inner, context.anonymous)
    if auth:
        _bound_keystone(conf)
        known = auth_token.AuthProtocol(
            _audited(context.Context(app, context.of_token), conf),
            {'oslo_config_config': conf,
             'service_type': versions.SERVICE_TYPE})
    else:
        known = context.Context(app, context.local_admin)
    app = _by_path(nobody, _WITHOUT_TOKEN, known)
    if auth and conf.api.metrics_token_file:
        app = _by_path(
            scraping.Scraped(context.Context(inner, context.local_admin), app,
                             scraping.token(conf.api.metrics_token_file)),
            {'/metrics'}, app)
    app = _limited(app, conf)
    # Around auth_token too, so that its errors have our form.
    app = faults.Guard(app)
    # Healthcheck answers every request that reaches it: only its own does.
    app = _by_path(Health(conf, database), {'/healthcheck'}, app)
    cors_app = cors.CORS(app, conf)
    if conf.cors.allowed_origin:
        app = cors_app
    app = AccessLog(app)
    app = request_id.RequestId(app)
    return http_proxy_to_wsgi.HTTPProxyToWSGI(app, conf)


def _audited(app: WSGIApplication, conf: cfg.ConfigOpts) -> WSGIApplication:
    """Tell what is asked as CADF events, where that is switched on.

    Behind auth_token: who asks is known there, and what is not let in is
    not told.

    :raises errors.ConfigurationError: the map cannot be read.
    """
    if not conf.audit.enabled:
        return app
    # Its options go to the process's own configuration when it is imported.
    from keystonemiddleware import audit

    path = conf.audit.map_file or str(AUDIT_MAP)
    try:
        # It tells how a request ended by its answer, not by an exception.
        made: WSGIApplication = audit.AuditMiddleware(
            faults.Guard(app), oslo_config_config=conf, audit_map_file=path,
            service_name=versions.SERVICE_TYPE,
            ignore_req_list=','.join(conf.audit.ignore_methods))
    except (OSError, configparser.Error,
            audit.PycadfAuditApiConfigError) as error:
        raise errors.ConfigurationError(
            f'[audit] map_file: {path} cannot be used: {error}') from error
    return made


def _bound_keystone(conf: cfg.ConfigOpts) -> None:
    """Wait for a Keystone that hangs for a while, not for ever.

    A default of ours: what the operator's file says counts.
    """
    for group, options in ksm_opts.list_auth_token_opts():
        conf.register_opts(options, group)
    conf.set_default('http_connect_timeout', 10, 'keystone_authtoken')


def _limited(app: WSGIApplication, conf: cfg.ConfigOpts) -> WSGIApplication:
    """Refuse bodies that are too large; a batch of readings is larger.

    Nothing is read here, and nothing behind it before a token is checked.
    """
    limited: Any = sizelimit.RequestBodySizeLimiter(app, conf)
    name, group = 'max_request_body_size', 'oslo_middleware'
    larger = cfg.ConfigOpts()
    larger.register_opts(sizelimit.OPTS, group)
    larger.set_default(name, max(conf[group][name], _BATCH_BYTES), group)
    larger([], default_config_files=[], default_config_dirs=[])
    batches: Any = sizelimit.RequestBodySizeLimiter(app, larger)

    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        chosen = (batches if _BATCHES.fullmatch(environ.get('PATH_INFO', ''))
                  else limited)
        return chosen(environ, start_response)
    return application


def _by_path(chosen: WSGIApplication, paths: Iterable[str],
             other: WSGIApplication) -> WSGIApplication:
    """Some paths to one application, the rest to another."""
    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        app = chosen if environ.get('PATH_INFO', '') in paths else other
        return app(environ, start_response)
    return application


class Health:
    """oslo.middleware's checks, and whether the database answers."""

    def __init__(self, conf: cfg.ConfigOpts, database: Any) -> None:
        self._checks = healthcheck.Healthcheck(None, conf)
        # The detailed form shows threads' stacks to anyone who asks.
        self._checks._show_details = False
        self._database = database

    def __call__(self, environ: Any, start_response: Any,
                 ) -> Iterable[bytes]:
        request = webob.Request(dict(environ))
        if request.method not in ('GET', 'HEAD'):
            return faults.response(
                405, 'energy.method_not_allowed', 'This resource has GET '
                'only.', environ.get('openstack.request_id'),
                {'Allow': 'GET'})(environ, start_response)
        request.accept = 'application/json'
        request.method = 'GET'
        answer = request.get_response(self._checks)
        reasons = [reason for reason in json.loads(answer.body)['reasons']
                   if reason]
        healthy = answer.status_int == 200
        if healthy and not self._reads():
            healthy, reasons = False, ['the database does not answer']
        return webob.Response(
            status=200 if healthy else 503, content_type='application/json',
            charset='UTF-8', body=json.dumps(
                {'healthy': healthy, 'reasons': reasons}).encode(),
        )(environ, start_response)

    def _reads(self) -> bool:
        from energy_accounting.ledger import engine
        try:
            with self._database.reader() as connection:
                engine.answers(connection)
        except Exception:
            LOG.exception('the database does not answer')
            return False
        return True


class AccessLog:
    """One line for each request; never a token."""

    def __init__(self, application: WSGIApplication) -> None:
        self.application = application

    def __call__(self, environ: Any, start_response: Any,
                 ) -> Iterable[bytes]:
        begun = time.monotonic()
        # Until it is known who asks, log lines carry the request at least.
        context.anonymous(environ)

        def logged(status: str, headers: Any, exc_info: Any = None) -> Any:
            ACCESS.info(
                '%s "%s %s%s" %s %.3f s',
                environ.get('REMOTE_ADDR', '-'),
                environ.get('REQUEST_METHOD', '-'),
                environ.get('SCRIPT_NAME', ''),
                environ.get('PATH_INFO', ''), status.partition(' ')[0],
                time.monotonic() - begun)
            return start_response(status, headers, exc_info)

        return self.application(environ, logged)
