"""What all tests need."""

import signal

# A shell makes its background jobs ignore Ctrl-C, and what they start inherits that; programs that
# the tests interrupt must not.
signal.signal(signal.SIGINT, signal.default_int_handler)
