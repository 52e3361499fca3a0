# SPDX-License-Identifier: Apache-2.0
"""From sums of the ledger to the rows of a report; pure."""
