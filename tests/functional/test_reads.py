# SPDX-License-Identifier: Apache-2.0
"""What the ledger answers, on every server word for word as on SQLite."""

from __future__ import annotations

from tests.functional import base
from tests.unit.ledger import (
    test_balance,
    test_by_site,
    test_claims,
    test_coverage,
    test_hosts,
    test_pages,
    test_periods,
    test_reserved,
    test_retired,
    test_sources,
    test_usage,
    test_wide_sums,
)

for _case in (test_balance.BalanceTest, test_by_site.BySiteTest,
              test_claims.ClaimTest,
              test_coverage.CoverageTest, test_hosts.CompleteTest,
              test_hosts.HostsTest, test_pages.PageTest,
              test_periods.PeriodsTest, test_reserved.ReservedTest,
              test_reserved.UnmeasuredTest, test_retired.RetiredTest,
              test_sources.SourcesTest,
              test_usage.UsageTest, test_usage.PeakTest,
              test_wide_sums.WideSumsTest):
    base.on(*base.SERVERS)(type(_case.__name__, (_case,), {
        '__module__': __name__}))
del _case
