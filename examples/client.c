/* Reads one picture on a board that holds a network of 28 x 28 pixels; see docs/protocol.md.
   cc -std=c99 -o client client.c && ./client /dev/ttyUSB1 seven.pgm 64 */
#define _DEFAULT_SOURCE /* for cfmakeraw and B1000000 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#define FAIL(...) (fprintf(stderr, "client: " __VA_ARGS__), fputc('\n', stderr), exit(1))
enum { IDENTIFY = 1, INFER = 5, IDENTITY = 0x81, READING = 0x83, REFUSAL = 0x84 };

static unsigned crc16(const uint8_t *data, size_t size) {
    unsigned crc = 0xFFFF;
    for (size_t bit = 0; bit < 8 * size; bit++) {
        if (bit % 8 == 0) crc ^= (unsigned)data[bit / 8] << 8;
        crc = (crc << 1 ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xFFFF;
    }
    return crc;
}

/* Sends the payload in message[1..size]; its answer takes its place. COBS turns every zero into the
   distance to the next one, from message[0] on: so simple only for frames below 255 bytes. */
static void ask(int port, uint8_t message[256], size_t size, uint8_t sequence, uint8_t answer) {
    size_t code = 0, end = 0, next;
    message[2] = sequence, message[3] = 0;
    unsigned crc = crc16(message + 1, size);
    message[++size] = crc >> 8, message[++size] = crc & 0xFF, message[++size] = 0;
    for (size_t i = 1; i <= size; i++)
        if (message[i] == 0) message[code] = i - code, code = i;
    int sent = write(port, "", 1) == 1 && write(port, message, size + 1) == (ssize_t)size + 1;
    for (int left = 10000; sent && left && read(port, message + end, 1) == 1; left--) {
        if (message[end]) { end = (end + 1) % 256; continue; }
        for (code = 0; code < end; code = next) next = code + message[code], message[code] = 0;
        int good = code == end && end >= 6 && crc16(message + 1, end - 1) == 0;
        if (good && message[2] == sequence && message[3] == 0) {
            if (message[1] == REFUSAL) FAIL("The board refused, for reason %d.", message[4]);
            if (message[1] == answer) return;
        }
        end = 0;
    }
    FAIL("The board did not answer; check port, cable, baud rate and bitstream.");
}

int main(int argc, char **argv) {
    if (argc != 4) FAIL("Give a serial port, a 28 x 28 PGM file and the network's ink threshold.");
    FILE *file = fopen(argv[2], "rb");
    ...
}
