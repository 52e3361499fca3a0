# SPDX-License-Identifier: Apache-2.0
"""Unit tests; they mirror the package."""

import hypothesis

# A slow machine is no defect: no example is timed.
hypothesis.settings.register_profile(
    'untimed', deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile('untimed')
