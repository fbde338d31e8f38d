"""`stepnet.data.evaluation` under the name by which programs import it."""

import sys

import stepnet.data.evaluation as home

sys.modules[__name__] = home
