"""`stepnet.networks.reference` under the name by which programs import it."""

import sys

import stepnet.networks.reference as home

sys.modules[__name__] = home
