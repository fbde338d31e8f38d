"""Reads a picture on a board that is on an SPI bus, as docs/protocol.md says; for MicroPython.

    from machine import SPI, Pin
    import micropython_client
    spi = SPI(0, baudrate=20_000_000)  # mode 0, the most significant bit first
    code, cycles = micropython_client.infer(spi, Pin(17, Pin.OUT, value=1), pixels)

The board holds a network, and `chr(code)` is the character. `pixels` is an image of the network's
size, row by row, eight pixels to a byte, the first one in bit 0, and 1 where there is ink.
"""

INFER, READING = 0x05, 0x83
number = 0


def crc16(data):
    """The CRC of a message, which is 0 with the right one behind it."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x1021 if crc & 0x8000 else 0)) & 0xFFFF
    return crc


def framed(message):
    """COBS makes each zero the distance to the next one; frames below 255 bytes need no more."""
    blocks = (message + crc16(message).to_bytes(2, "big")).split(b"\0")
    return b"\0" + b"".join(bytes([len(block) + 1]) + block for block in blocks) + b"\0"


def message_in(frame):
    """The message in a frame without its closing zero; b"" if it is broken."""
    message = b""
    while frame:
        message, frame = message + b"\0" + frame[1 : frame[0]], frame[frame[0] :]
    return message[1:-2] if crc16(message[1:]) == 0 else b""


def infer(spi, cs, pixels):
    """The code and how many clock cycles it took; OSError if the board refuses or says nothing."""
    global number
    number = (number + 1) % 65536
    sent = framed(bytes([INFER, number & 0xFF, number >> 8]) + pixels)
    heard = b""
    for _ in range(100):
        received = bytearray(len(sent))
        cs(0)
        spi.write_readinto(sent, received)
        cs(1)
        *frames, heard = (heard + bytes(received)).split(b"\0")
        for answer in map(message_in, frames):
            if len(answer) > 3 and answer[1] | answer[2] << 8 == number:
                if answer[0] == READING:
                    return answer[3], int.from_bytes(answer[8:12], "little")
                raise OSError("The board refuses; load a network for images of this size.")
        sent = bytes(48)  # it answers while it is sent something
    raise OSError("The board does not answer; check the wires and its bitstream.")
