# SPDX-License-Identifier: Apache-2.0
"""A primary that is no longer one, under connections that are still open."""

import testtools

from energy_accounting import collector, errors, samples
from tests.functional import base
from tests.unit import records

READ_ONLY = {
    base.MARIADB: 'SET SESSION TRANSACTION READ ONLY',
    base.POSTGRES: 'SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY'}


@base.on(*base.SERVERS)
class TestFailover(testtools.TestCase):

    def test_connections_to_the_old_primary_are_kept_for_ever(self):
        database = self.new_database()
        # A session that lives on where nothing may be written any more.
        with database.engine.connect() as connection:
            connection.exec_driver_sql(READ_ONLY[self.database_name])
            connection.commit()
        books = collector.Collector(
            database, None, lambda: records.START_NS + 3600 * 10 ** 9)
        sent = records.payloads(records.window())
        self.assertRaises(errors.Unavailable, books.book, {}, sent)
        self.assertEqual([samples.BOOKED], books.book({}, sent)['results'])
