/* Reads a picture on a board that holds a network of 28 x 28 pixels, as docs/protocol.md says:
   cc -std=c99 -o client client.c && ./client /dev/ttyUSB1 seven.pgm 64 12000000
   The last number is the line's rate, 1000000 if left out. The port may be socket://host:port of
   `stepnet sim` or `stepnet share`. The picture is white ink on black, as the network expects it:
   python -c "from PIL import Image; from stepnet import picture;
   Image.fromarray(picture.normalise('seven.jpg')).save('seven.pgm')" */
#define _DEFAULT_SOURCE
#include <asm/termbits.h> /* Linux's own, for any rate; POSIX itself ends at 38,400 baud */
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#define FAIL(...) (fprintf(stderr, "client: " __VA_ARGS__), fputc('\n', stderr), exit(1))
enum { IDENTIFY = 0x01, INFER = 0x05, IDENTITY = 0x81, READING = 0x83, REFUSAL = 0x84 };

static int crc16(const uint8_t *data, int size) {
    int crc = 0xFFFF;
    for (int bit = 0; bit < 8 * size; bit++)
        crc = (crc << 1 & 0xFFFF) ^ ((crc >> 15 ^ data[bit / 8] >> (7 - bit % 8)) & 1) * 0x1021;
    return crc;
}

/* Sends the payload of `size` bytes at frame[1] and returns the answer's. COBS makes each zero the
   distance to the next one, starting from frame[0]; frames below 255 bytes need no more. */
static const uint8_t *ask(int port, uint8_t frame[256], int size, int sequence, int answer) {
    uint8_t *payload = frame + 1, end = 0;
    payload[1] = sequence & 0xFF, payload[2] = sequence >> 8;
    int crc = crc16(payload, size), code = 0, next, bytes_left = 10000;
    payload[size] = crc >> 8, payload[size + 1] = crc & 0xFF, payload[size + 2] = 0;
    for (int i = 1; i < size + 4; i++)
        if (frame[i] == 0) frame[code] = i - code, code = i;
    if (write(port, "", 1) != 1 || write(port, frame, size + 4) != size + 4) bytes_left = 0;
    for (; bytes_left-- > 0 && read(port, frame + end, 1) == 1; end = frame[end] ? end + 1 : 0) {
        if (frame[end] != 0) continue;
        for (code = 0; code < end; code = next) next = code + frame[code], frame[code] = 0;
        int good = code == end && end >= 6 && crc16(payload, end - 1) == 0;
        if (!good || (payload[1] | payload[2] << 8) != sequence) continue;
        if (payload[0] == REFUSAL) FAIL("The board refuses, for reason %d.", payload[3]);
        if (payload[0] == answer) return payload;
    }
    FAIL("The board does not answer; check the port, the cable and the board's bitstream.");
}

/* Opens a serial port, or connects to a board behind TCP; -1 if that cannot be. */
static int open_port(const char *where, unsigned baud) {
    struct termios2 raw = {.c_cflag = CS8 | CREAD | CLOCAL | BOTHER, .c_cc[VTIME] = 50 /* 5 s */};
    struct addrinfo wanted = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    struct timeval limit = {.tv_sec = 5};
    char host[256], number[6];
    int port = -1;
    if (sscanf(where, "socket://%255[^:]:%5[0-9]", host, number) != 2) {
        port = open(where, O_RDWR | O_NOCTTY);
        raw.c_ispeed = raw.c_ospeed = baud;
        return ioctl(port, TCSETSF2, &raw) ? -1 : port;
    }
    for (getaddrinfo(host, number, &wanted, &found); found; found = found->ai_next) {
        port = socket(found->ai_family, SOCK_STREAM, 0);
        setsockopt(port, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        if (connect(port, found->ai_addr, found->ai_addrlen) == 0) return port;
    }
    return -1;
}

int main(int argc, char **argv) {
    uint8_t hello[256] = {0, IDENTIFY}, image[256] = {0, INFER}, grey[28 * 28];
    int level, baud = 1000000, sequence = getpid() & 0xFFFE;
    if (argc < 4 || sscanf(argv[3], "%d", &level) != 1 || argc > 5 ||
        (argc == 5 && (sscanf(argv[4], "%d", &baud) != 1 || baud < 1)))
        FAIL("Give port, picture, threshold and perhaps the rate.");
    FILE *file = fopen(argv[2], "rb");
    if (!file || fscanf(file, "P5 28 28 255%c", grey) != 1 || fread(grey, 1, 784, file) != 784)
        FAIL("%s is no PGM picture of 28 x 28 bytes (P5, 255 grey values, no comments).", argv[2]);
    for (int i = 0; i < 28 * 28; i++) image[4 + i / 8] |= (grey[i] >= level) << i % 8;
    signal(SIGPIPE, SIG_IGN); /* a board that hangs up does not answer */
    int port = open_port(argv[1], baud);
    if (port < 0)
        FAIL("%s cannot be opened; name a port that is there and free, or socket://host:port.",
             argv[1]);
    const uint8_t *identity = ask(port, hello, 3, sequence, IDENTITY);
    if (identity[3] != 2) FAIL("The board speaks protocol version %d, not 2.", identity[3]);
    if (identity[30] != 1 || (identity[35] | identity[36] << 8) != 98)
        FAIL("The board holds no network of 28 x 28 pixels; load one with: stepnet infer.");
    const uint8_t *reading = ask(port, image, 3 + 98, sequence + 1, READING);
    printf("%c in %u cycles\n", reading[3], reading[8] | reading[9] << 8 | reading[10] << 16);
}
