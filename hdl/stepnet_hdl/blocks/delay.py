"""Registers that delay a value."""

from amaranth.hdl import Module, Signal, Value


def delayed(m: Module, value: Value, cycles: int, name: str) -> Value:
    """Return `value` as it was `cycles` cycles before, through registers that are named after
    `name`.

    The registers are never reset, as suits data whose validity is known from elsewhere.
    """
    for cycle in range(1, cycles + 1):
        later = Signal(value.shape(), name=f"{name}_{cycle}", reset_less=True)
        m.d.sync += later.eq(value)
        value = later
    return value
