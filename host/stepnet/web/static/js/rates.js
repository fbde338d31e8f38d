// The rates of a serial line that a board may have, in the order in which to try them: those of its
// USB chip, as stepnet/link/usb_chips.py has them. Web Serial does not tell a chip's product string,
// so that a BL702, which plays an FT2232H, has to be found among the rates of that.

const FTDI = 0x0403;
const BY_PRODUCT = {
  0x6010: [12_000_000, 8_000_000, 3_000_000, 2_000_000, 1_000_000],
  0x6015: [3_000_000, 2_000_000, 1_000_000],
};
export const UNKNOWN = [1_000_000, 3_000_000, 12_000_000, 8_000_000, 2_000_000];

export const ratesOf = ({ usbVendorId, usbProductId } = {}) =>
  (usbVendorId === FTDI && BY_PRODUCT[usbProductId]) || UNKNOWN;
