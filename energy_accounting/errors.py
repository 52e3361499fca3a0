# SPDX-License-Identifier: Apache-2.0
"""Every error this service raises on purpose.

Each has the HTTP status it becomes at the API and a ``code`` that never
changes.  A message names the field and the remedy.  Nothing else belongs
here: no handling, no formatting.
"""

from __future__ import annotations


class EnergyAccountingError(Exception):
    """The base of them all: something we know how to say."""

    status = 500
    code = 'energy.internal'


class InvalidRequest(EnergyAccountingError):
    """A request's query or body is not what the schema allows."""

    status = 400
    code = 'energy.request.invalid'


class Forbidden(EnergyAccountingError):
    """The caller's roles do not allow this."""

    status = 403
    code = 'energy.forbidden'


class NotFound(EnergyAccountingError):
    """There is no such thing, or it is not the caller's to know."""

    status = 404
    code = 'energy.not_found'


class Conflict(EnergyAccountingError):
    """The request does not fit the state that something is in now."""

    status = 409
    code = 'energy.conflict'


class FigureRefused(Conflict):
    """A key figure's inputs contradict each other or are too few."""

    code = 'energy.figure.refused'


class UnsupportedMediaType(EnergyAccountingError):
    """A request's body is not said to be JSON."""

    status = 415
    code = 'energy.request.media_type'


class Damaged(EnergyAccountingError):
    """What was closed cannot be read as it was written."""

    code = 'energy.damaged'


class ConfigurationError(EnergyAccountingError):
    """An option is out of range or the machine lacks what it needs."""

    code = 'energy.configuration'


class MissingExtra(ConfigurationError):
    """A part is used whose optional dependencies are not installed."""

    code = 'energy.configuration.missing_extra'


class MeterError(EnergyAccountingError):
    """A meter or a guest source cannot be used at all."""

    code = 'energy.meter'


class InvalidRecord(EnergyAccountingError):
    """A spooled or received record is malformed or does not add up."""

    status = 400
    code = 'energy.record.invalid'


class NewerRecord(InvalidRecord):
    """A record has fields that must be understood and are not known here."""

    code = 'energy.record.newer'


class SpoolError(EnergyAccountingError):
    """The spool cannot be written or belongs to another host."""

    code = 'energy.spool'


class Unavailable(EnergyAccountingError):
    """A collector, a broker, a database, a service is away for now."""

    status = 503
    code = 'energy.unavailable'


class ProviderError(Unavailable):
    """A source of factors does not answer, or not as it is documented."""

    code = 'energy.provider'
