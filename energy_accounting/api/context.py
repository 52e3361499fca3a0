# SPDX-License-Identifier: Apache-2.0
"""Who is asking, from the headers that auth_token vouches for.

Without auth_token in front, nothing of a request's headers is believed.
The newest context of a thread is the one its log lines carry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oslo_context import context as oslo_context

from energy_accounting.ledger import audit

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

KEY = 'energy_accounting.context'


def anonymous(environ: dict[str, Any]) -> oslo_context.RequestContext:
    """Nobody: for paths that need no token."""
    return oslo_context.RequestContext(
        request_id=environ.get('openstack.request_id'))


def local_admin(environ: dict[str, Any]) -> oslo_context.RequestContext:
    """The caller of the standalone service: its admin, of no project."""
    return oslo_context.RequestContext(
        roles=['admin', 'manager', 'member', 'reader'],
        is_admin_project=True,
        request_id=environ.get('openstack.request_id'))


def of_token(environ: dict[str, Any]) -> oslo_context.RequestContext:
    """The owner of the token that auth_token has checked."""
    return oslo_context.RequestContext.from_environ(environ)


def actor(environ: dict[str, Any]) -> audit.Actor:
    """Who makes a change by this request."""
    context = environ[KEY]
    return audit.Actor(context.user_id or 'standalone', context.request_id)


class Context:
    """WSGI middleware that puts the caller's context on the request."""

    def __init__(self, application: WSGIApplication, make: Any) -> None:
        self.application = application
        self.make = make

    def __call__(self, environ: Any, start_response: Any) -> Any:
        environ[KEY] = self.make(environ)
        return self.application(environ, start_response)
