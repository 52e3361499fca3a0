# SPDX-License-Identifier: Apache-2.0
"""The HTTP face: what is asked, who may, and the words of the answer."""
