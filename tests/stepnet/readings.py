"""What came of a stream of readings."""


def codes(readings):
    return [reading.code for reading in readings]


def taken_until_error(readings):
    """The codes that came before the error, and the error."""
    taken = []
    try:
        for reading in readings:
            taken.append(reading.code)
    except Exception as error:
        return taken, error
    raise AssertionError("no error came")
