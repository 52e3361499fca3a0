# SPDX-License-Identifier: Apache-2.0
"""``energy-accounting-status upgrade check``: is this version ready to run?

Only looks; what it finds wrong is put right with energy-accounting-manage.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Sequence

import sqlalchemy as sa
from oslo_config import cfg
from oslo_upgradecheck import upgradecheck

from energy_accounting import conf as configuration
from energy_accounting import errors
from energy_accounting.ledger import engine, hosts, models


class Checks(upgradecheck.UpgradeCommands):
    """What has to be so before the services are started."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__()
        self._conf = conf

    @functools.cached_property
    def _opened(self) -> engine.Database | errors.EnergyAccountingError:
        """One for all checks, or why there is none.

        It is tried once: whoever asks wants to know how it is now.
        """
        engine.register(self._conf)
        self._conf.set_override('max_retries', 0, 'database')
        try:
            found = engine.Database.from_conf(self._conf)
            found.read(lambda connection: connection.scalar(
                sa.select(sa.literal(1))))
            return found
        except errors.EnergyAccountingError as error:
            return error

    @property
    def _database(self) -> engine.Database:
        if isinstance(self._opened, errors.EnergyAccountingError):
            raise self._opened
        return self._opened

    def _check_configuration(self) -> upgradecheck.Result:
        try:
            configuration.check(self._conf)
        except errors.ConfigurationError as error:
            return upgradecheck.Result(upgradecheck.Code.FAILURE,
                                       str(error))
        return upgradecheck.Result(upgradecheck.Code.SUCCESS)

    def _check_schema(self) -> upgradecheck.Result:
        try:
            engine.check_schema(self._database)
        except errors.EnergyAccountingError as error:
            return upgradecheck.Result(upgradecheck.Code.FAILURE,
                                       str(error))
        return upgradecheck.Result(upgradecheck.Code.SUCCESS)

    def _check_quarantine(self) -> upgradecheck.Result:
        try:
            held = self._database.read(
                lambda connection: connection.scalar(
                    sa.select(sa.func.count())
                    .select_from(models.quarantine)
                    .where(models.quarantine.c.state == models.HELD)))
        except errors.EnergyAccountingError as error:
            return upgradecheck.Result(
                upgradecheck.Code.WARNING,
                f'the quarantine could not be read: {error}')
        if held:
            return upgradecheck.Result(
                upgradecheck.Code.WARNING,
                f'{held} records are in quarantine and wait for a decision')
        return upgradecheck.Result(upgradecheck.Code.SUCCESS)

    def _check_hosts(self) -> upgradecheck.Result:
        try:
            late = self._database.read(
                lambda connection: list(connection.scalars(
                    sa.select(models.hosts.c.name)
                    .where(hosts.is_late(time.time_ns()))
                    .order_by(models.hosts.c.name))))
        except errors.EnergyAccountingError as error:
            return upgradecheck.Result(
                upgradecheck.Code.WARNING,
                f'the register of hosts could not be read: {error}')
        if late:
            more = f' and {len(late) - 5} more' if len(late) > 5 else ''
            return upgradecheck.Result(
                upgradecheck.Code.WARNING,
                f'these hosts owe windows: {", ".join(late[:5])}{more}; '
                'find out why before an upgrade hides it')
        return upgradecheck.Result(upgradecheck.Code.SUCCESS)

    _upgrade_checks = (
        ('Configuration', _check_configuration),
        ('Database schema', _check_schema),
        ('Quarantine', _check_quarantine),
        ('Hosts', _check_hosts),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the checks; 0 when all is well, 1 for a warning, 2 to stop."""
    # Not the global object: the check's own sub-commands would stay on it.
    conf = cfg.ConfigOpts()
    configuration.register(conf)
    return upgradecheck.main(
        conf, project=configuration.NAME, upgrade_command=Checks(conf),
        argv=list(sys.argv[1:] if argv is None else argv))

