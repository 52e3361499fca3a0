# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with a question to the energy API.

A class for each way in which a caller goes on differently; the words are
the API's own wherever it said any.
"""

from __future__ import annotations


class Error(Exception):
    """The API could not be reached or did not do what it was asked.

    The message is one line that a user can act on.

    :ivar status: the HTTP status, None when there was no answer.
    :ivar code: the API's stable error code, None when it sent none.
    :ivar request_id: to find the request in the service's log.
    """

    def __init__(self, message: str, *, status: int | None = None,
                 code: str | None = None,
                 request_id: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.request_id = request_id


class Invalid(Error):
    """What was asked is not well formed, or too large: 400, 413, 415, 422.

    Also without a request, for a name that no path can hold.
    """


class Unauthorized(Error):
    """The token or the credentials were not accepted: 401."""


class Forbidden(Error):
    """The policy does not let this caller ask this: 403."""


class NotFound(Error):
    """There is no such thing, or not for this caller: 404."""


class IncompatibleVersion(Error):
    """The service does not speak the microversion asked for: 406."""


class Conflict(Error):
    """It does not fit what is there already: 409."""


class Unavailable(Error):
    """Nobody answered, or the service cannot serve now: 502, 503, 504.

    The same question may have an answer later.  It never means that there
    is nothing: a figure that cannot be had is not 0.
    """


class TimedOut(Unavailable):
    """There was no answer in time."""


BY_STATUS: dict[int, type[Error]] = {
    400: Invalid, 401: Unauthorized, 403: Forbidden, 404: NotFound,
    406: IncompatibleVersion, 409: Conflict, 413: Invalid, 415: Invalid,
    422: Invalid, 502: Unavailable, 503: Unavailable, 504: TimedOut}
