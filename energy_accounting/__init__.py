# SPDX-License-Identifier: Apache-2.0
"""Per-tenant energy accounting for OpenStack: every joule once."""
